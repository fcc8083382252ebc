/* itemsets.c: "itemsets": which items occur together in many transactions.
 *
 * Each item is a row of bits, one for each transaction (the vertical form of Zaki's Eclat,
 * IEEE Trans Knowl Data Eng 12 (2000) 372). Sets are grown item by item, depth first, while
 * they pass three thresholds that no larger set can pass once a smaller one fails: support,
 * similarity (support over the transactions with any of the items) and confidence (support
 * over that of the most frequent item). Of sets in the same transactions only the largest
 * that pass are found: a set is left out when one more item, also one that comes earlier in
 * the order, would keep its transactions and pass.
 *
 * The engine part knows nothing of Lua; the box owns all memory, so that an interruption
 * or a failed allocation leaks nothing. Counts are compared as quotients of doubles: the
 * same input gives the same sets, in the same order, on every machine.
 */
#include "lig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MINER_CLASS "ligase.itemsets.miner"
#define ITEM_MAX (1 << 30)
#define NODES_PER_LOOK 256 /* sets between two looks at whether a signal came */

typedef struct rules {
    uint32_t support, size, limit;
    double similarity, confidence;
} rules;

/* Items that occur in the same transactions are one group: each goes with all others. */
typedef struct group {
    uint32_t first, count; // members
    uint32_t support;
} group;

/* A group that may be added to a set, and what the set would be then. */
typedef struct extension {
    uint32_t group, support, any, most;
} extension;

typedef struct extensions {
    extension *list;
    uint32_t count, room;
} extensions;

/* One level of the search: a set, what may be added, and what was tried before. */
typedef struct level {
    uint64_t *all, *any;       // transactions with all, and with any, of the items
    extensions later, earlier; // later: still to be tried at this level
    uint32_t support, any_count, most;
    uint32_t groups_before; // how many groups the set above has
    uint32_t size;          // members of its groups
    uint32_t next;          // place in later
} level;

typedef struct growing {
    uint32_t *list;
    size_t count, room;
} growing;

/* A set that was found: places in the lists of items and transactions where it ends. */
typedef struct found {
    size_t items_end, transactions_end;
    uint32_t support, any, most;
} found;

typedef struct miner {
    rules rules;
    uint32_t transaction_count, item_count, group_count;
    size_t words;
    uint32_t *supports; // by item
    uint32_t *places;   // by item: the last transaction it was met in; then its row of bits
    uint32_t *members;  // items of groups, group by group
    uint64_t *bits;     // by row
    group *groups;
    level *levels;
    uint32_t level_count;
    growing path; // groups of the set at hand
    growing items, transactions;
    found *found;
    size_t found_count, found_room;
    bool has_popcount;
    bool is_cut; // there are more sets than the limit
} miner;

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

static void miner_free(miner *m) {
    free(m->supports);
    free(m->places);
    free(m->members);
    free(m->bits);
    free(m->groups);
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
    *m = (miner){0};
}

