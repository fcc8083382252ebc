/* sets_chance.c: what sets of the same size give by chance.
 *
 * Random numbers are those of xoshiro256** (Blackman and Vigna 2021, ACM Trans Math Softw
 * 47:36), its state filled by splitmix64; numbers below a bound are made of its upper 32
 * bits without bias (Lemire 2019, ACM Trans Model Comput Simul 29:3). The state begins
 * with the seed, the profile's size and the set's sizes and nothing else, so that a set
 * meets the same chances whatever other sets stand beside it.
 */
#include "sets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PERMUTATIONS_MOST 10000000
#define SEED 20240229 /* where none is given */

/* ---- random numbers -------------------------------------------------------- */

struct chance {
    uint64_t state[4];
};

static uint64_t splitmix(uint64_t *x) {
    uint64_t z = (*x += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static struct chance chance_begin(uint64_t seed, uint64_t n, uint64_t first, uint64_t second) {
    struct chance c;
    uint64_t x = seed, mixed = splitmix(&x);
    x = mixed ^ n;
    mixed = splitmix(&x);
    x = mixed ^ (first << 32 | second);
    for (int i = 0; i < 4; i++) {
        c.state[i] = splitmix(&x);
    }
    return c;
}

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static uint64_t chance_next(struct chance *c) {
    uint64_t *s = c->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* A number from 0 to bound - 1, each as likely. */
static uint32_t chance_below(struct chance *c, uint32_t bound) {
    uint64_t product = (chance_next(c) >> 32) * bound;
    uint32_t low = (uint32_t)product;
    if (low < bound) {
        uint32_t least = (UINT32_MAX - bound + 1) % bound;
        while (low < least) {
            product = (chance_next(c) >> 32) * bound;
            low = (uint32_t)product;
        }
    }
    return (uint32_t)(product >> 32);
}

/* Different numbers below n, drawn by swapping them to the front of a list that is put in
 * order again afterwards. */
struct drawing {
    uint32_t n;
    uint32_t *numbers; /* 0 .. n - 1 between draws */
    uint32_t *swaps;
};

static void drawing_begin(lua_State *L, struct drawing *d, size_t n) {
    d->n = (uint32_t)n;
    d->numbers = lua_newuserdatauv(L, (n + 1) * sizeof *d->numbers, 0);
    d->swaps = lua_newuserdatauv(L, (n + 1) * sizeof *d->swaps, 0);
    for (uint32_t i = 0; i < d->n; i++) {
        d->numbers[i] = i;
    }
}

static void drawing_swap(struct drawing *d, uint32_t i, uint32_t j) {
    uint32_t kept = d->numbers[i];
    d->numbers[i] = d->numbers[j];
    d->numbers[j] = kept;
}

/* The first `count` numbers are drawn then, until put_back. */
static void drawing_draw(struct drawing *d, struct chance *c, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        d->swaps[i] = i + chance_below(c, d->n - i);
        drawing_swap(d, i, d->swaps[i]);
    }
}

static void drawing_put_back(struct drawing *d, uint32_t count) {
    for (uint32_t i = count; i-- > 0;) {
        drawing_swap(d, i, d->swaps[i]);
    }
}

/* ---- agreement of signs ---------------------------------------------------- */

/* Members of a set that have a sign and are in the profile. */
struct signed_set {
    uint32_t count;
    double *weights; /* times the sign */
    double observed; /* sum of weights times the signs of the values */
};

static void signed_read(const struct lig_matching *m, size_t set, const int8_t *signs,
                        struct signed_set *s) {
    const struct lig_collection *c = m->collection;
    s->count = 0;
    s->observed = 0;
    for (size_t i = c->starts[set]; i < c->starts[set + 1]; i++) {
        if (m->found[i] != LIG_NOWHERE && c->signs[i] != 0) {
            double weight = c->weights[i] * c->signs[i];
            s->weights[s->count++] = weight;
            s->observed += weight * signs[m->found[i]];
        }
    }
}

/* Sums of the same weights in another order may differ in their last bits. */
static bool is_as_far(double drawn, double observed) {
    return fabs(drawn) >= fabs(observed) - 1e-9 * (1 + fabs(observed));
}

static double signed_chance(struct signed_set *s, const int8_t *signs, struct drawing *d,
                            struct chance *c, lua_Integer permutations) {
    lua_Integer as_far = 0;
    for (lua_Integer i = 0; i < permutations; i++) {
        double sum = 0;
        drawing_draw(d, c, s->count);
        for (uint32_t j = 0; j < s->count; j++) {
            sum += s->weights[j] * signs[d->numbers[j]];
        }
        drawing_put_back(d, s->count);
        as_far += is_as_far(sum, s->observed);
    }
    return (double)(as_far + 1) / (double)(permutations + 1);
}

/* matching:agreement_chance{permutations = n, seed = s, wanted = list} -> list by set: how likely
 * members drawn at random from the profile, with the set's weights and signs, agree or disagree
 * with their values as much as the set's own do: (1 + those that do) / (1 + n). Null for a set
 * without signed members in the profile, and for one whose place in `wanted` is false. */
static int matching_agreement_chance(lua_State *L) {
    const struct lig_matching *m = lig_matching_check(L, 1);
    const struct lig_profile *p = m->profile;
    lua_Integer permutations = lig_field_integer(L, 2, "permutations", 1000, 1, PERMUTATIONS_MOST);
    lua_Integer seed = lig_field_integer(L, 2, "seed", SEED, LUA_MININTEGER, LUA_MAXINTEGER);
    size_t sets = m->collection->set_count;
    int8_t *signs = lua_newuserdatauv(L, p->count + 1, 0);
    for (size_t i = 0; i < p->count; i++) {
        signs[i] = (int8_t)((p->values[i] > 0) - (p->values[i] < 0));
    }
    struct signed_set s;
    s.weights = lua_newuserdatauv(L, (m->collection->member_count + 1) * sizeof(double), 0);
    double *chances = lua_newuserdatauv(L, (sets + 1) * sizeof *chances, 0);
    struct drawing d;
    drawing_begin(L, &d, p->count);
    for (size_t set = 0; set < sets; set++) {
        lig_interrupt_check(L);
        chances[set] = NAN;
        if (!lig_is_wanted(L, 2, set)) {
            continue;
        }
        signed_read(m, set, signs, &s);
        // Two members may share a key, so that there can be more of them than keys to draw.
        bool can_draw = s.count > 0 && s.count <= p->count;
        struct chance c = chance_begin((uint64_t)seed, p->count, s.count, 0);
        chances[set] = can_draw ? signed_chance(&s, signs, &d, &c, permutations) : NAN;
    }
    lig_numbers_push(L, chances, sets);
    return 1;
}

/* ---- running sums ---------------------------------------------------------- */

/* The places of a profile with the weight of each, and a set of places as bits, from which
 * they come out in order. */
struct track {
    size_t n;
    const double *weights; /* by place */
    uint64_t *bits;
};

static void track_mark(struct track *t, size_t place) {
    t->bits[place / 64] |= UINT64_C(1) << (place % 64);
}

/* The largest deviation of the running sum over the places that are marked, which are unmarked
 * on the way: up by their share of the weights at each, down by the same at all others.
 * 0 when up and down go equally far. */
static double track_run(struct track *t, size_t count) {
    double total = 0;
    size_t words = t->n / 64 + 1;
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = t->bits[w]; left != 0; left &= left - 1) {
            total += t->weights[w * 64 + (size_t)__builtin_ctzll(left)];
        }
    }
    double others = t->n > count ? (double)(t->n - count) : 1;
    double sum = 0, highest = -INFINITY, lowest = INFINITY;
    size_t seen = 0;
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = t->bits[w]; left != 0; left &= left - 1) {
            size_t place = w * 64 + (size_t)__builtin_ctzll(left);
            double before = sum / total, missed = (double)(place - seen) / others;
            sum += t->weights[place];
            double after = sum / total;
            if (total == 0) {
                before = (double)seen / (double)count;
                after = (double)(seen + 1) / (double)count;
            }
            seen++;
            highest = after - missed > highest ? after - missed : highest;
            lowest = before - missed < lowest ? before - missed : lowest;
        }
        t->bits[w] = 0;
    }
    return highest == -lowest ? 0 : highest > -lowest ? highest : lowest;
}

