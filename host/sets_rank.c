/* sets_rank.c: where the members of sets stand in a profile that is sorted by value.
 *
 * Places count from the greatest value; among equal values the one that came first stands
 * first.
 */
#include "sets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- order ----------------------------------------------------------------- */

struct entry {
    double value;
    uint32_t index;
};

static int entry_compare(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->index < y->index ? -1 : 1;
}

/* Without memory for the faster way the slower one does. */
static void order_insert(struct lig_profile *p) {
    for (size_t i = 0; i < p->count; i++) {
        size_t at = i;
        for (; at > 0 && p->values[p->order[at - 1]] < p->values[i]; at--) {
            p->order[at] = p->order[at - 1];
        }
        p->order[at] = (uint32_t)i;
    }
}

void lig_profile_sort(struct lig_profile *p) {
    if (p->is_sorted) {
        return;
    }
    struct entry *entries = malloc((p->count + 1) * sizeof *entries);
    if (entries == NULL) {
        order_insert(p);
    } else {
        for (size_t i = 0; i < p->count; i++) {
            entries[i] = (struct entry){p->values[i], (uint32_t)i};
        }
        qsort(entries, p->count, sizeof *entries, entry_compare);
        for (size_t i = 0; i < p->count; i++) {
            p->order[i] = entries[i].index;
        }
        free(entries);
    }
    for (size_t i = 0; i < p->count; i++) {
        p->place[p->order[i]] = (uint32_t)i;
    }
    p->is_sorted = true;
}

/* The first place of the run of equal values that place `at` belongs to, and behind its last. */
static void run_of(const struct lig_profile *p, size_t at, size_t *first, size_t *behind) {
    double value = p->values[p->order[at]];
    *first = *behind = at;
    while (*first > 0 && p->values[p->order[*first - 1]] == value) {
        --*first;
    }
    while (*behind < p->count && p->values[p->order[*behind]] == value) {
        ++*behind;
    }
}

/* ---- mean ranks ------------------------------------------------------------ */

/* matching:mean_ranks() -> two tables, of the members with a sign of 0 or 1 and of those with -1,
 * each with lists by set: `count`, how many the profile has, and `mean`, the mean of their
 * ranks. Ranks count from 1 for the smallest value; equal values share the smallest rank. */
static int matching_mean_ranks(lua_State *L) {
    const struct lig_matching *m = lig_matching_check(L, 1);
    const struct lig_collection *c = m->collection;
    struct lig_profile *p = m->profile;
    lig_profile_sort(p);
    lua_settop(L, 1);
    uint32_t *ranks = lua_newuserdatauv(L, (p->count + 1) * sizeof *ranks, 0);
    for (size_t at = 0, behind; at < p->count; at = behind) {
        size_t first;
        run_of(p, at, &first, &behind);
        for (size_t i = first; i < behind; i++) {
            ranks[p->order[i]] = (uint32_t)(p->count - behind + 1);
        }
    }
    double *means = lua_newuserdatauv(L, (c->set_count + 1) * 4 * sizeof *means, 0);
    for (size_t set = 0; set < c->set_count; set++) {
        uint64_t sums[2] = {0}, counts[2] = {0};
        for (size_t i = c->starts[set]; i < c->starts[set + 1]; i++) {
            if (m->found[i] != LIG_NOWHERE) {
                sums[c->signs[i] < 0] += ranks[m->found[i]];
                counts[c->signs[i] < 0]++;
            }
        }
        for (int down = 0; down < 2; down++) {
            size_t row = (size_t)down * 2 * c->set_count;
            means[row + set] = (double)counts[down];
            means[row + c->set_count + set] =
                counts[down] > 0 ? (double)sums[down] / (double)counts[down] : NAN;
        }
    }
    for (int down = 0; down < 2; down++) {
        size_t row = (size_t)down * 2 * c->set_count;
        lua_createtable(L, 0, 2);
        lig_numbers_push(L, means + row, c->set_count);
        lua_setfield(L, -2, "count");
        lig_numbers_push(L, means + row + c->set_count, c->set_count);
        lua_setfield(L, -2, "mean");
    }
    return 2;
}

