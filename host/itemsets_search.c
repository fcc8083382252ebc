/* itemsets_search.c: which items occur together in many transactions: the search.
 *
 * Each item is a row of bits, one for each transaction (the vertical form of Zaki's Eclat,
 * IEEE Trans Knowl Data Eng 12 (2000) 372). Sets are grown item by item, depth first, while
 * they pass three thresholds that no larger set can pass once a smaller one fails: support,
 * similarity (support over the transactions with any of the items) and confidence (support
 * over that of the most frequent item). Of sets in the same transactions only the largest
 * that pass are found: a set is left out when one more item, also one that comes earlier in
 * the order, would keep its transactions and pass.
 *
 * Counts are compared as quotients of doubles: the same input gives the same sets, in the
 * same order, on every machine.
 */
#include "itemsets.h"

#include <stdlib.h>
#include <string.h>

#define NODES_PER_LOOK 256 /* sets between two looks at whether a signal came */

/* ---- memory ------------------------------------------------------------- */

/* A list with room for one more; false when there is no memory. */
static bool list_reserve(void **list, size_t count, size_t *room, size_t size) {
    if (count < *room) {
        return true;
    }
    size_t more = *room < 16 ? 16 : *room * 2;
    void *longer = realloc(*list, more * size);
    if (longer == NULL) {
        return false;
    }
    *list = longer;
    *room = more;
    return true;
}

static bool growing_add(growing *g, uint32_t value) {
    void *list = g->list;
    if (!list_reserve(&list, g->count, &g->room, sizeof *g->list)) {
        return false;
    }
    g->list = list;
    g->list[g->count++] = value;
    return true;
}

static bool extensions_add(extensions *e, extension one) {
    void *list = e->list;
    size_t room = e->room;
    bool done = list_reserve(&list, e->count, &room, sizeof *e->list);
    e->list = list;
    e->room = (uint32_t)room;
    if (done) {
        e->list[e->count++] = one;
    }
    return done;
}

void lig_miner_free(lig_miner *m) {
    free(m->supports);
    free(m->places);
    free(m->members);
    free(m->bits);
    free(m->groups);
    free(m->entries);
    free(m->starts);
    free(m->shared);
    for (uint32_t i = 0; i < m->level_count; i++) {
        free(m->levels[i].all);
        free(m->levels[i].later.list);
        free(m->levels[i].earlier.list);
    }
    free(m->levels);
    free(m->path.list);
    free(m->items.list);
    free(m->transactions.list);
    free(m->found);
    *m = (lig_miner){0};
}

/* The level at a depth, with room for its bits; NULL when there is no memory. */
static level *miner_level(lig_miner *m, uint32_t depth) {
    if (depth >= m->level_count) {
        uint32_t count = m->level_count < 8 ? 8 : m->level_count * 2;
        level *levels = realloc(m->levels, count * sizeof *levels);
        if (levels == NULL) {
            return NULL;
        }
        memset(levels + m->level_count, 0, (count - m->level_count) * sizeof *levels);
        m->levels = levels;
        m->level_count = count;
    }
    level *l = &m->levels[depth];
    if (l->all == NULL) {
        l->all = malloc(2 * m->words * sizeof *l->all);
        l->any = l->all == NULL ? NULL : l->all + m->words;
    }
    return l->all == NULL ? NULL : l;
}

/* ---- counting bits ------------------------------------------------------ */

static inline uint32_t both_count(const uint64_t *a, const uint64_t *b, size_t words) {
    uint32_t count = 0;
    for (size_t i = 0; i < words; i++) {
        count += (uint32_t)__builtin_popcountll(a[i] & b[i]);
    }
    return count;
}

static inline uint32_t any_count(const uint64_t *a, const uint64_t *b, size_t words) {
    uint32_t count = 0;
    for (size_t i = 0; i < words; i++) {
        count += (uint32_t)__builtin_popcountll(a[i] | b[i]);
    }
    return count;
}

#if defined(__x86_64__) && defined(__GNUC__)
/* The same with the processor's own instruction, which every one of the last fifteen years
 * has: several times as fast. */
__attribute__((target("popcnt"))) static uint32_t both_count_fast(const uint64_t *a,
                                                                  const uint64_t *b, size_t words) {
    uint32_t count = 0;
    for (size_t i = 0; i < words; i++) {
        count += (uint32_t)__builtin_popcountll(a[i] & b[i]);
    }
    return count;
}

__attribute__((target("popcnt"))) static uint32_t any_count_fast(const uint64_t *a,
                                                                 const uint64_t *b, size_t words) {
    uint32_t count = 0;
    for (size_t i = 0; i < words; i++) {
        count += (uint32_t)__builtin_popcountll(a[i] | b[i]);
    }
    return count;
}