/* One set: its members that rise and those that fall, and what they give together. */
struct pair {
    uint32_t up, down;
};

static double pair_score(struct pair p, double up, double down) {
    if (p.down == 0) {
        return up;
    } else if (p.up == 0) {
        return -down;
    }
    return (up > 0) != (down > 0) && up != 0 && down != 0 ? (up - down) / 2 : 0;
}

static double pair_observed(const struct lig_matching *m, size_t set, struct track *t,
                            struct pair *p) {
    const struct lig_collection *c = m->collection;
    double sides[2];
    uint32_t counts[2];
    for (int down = 0; down < 2; down++) {
        counts[down] = 0;
        for (size_t i = c->starts[set]; i < c->starts[set + 1]; i++) {
            if (m->found[i] != LIG_NOWHERE && (c->signs[i] < 0) == (down == 1)) {
                size_t place = m->profile->place[m->found[i]];
                // A key that two members share counts once.
                counts[down] += !(t->bits[place / 64] >> (place % 64) & 1);
                track_mark(t, place);
            }
        }
        sides[down] = counts[down] > 0 ? track_run(t, counts[down]) : 0;
    }
    *p = (struct pair){counts[0], counts[1]};
    return p->up + p->down > 0 ? pair_score(*p, sides[0], sides[1]) : NAN;
}