/* ---- the difference of two running sums ------------------------------------- */

/* One side of a set in the walk: sums over its members, from the greatest value down. */
struct walk {
    double weighted, weight; /* of rank ^ exponent times the places left, and of rank ^ exponent */
    uint64_t left, count;    /* places left, and members */
};

static double walk_score(const struct walk *w, size_t n) {
    if (w->count == 0 || w->count == n) {
        return NAN;
    }
    double all = (double)n * ((double)n + 1) / 2;
    return w->weighted / w->weight - (all - (double)w->left) / (double)(n - w->count);
}

struct place_mark {
    uint32_t place;
    int8_t sign;
};

static int place_compare(const void *a, const void *b) {
    const struct place_mark *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* The members of a set that the profile has, by place; gives how many. */
static size_t set_places(const struct lig_matching *m, size_t set, struct place_mark *places) {
    const struct lig_collection *c = m->collection;
    size_t count = 0;
    for (size_t i = c->starts[set]; i < c->starts[set + 1]; i++) {
        if (m->found[i] != LIG_NOWHERE) {
            places[count++] = (struct place_mark){m->profile->place[m->found[i]], c->signs[i]};
        }
    }
    qsort(places, count, sizeof *places, place_compare);
    return count;
}

/* matching:walk{exponent = 0.25} -> two lists by set, of the members with a sign of 0 or 1
 * and of those with -1: the sum of the differences between the distribution of the members,
 * weighted by rank ^ exponent, and that of all other keys, along the places. Ranks count
 * from 1 for the smallest value; equal values share the mean of their ranks, its fraction
 * cut off. Null where the profile has none of the members, or nothing else. */
static int matching_walk(lua_State *L) {
    const struct lig_matching *m = lig_matching_check(L, 1);
    const struct lig_collection *c = m->collection;
    struct lig_profile *p = m->profile;
    int quarters = lig_field_quarters(L, 2, "exponent", 0.25);
    lig_profile_sort(p);
    lua_settop(L, 1);
    double *powers = lua_newuserdatauv(L, (p->count + 1) * sizeof *powers, 0); // by place
    for (size_t at = 0, behind; at < p->count; at = behind) {
        size_t first;
        run_of(p, at, &first, &behind);
        // The ranks in the run are count - behind + 1 .. count - first; the mean's fraction is cut.
        size_t rank = (2 * p->count - behind - first + 1) / 2;
        for (size_t i = first; i < behind; i++) {
            powers[i] = lig_power((double)rank, quarters);
        }
    }
    struct place_mark *places = lua_newuserdatauv(L, (c->member_count + 1) * sizeof *places, 0);
    double *scores = lua_newuserdatauv(L, (c->set_count + 1) * 2 * sizeof *scores, 0);
    for (size_t set = 0; set < c->set_count; set++) {
        struct walk sides[2] = {{.count = 0}, {.count = 0}};
        size_t count = set_places(m, set, places);
        for (size_t i = 0; i < count; i++) {
            struct walk *side = &sides[places[i].sign < 0];
            size_t left = p->count - places[i].place;
            side->weighted += powers[places[i].place] * (double)left;
            side->weight += powers[places[i].place];
            side->left += left;
            side->count++;
        }
        scores[set] = walk_score(&sides[0], p->count);
        scores[c->set_count + set] = walk_score(&sides[1], p->count);
    }
    lig_numbers_push(L, scores, c->set_count);
    lig_numbers_push(L, scores + c->set_count, c->set_count);
    return 2;
}

const luaL_Reg lig_matching_rank_methods[] = {
    {"mean_ranks", matching_mean_ranks}, {"walk", matching_walk}, {NULL, NULL}};