/* The level at a depth, with room for its bits; NULL when there is no memory. */
static level *miner_level(miner *m, uint32_t depth) {
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

static const uint64_t *group_bits(const miner *m, uint32_t g) {
    return m->bits + g * m->words;
}

static uint32_t count_both(const miner *m, const uint64_t *a, const uint64_t *b) {
    return m->has_popcount ? both_count_fast(a, b, m->words) : both_count(a, b, m->words);
}

static uint32_t count_any(const miner *m, const uint64_t *a, const uint64_t *b) {
    return m->has_popcount ? any_count_fast(a, b, m->words) : any_count(a, b, m->words);
}

/* ---- the search --------------------------------------------------------- */

static uint32_t greater(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static bool passes(const rules *r, uint32_t support, uint32_t any, uint32_t most) {
    return support >= r->support && (double)support / (double)any >= r->similarity &&
           (double)support / (double)most >= r->confidence;
}

/* What a level's set with one more group would be; false when it does not pass. */
static bool extend(const miner *m, const level *l, uint32_t g, extension *out) {
    const uint64_t *bits = group_bits(m, g);
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
static bool filter(const miner *m, const level *l, const extension *from, uint32_t count,
                   extensions *to) {
    for (uint32_t i = 0; i < count; i++) {
        extension e;
        if (extend(m, l, from[i].group, &e) && !extensions_add(to, e)) {
            return false;
        }
    }
    return true;
}

/* Groups that may go with a single one. Of two, the rarer one bounds what both have, the
 * more frequent one what any has. */
static bool filter_pairs(const miner *m, const level *l, uint32_t g, uint32_t from, uint32_t to,
                         extensions *out) {
    uint32_t own = m->groups[g].support;
    for (uint32_t other = from; other < to; other++) {
        uint32_t support = m->groups[other].support;
        uint32_t least = own < support ? own : support;
        if (!passes(&m->rules, least, greater(own, support), greater(own, support))) {
            continue;
        }
        uint32_t both = count_both(m, l->all, group_bits(m, other));
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
static bool note(miner *m, const level *l) {
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

typedef enum outcome { DONE, NO_MEMORY, INTERRUPTED } outcome;

/* A set and its lists are there: takes in the groups that change nothing, and notes it when
 * no larger set is in the same transactions. What cannot lead to such a set is cut off. */
static bool settle(miner *m, level *l) {
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
static outcome begin_at(miner *m, uint32_t g) {
    level *l = miner_level(m, 0);
    if (l == NULL) {
        return NO_MEMORY;
    }
    memcpy(l->all, group_bits(m, g), m->words * sizeof *l->all);
    memcpy(l->any, l->all, m->words * sizeof *l->any);
    l->support = l->any_count = l->most = m->groups[g].support;
    l->size = m->groups[g].count;
    l->next = l->later.count = l->earlier.count = l->groups_before = 0;
    m->path.count = 0;
    if (!growing_add(&m->path, g) || !filter_pairs(m, l, g, g + 1, m->group_count, &l->later)) {
        return NO_MEMORY;
    }
    if (l->later.count == 0 && l->size < m->rules.size) {
        return DONE;
    }
    return filter_pairs(m, l, g, 0, g, &l->earlier) && settle(m, l) ? DONE : NO_MEMORY;
}

/* Makes the level below: its set has the next group that may be added. */
static outcome descend(miner *m, uint32_t depth) {
    level *below = miner_level(m, depth + 1);
    if (below == NULL) {
        return NO_MEMORY;
    }
    level *above = &m->levels[depth]; // the levels may have moved
    uint32_t place = above->next++;
    extension e = above->later.list[place];
    const uint64_t *bits = group_bits(m, e.group);
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
    return done && settle(m, below) ? DONE : NO_MEMORY;
}

static outcome miner_run(miner *m) {
    uint32_t nodes = 0;
    for (uint32_t g = 0; g < m->group_count && !m->is_cut; g++) {
        outcome result = begin_at(m, g);
        if (result != DONE) {
            return result;
        }
        uint32_t depth = 0;
        while (!m->is_cut) {
            if (++nodes % NODES_PER_LOOK == 0 && lig_interrupted()) {
                return INTERRUPTED;
            }
            level *l = &m->levels[depth];
            if (l->next < l->later.count) {
                result = descend(m, depth++);
                if (result != DONE) {
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
            return INTERRUPTED;
        }
    }
    return DONE;
}

/* ---- items and groups --------------------------------------------------- */

typedef struct row_order {
    const uint64_t *bits;
    size_t words;
    uint32_t item, support;
} row_order;

static int row_compare(const void *a, const void *b) {
    const row_order *x = a;
    const row_order *y = b;
    if (x->support != y->support) {
        return x->support < y->support ? -1 : 1;
    }
    for (size_t i = 0; i < x->words; i++) {
        if (x->bits[i] != y->bits[i]) {
            return x->bits[i] < y->bits[i] ? -1 : 1;
        }
    }
    return (x->item > y->item) - (x->item < y->item);
}

/* Puts items that occur in the same transactions together, the rarest first. `rows` has the
 * bits of each frequent item, in the items' order. */
static bool miner_group(miner *m, uint64_t *rows, uint32_t count) {
    row_order *order = malloc((count + 1) * sizeof *order);
    m->members = malloc((count + 1) * sizeof *m->members);
    m->groups = malloc((count + 1) * sizeof *m->groups);
    m->bits = malloc(((size_t)count * m->words + 1) * sizeof *m->bits);
    if (order == NULL || m->members == NULL || m->groups == NULL || m->bits == NULL) {
        free(order);
        return false;
    }
    uint32_t n = 0;
    for (uint32_t item = 0; item < m->item_count; item++) {
        if (m->supports[item] >= m->rules.support) {
            order[n] = (row_order){rows + n * m->words, m->words, item, m->supports[item]};
            n++;
        }
    }
    qsort(order, n, sizeof *order, row_compare);
    for (uint32_t i = 0; i < n; i++) {
        size_t bytes = m->words * sizeof *m->bits;
        if (i == 0 || memcmp(order[i].bits, order[i - 1].bits, bytes) != 0) {
            memcpy(m->bits + m->group_count * m->words, order[i].bits, bytes);
            m->groups[m->group_count++] = (group){i, 0, order[i].support};
        }
        m->groups[m->group_count - 1].count++;
        m->members[i] = order[i].item + 1;
    }
    free(order);
    return true;
}

/* ---- Lua ---------------------------------------------------------------- */

static int miner_release(lua_State *L) {
    miner_free(luaL_checkudata(L, 1, MINER_CLASS));
    return 0;
}

static _Noreturn void raise_no_memory(lua_State *L) {
    lig_error_push(L, LIG_KIND_SYSTEM, "ENOMEM", "no memory left to look for sets of items");
    lig_error_string(L, "hint", "Ask for more support, or for larger sets");
    lig_error_raise(L);
}

static lua_Integer field_integer(lua_State *L, const char *name, lua_Integer otherwise) {
    lua_Integer value = otherwise;
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        int is_integer = 0;
        value = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || value < 1 || value > ITEM_MAX) {
            lig_error_usage(L, "itemsets.mine: %s must be a whole number, 1 or more", name);
        }
    }
    lua_pop(L, 1);
    return value;
}

static double field_share(lua_State *L, const char *name) {
    double value = 0;
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        int is_number = 0;
        value = lua_tonumberx(L, -1, &is_number);
        if (!is_number || !(value >= 0 && value <= 1)) {
            lig_error_usage(L, "itemsets.mine: %s must be a number from 0 to 1", name);
        }
    }
    lua_pop(L, 1);
    return value;
}

/* Calls for each item of each transaction, once: the item's number from 0. */
static void each_item(lua_State *L, miner *m, uint64_t *rows) {
    for (uint32_t t = 0; t < m->transaction_count; t++) {
        if (lua_rawgeti(L, 1, (lua_Integer)t + 1) != LUA_TTABLE) {
            lig_error_usage(L, "itemsets.mine: transaction %d is a %s, not a list", (int)t + 1,
                            luaL_typename(L, -1));
        }
        size_t count = lua_rawlen(L, -1);
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            lua_Integer item = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
            lua_pop(L, 1);
            if (item < 1 || item > (lua_Integer)m->item_count) {
                lig_error_usage(L, "itemsets.mine: item %d of transaction %d is not from 1 to %d",
                                (int)i + 1, (int)t + 1, (int)m->item_count);
            }
            if (rows != NULL) {
                if (m->places[item - 1] != UINT32_MAX) {
                    rows[m->places[item - 1] * m->words + t / 64] |= UINT64_C(1) << (t % 64);
                }
            } else if (m->places[item - 1] != t + 1) {
                m->places[item - 1] = t + 1;
                m->supports[item - 1]++;
            }
        }
        lua_pop(L, 1);
    }
}

/* Reads the transactions at 1 into groups. */
static void miner_read(lua_State *L, miner *m) {
    m->supports = calloc(m->item_count + 1, sizeof *m->supports);
    m->places = calloc(m->item_count + 1, sizeof *m->places);
    if (m->supports == NULL || m->places == NULL) {
        raise_no_memory(L);
    }
    each_item(L, m, NULL);
    uint32_t count = 0;
    for (uint32_t item = 0; item < m->item_count; item++) {
        m->places[item] = m->supports[item] >= m->rules.support ? count++ : UINT32_MAX;
    }
    uint64_t *rows = lua_newuserdatauv(L, ((size_t)count * m->words + 1) * sizeof *rows, 0);
    memset(rows, 0, ((size_t)count * m->words + 1) * sizeof *rows);
    each_item(L, m, rows);
    if (!miner_group(m, rows, count)) {
        raise_no_memory(L);
    }
    lua_pop(L, 1);
}

static void list_push(lua_State *L, const uint32_t *list, size_t from, size_t to) {
    lua_createtable(L, (int)(to - from), 0);
    for (size_t i = from; i < to; i++) {
        lua_pushinteger(L, list[i]);
        lua_rawseti(L, -2, (lua_Integer)(i - from) + 1);
    }
}

static void found_push(lua_State *L, const miner *m) {
    size_t items = 0, transactions = 0;
    lua_createtable(L, (int)m->found_count, 0);
    for (size_t i = 0; i < m->found_count; i++) {
        const found *f = &m->found[i];
        lua_createtable(L, 0, 5);
        list_push(L, m->items.list, items, f->items_end);
        lua_setfield(L, -2, "items");
        list_push(L, m->transactions.list, transactions, f->transactions_end);
        lua_setfield(L, -2, "transactions");
        lua_pushinteger(L, f->support);
        lua_setfield(L, -2, "support");
        lua_pushinteger(L, f->any);
        lua_setfield(L, -2, "any");
        lua_pushinteger(L, f->most);
        lua_setfield(L, -2, "most");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
        items = f->items_end;
        transactions = f->transactions_end;
    }
}

/* itemsets.mine(transactions, {items=, support=, size=, similarity=, confidence=, limit=}) ->
 * sets, whether there were more than the limit.  Transactions are lists of items, numbers
 * from 1 to `items`.  Each set is {items =, transactions =, support =, any =, most =}: in how
 * many transactions all, any, and the most frequent of its items are. */
static int itemsets_mine(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_rawlen(L, 1) > ITEM_MAX) {
        lig_error_usage(L, "itemsets.mine: there are too many transactions");
    }
    miner *m = lua_newuserdatauv(L, sizeof *m, 0);
    *m = (miner){0};
    luaL_setmetatable(L, MINER_CLASS);
    m->rules = (rules){.support = (uint32_t)field_integer(L, "support", 1),
                       .size = (uint32_t)field_integer(L, "size", 1),
                       .limit = (uint32_t)field_integer(L, "limit", ITEM_MAX),
                       .similarity = field_share(L, "similarity"),
                       .confidence = field_share(L, "confidence")};
    m->item_count = (uint32_t)field_integer(L, "items", ITEM_MAX);
    if (m->item_count == ITEM_MAX) {
        lig_error_usage(L, "itemsets.mine: items says how many items there are");
    }
    m->transaction_count = (uint32_t)lua_rawlen(L, 1);
    m->words = m->transaction_count / 64 + 1;
    m->has_popcount = popcount_is_there();
    miner_read(L, m);
    outcome result = miner_run(m);
    if (result == INTERRUPTED) {
        lig_interrupt_check(L);
    } else if (result == NO_MEMORY) {
        raise_no_memory(L);
    }
    found_push(L, m);
    lua_pushboolean(L, m->is_cut);
    miner_free(m);
    return 2;
}

int luaopen_lig_itemsets(lua_State *L) {
    static const luaL_Reg functions[] = {{"mine", itemsets_mine}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", miner_release}, {NULL, NULL}};
    lig_class_new(L, MINER_CLASS, NULL, meta);
    luaL_newlib(L, functions);
    return 1;
}