static double pair_drawn(struct pair p, struct track *t, struct drawing *d, struct chance *c) {
    double sides[2] = {0, 0};
    drawing_draw(d, c, p.up + p.down);
    for (int down = 0; down < 2; down++) {
        uint32_t from = down ? p.up : 0, to = down ? p.up + p.down : p.up;
        for (uint32_t i = from; i < to; i++) {
            track_mark(t, d->numbers[i]);
        }
        sides[down] = to > from ? track_run(t, to - from) : 0;
    }
    drawing_put_back(d, p.up + p.down);
    return pair_score(p, sides[0], sides[1]);
}

struct run {
    double score, normalized, chance, as_far;
    struct pair pair;
    uint32_t set;
};

/* By sizes, so that sets of the same sizes share what was drawn. */
static int run_compare(const void *a, const void *b) {
    const struct run *x = a, *y = b;
    if (x->pair.up != y->pair.up) {
        return x->pair.up < y->pair.up ? -1 : 1;
    } else if (x->pair.down != y->pair.down) {
        return x->pair.down < y->pair.down ? -1 : 1;
    }
    return x->set < y->set ? -1 : 1;
}

/* Compares a set's score with those drawn: on its own side of 0 only. */
static void run_judge(struct run *r, const double *drawn, lua_Integer permutations) {
    lua_Integer as_far = 0, same_side = 0;
    double sum = 0;
    bool is_up = r->score > 0;
    for (lua_Integer i = 0; i < permutations; i++) {
        if (is_up ? drawn[i] >= 0 : drawn[i] <= 0) {
            same_side++;
            sum += drawn[i];
            as_far += is_up ? drawn[i] >= r->score : drawn[i] <= r->score;
        }
    }
    r->as_far = (double)as_far;
    r->chance = (double)(as_far + 1) / (double)(same_side + 1);
    r->normalized = sum != 0 ? r->score / fabs(sum / (double)same_side) : NAN;
}