static bool popcount_is_there(void) {
    return __builtin_cpu_supports("popcnt") != 0;
}
#else
#define both_count_fast both_count
#define any_count_fast any_count
static bool popcount_is_there(void) {
    return false;
}
#endif

const uint64_t *lig_group_bits(const lig_miner *m, uint32_t g) {
    return m->bits + g * m->words;
}

static uint32_t count_both(const lig_miner *m, const uint64_t *a, const uint64_t *b) {
    return m->has_popcount ? both_count_fast(a, b, m->words) : both_count(a, b, m->words);
}

static uint32_t count_any(const lig_miner *m, const uint64_t *a, const uint64_t *b) {
    return m->has_popcount ? any_count_fast(a, b, m->words) : any_count(a, b, m->words);
}

/* ---- the search --------------------------------------------------------- */

static uint32_t greater(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static bool passes(const lig_rules *r, uint32_t support, uint32_t any, uint32_t most) {
    return support >= r->support && (double)support / (double)any >= r->similarity &&
           (double)support / (double)most >= r->confidence;
}

/* What a level's set with one more group would be; false when it does not pass. */
static bool extend(const lig_miner *m, const level *l, uint32_t g, extension *out) {
    const uint64_t *bits = lig_group_bits(m, g);
    uint32_t support = count_both(m, l->all, bits);
    if (support < m->rules.support) {
        return false;
    }
    uint32_t any = count_any(m, l->any, bits);
    *out = (extension){g, support, any, greater(l->most, m->groups[g].support)};
    return passes(&m->rules, support, any, out->most);
}

static bool is_perfect(const level *l, const extension *e) {
    return e->support == l->support && e->any == l->any_count && e->most == l->most;
}

/* Adds all of `from` that still pass with the level's set to one of its lists. */
static bool filter(const lig_miner *m, const level *l, const extension *from, uint32_t count,
                   extensions *to) {
    for (uint32_t i = 0; i < count; i++) {
        extension e;
        if (extend(m, l, from[i].group, &e) && !extensions_add(to, e)) {
            return false;
        }
    }
    return true;
}

/* Counts what a group shares with all others by going through its transactions, where that
 * is less work than holding its bits against theirs: not where nearly everything is in
 * nearly every transaction. */
static bool count_shared(const lig_miner *m, uint32_t g) {
    const uint64_t *bits = lig_group_bits(m, g);
    size_t entries = 0;
    for (uint32_t t = 0; t < m->transaction_count; t++) {
        if ((bits[t / 64] >> (t % 64) & 1) != 0) {
            entries += m->starts[t + 1] - m->starts[t];
        }
    }
    if (entries > m->group_count * m->words / 2) {
        return false;
    }
    memset(m->shared, 0, m->group_count * sizeof *m->shared);
    for (uint32_t t = 0; t < m->transaction_count; t++) {
        if ((bits[t / 64] >> (t % 64) & 1) != 0) {
            for (size_t i = m->starts[t]; i < m->starts[t + 1]; i++) {
                m->shared[m->entries[i]]++;
            }
        }
    }
    return true;
}

/* Groups that may go with a single one. Of two, the rarer one bounds what both have, the
 * more frequent one what any has. */
static bool filter_pairs(const lig_miner *m, const level *l, uint32_t g, uint32_t from, uint32_t to,
                         bool is_counted, extensions *out) {
    uint32_t own = m->groups[g].support;
    for (uint32_t other = from; other < to; other++) {
        if (is_counted && m->shared[other] < m->rules.support) {
            continue;
        }
        uint32_t support = m->groups[other].support;
        uint32_t least = own < support ? own : support;
        if (!passes(&m->rules, least, greater(own, support), greater(own, support))) {
            continue;
        }
        uint32_t both =
            is_counted ? m->shared[other] : count_both(m, l->all, lig_group_bits(m, other));
        extension e = {other, both, own + support - both, greater(own, support)};
        if (passes(&m->rules, both, e.any, e.most) && !extensions_add(out, e)) {
            return false;
        }
    }
    return true;
}

static int uint32_order(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Notes the level's set. */
static bool note(lig_miner *m, const level *l) {
    size_t begin = m->items.count;
    for (size_t i = 0; i < m->path.count; i++) {
        const group *g = &m->groups[m->path.list[i]];
        for (uint32_t k = 0; k < g->count; k++) {
            if (!growing_add(&m->items, m->members[g->first + k])) {
                return false;
            }
        }
    }
    qsort(m->items.list + begin, m->items.count - begin, sizeof *m->items.list, uint32_order);
    for (uint32_t t = 0; t < m->transaction_count; t++) {
        if ((l->all[t / 64] >> (t % 64) & 1) != 0 && !growing_add(&m->transactions, t + 1)) {
            return false;
        }
    }
    void *list = m->found;
    if (!list_reserve(&list, m->found_count, &m->found_room, sizeof *m->found)) {
        return false;
    }
    m->found = list;
    m->found[m->found_count++] =
        (found){m->items.count, m->transactions.count, l->support, l->any_count, l->most};
    return true;
}

/* A set and its lists are there: takes in the groups that change nothing, and notes it when
 * no larger set is in the same transactions. What cannot lead to such a set is cut off. */
static bool settle(lig_miner *m, level *l) {
    for (uint32_t i = 0; i < l->earlier.count; i++) {
        if (is_perfect(l, &l->earlier.list[i])) {
            l->later.count = 0;
            return true;
        }
    }
    uint32_t kept = 0, reachable = 0;
    bool is_closed = true;
    for (uint32_t i = 0; i < l->later.count; i++) {
        extension e = l->later.list[i];
        if (is_perfect(l, &e)) {
            l->size += m->groups[e.group].count;
            if (!growing_add(&m->path, e.group)) {
                return false;
            }
        } else {
            is_closed = is_closed && e.support < l->support;
            reachable += m->groups[e.group].count;
            l->later.list[kept++] = e;
        }
    }
    l->later.count = l->size + reachable < m->rules.size ? 0 : kept;
    for (uint32_t i = 0; is_closed && i < l->earlier.count; i++) {
        is_closed = l->earlier.list[i].support < l->support;
    }
    if (!is_closed || l->size < m->rules.size) {
        return true;
    }
    if (m->found_count == m->rules.limit) {
        m->is_cut = true;
        return true;
    }
    return note(m, l);
}

/* Makes the first level: a single group. */
static lig_mining begin_at(lig_miner *m, uint32_t g) {
    level *l = miner_level(m, 0);
    if (l == NULL) {
        return LIG_NO_MEMORY;
    }
    memcpy(l->all, lig_group_bits(m, g), m->words * sizeof *l->all);
    memcpy(l->any, l->all, m->words * sizeof *l->any);
    l->support = l->any_count = l->most = m->groups[g].support;
    l->size = m->groups[g].count;
    l->next = l->later.count = l->earlier.count = l->groups_before = 0;
    m->path.count = 0;
    bool is_counted = count_shared(m, g);
    if (!growing_add(&m->path, g) ||
        !filter_pairs(m, l, g, g + 1, m->group_count, is_counted, &l->later)) {
        return LIG_NO_MEMORY;
    }
    if (l->later.count == 0 && l->size < m->rules.size) {
        return LIG_MINED;
    }
    return filter_pairs(m, l, g, 0, g, is_counted, &l->earlier) && settle(m, l) ? LIG_MINED
                                                                                : LIG_NO_MEMORY;
}

/* Makes the level below: its set has the next group that may be added. */
static lig_mining descend(lig_miner *m, uint32_t depth) {
    level *below = miner_level(m, depth + 1);
    if (below == NULL) {
        return LIG_NO_MEMORY;
    }
    level *above = &m->levels[depth]; // the levels may have moved
    uint32_t place = above->next++;
    extension e = above->later.list[place];
    const uint64_t *bits = lig_group_bits(m, e.group);
    for (size_t i = 0; i < m->words; i++) {
        below->all[i] = above->all[i] & bits[i];
        below->any[i] = above->any[i] | bits[i];
    }
    below->support = e.support;
    below->any_count = e.any;
    below->most = e.most;
    below->size = above->size + m->groups[e.group].count;
    below->groups_before = (uint32_t)m->path.count;
    below->next = below->later.count = below->earlier.count = 0;
    const extension *list = above->later.list;
    bool done = growing_add(&m->path, e.group) &&
                filter(m, below, list + place + 1, above->later.count - place - 1, &below->later) &&
                filter(m, below, list, place, &below->earlier) &&
                filter(m, below, above->earlier.list, above->earlier.count, &below->earlier);
    return done && settle(m, below) ? LIG_MINED : LIG_NO_MEMORY;
}

lig_mining lig_miner_run(lig_miner *m) {
    uint32_t nodes = 0;
    m->has_popcount = popcount_is_there();
    for (uint32_t g = 0; g < m->group_count && !m->is_cut; g++) {
        lig_mining result = begin_at(m, g);
        if (result != LIG_MINED) {
            return result;
        }
        uint32_t depth = 0;
        while (!m->is_cut) {
            if (++nodes % NODES_PER_LOOK == 0 && lig_interrupted()) {
                return LIG_INTERRUPTED;
            }
            level *l = &m->levels[depth];
            if (l->next < l->later.count) {
                result = descend(m, depth++);
                if (result != LIG_MINED) {
                    return result;
                }
            } else if (depth == 0) {
                break;
            } else {
                m->path.count = l->groups_before;
                depth--;
            }
        }
        if (lig_interrupted()) {
            return LIG_INTERRUPTED;
        }
    }
    return LIG_MINED;
}