static void runs_judge(lua_State *L, struct run *runs, size_t count, struct track *t,
                       lua_Integer permutations, lua_Integer seed) {
    double *drawn = lua_newuserdatauv(L, (size_t)permutations * sizeof *drawn, 0);
    struct drawing d;
    drawing_begin(L, &d, t->n);
    qsort(runs, count, sizeof *runs, run_compare);
    const struct pair *last = NULL;
    for (size_t i = 0; i < count; i++) {
        struct pair p = runs[i].pair;
        if (p.up + p.down == 0 || (size_t)p.up + p.down > t->n) {
            continue;
        }
        if (last == NULL || last->up != p.up || last->down != p.down) {
            struct chance c = chance_begin((uint64_t)seed, t->n, p.up, p.down);
            for (lua_Integer j = 0; j < permutations; j++) {
                drawn[j] = pair_drawn(p, t, &d, &c);
                if (j % 1024 == 0) {
                    lig_interrupt_check(L);
                }
            }
            last = &runs[i].pair;
        }
        run_judge(&runs[i], drawn, permutations);
    }
}

/* The weight of each place: the value's size to the power of the exponent. An infinite value
 * counts as the largest finite one. */
static double *place_weights(lua_State *L, const struct lig_profile *p, int quarters) {
    double *weights = lua_newuserdatauv(L, (p->count + 1) * sizeof *weights, 0);
    double largest = 0;
    for (size_t i = 0; i < p->count; i++) {
        double size = fabs(p->values[i]);
        largest = !isinf(size) && size > largest ? size : largest;
    }
    for (size_t place = 0; place < p->count; place++) {
        double size = fabs(p->values[p->order[place]]);
        weights[place] = lig_power(isinf(size) ? largest : size, quarters);
    }
    return weights;
}

static void runs_push(lua_State *L, const struct run *runs, size_t count) {
    static const char *const names[] = {"score", "normalized", "chance", "as_far", "up", "down"};
    lua_createtable(L, 0, 6);
    for (int field = 0; field < 6; field++) {
        lua_createtable(L, (int)count, 0);
        for (size_t i = 0; i < count; i++) {
            const struct run *r = &runs[i];
            double values[] = {r->score,  r->normalized,      r->chance,
                               r->as_far, (double)r->pair.up, (double)r->pair.down};
            if (isnan(values[field])) {
                lua_pushlightuserdata(L, NULL);
            } else if (field > 2) {
                lua_pushinteger(L, (lua_Integer)values[field]);
            } else {
                lua_pushnumber(L, values[field]);
            }
            lua_rawseti(L, -2, (lua_Integer)r->set + 1);
        }
        lua_setfield(L, -2, names[field]);
    }
}

/* matching:running_sum{exponent = 1, permutations = 0, seed = s, wanted = list} -> lists by set:
 * `score`, the largest deviation of the running sum of its members, weighted by the size of their
 * values to the power of the exponent; of members with signs, half the difference between those
 * that rise (sign 0 or 1) and those that fall (-1) when they lie on different sides, 0
 * otherwise. With permutations also `normalized`, the score over the mean of those on its
 * side that sets of its size give when drawn at random, `chance`, how likely such a set
 * goes as far, and `as_far`, how many of those drawn did. `up` and `down` are the sizes. A set
 * whose place in `wanted` is false has nothing. */
static int matching_running_sum(lua_State *L) {
    const struct lig_matching *m = lig_matching_check(L, 1);
    struct lig_profile *p = m->profile;
    int quarters = lig_field_quarters(L, 2, "exponent", 1);
    lua_Integer permutations = lig_field_integer(L, 2, "permutations", 0, 0, PERMUTATIONS_MOST);
    lua_Integer seed = lig_field_integer(L, 2, "seed", SEED, LUA_MININTEGER, LUA_MAXINTEGER);
    size_t sets = m->collection->set_count;
    lig_profile_sort(p);
    struct track t = {.n = p->count, .weights = place_weights(L, p, quarters)};
    t.bits = lua_newuserdatauv(L, (p->count / 64 + 1) * sizeof *t.bits, 0);
    memset(t.bits, 0, (p->count / 64 + 1) * sizeof *t.bits);
    struct run *runs = lua_newuserdatauv(L, (sets + 1) * sizeof *runs, 0);
    for (size_t set = 0; set < sets; set++) {
        runs[set] =
            (struct run){.normalized = NAN, .chance = NAN, .as_far = NAN, .set = (uint32_t)set};
        runs[set].score = NAN;
        if (lig_is_wanted(L, 2, set)) {
            runs[set].score = pair_observed(m, set, &t, &runs[set].pair);
        }
    }
    if (permutations > 0) {
        runs_judge(L, runs, sets, &t, permutations, seed);
    }
    runs_push(L, runs, sets);
    return 1;
}

/* ---- overlap --------------------------------------------------------------- */

/* A number with an exponent of its own, so that nothing underflows on the way. */
struct scaled {
    double fraction;
    int64_t exponent;
};

static struct scaled scaled_make(double fraction, int64_t exponent) {
    int more;
    fraction = frexp(fraction, &more); // exact
    return (struct scaled){fraction, fraction == 0 ? INT64_MIN / 2 : exponent + more};
}

static struct scaled scaled_add(struct scaled a, struct scaled b) {
    if (a.exponent < b.exponent) {
        struct scaled kept = a;
        a = b;
        b = kept;
    }
    int64_t shift = a.exponent - b.exponent;
    return scaled_make(a.fraction + (shift > 100 ? 0 : ldexp(b.fraction, -(int)shift)), a.exponent);
}

/* sets.overlap_chance(k, K, n, N) -> how likely k or more of K marked ones are among n drawn
 * from N: the upper tail of the hypergeometric distribution, from the ratios of its terms. */
static int sets_overlap_chance(lua_State *L) {
    lua_Integer k = luaL_checkinteger(L, 1), marked = luaL_checkinteger(L, 2);
    lua_Integer drawn = luaL_checkinteger(L, 3), all = luaL_checkinteger(L, 4);
    if (all < 0 || all > INT32_MAX || marked < 0 || marked > all || drawn < 0 || drawn > all) {
        lig_error_usage(L, "%lld of %lld marked and %lld drawn of %lld cannot be", (long long)k,
                        (long long)marked, (long long)drawn, (long long)all);
    }
    lua_Integer least = marked + drawn > all ? marked + drawn - all : 0;
    lua_Integer most = marked < drawn ? marked : drawn;
    // All terms relative to the first one, in both tails positive: nothing cancels.
    struct scaled term = {0.5, 1}, lower = {0, INT64_MIN / 2}, upper = {0, INT64_MIN / 2};
    for (lua_Integer i = least; i <= most; i++) {
        if (i >= k) {
            upper = scaled_add(upper, term);
        } else {
            lower = scaled_add(lower, term);
        }
        double ratio = (double)(marked - i) * (double)(drawn - i) /
                       ((double)(i + 1) * (double)(all - marked - drawn + i + 1));
        term = i < most ? scaled_make(term.fraction * ratio, term.exponent) : term;
        if ((i & 4095) == 0) {
            lig_interrupt_check(L);
        }
    }
    struct scaled total = scaled_add(lower, upper);
    int64_t shift = upper.exponent - total.exponent;
    double chance = upper.fraction / total.fraction;
    lua_pushnumber(L, shift < -2000 ? 0 : ldexp(chance, (int)shift));
    return 1;
}

const luaL_Reg lig_matching_chance_methods[] = {{"agreement_chance", matching_agreement_chance},
                                                {"running_sum", matching_running_sum},
                                                {NULL, NULL}};
const luaL_Reg lig_sets_chance_functions[] = {{"overlap_chance", sets_overlap_chance},
                                              {NULL, NULL}};
