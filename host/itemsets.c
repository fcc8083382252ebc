/* itemsets.c: "itemsets": which items occur together in many transactions.
 *
 * Here lists of items become rows of bits and what was found becomes lists; the search is
 * itemsets_search.c's. The box owns all memory, so that an interruption or a failed
 * allocation leaks nothing.
 */
#include "itemsets.h"

#include <stdlib.h>
#include <string.h>

#define MINER_CLASS "ligase.itemsets.miner"
#define ITEM_MAX (1 << 30)

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
static bool miner_group(lig_miner *m, uint64_t *rows, uint32_t count) {
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

/* The groups of each transaction, in order. */
static bool miner_list(lig_miner *m) {
    size_t total = 0;
    m->starts = calloc((size_t)m->transaction_count + 2, sizeof *m->starts);
    m->shared = malloc((m->group_count + 1) * sizeof *m->shared);
    for (uint32_t g = 0; g < m->group_count; g++) {
        total += m->groups[g].support;
    }
    m->entries = malloc((total + 1) * sizeof *m->entries);
    if (m->starts == NULL || m->shared == NULL || m->entries == NULL) {
        return false;
    }
    for (uint32_t g = 0; g < m->group_count; g++) {
        for (uint32_t t = 0; t < m->transaction_count; t++) {
            m->starts[t + 2] += lig_group_bits(m, g)[t / 64] >> (t % 64) & 1;
        }
    }
    for (uint32_t t = 1; t < m->transaction_count; t++) {
        m->starts[t + 1] += m->starts[t];
    }
    for (uint32_t g = 0; g < m->group_count; g++) {
        for (uint32_t t = 0; t < m->transaction_count; t++) {
            if ((lig_group_bits(m, g)[t / 64] >> (t % 64) & 1) != 0) {
                m->entries[m->starts[t + 1]++] = g;
            }
        }
    }
    return true;
}

/* ---- Lua ---------------------------------------------------------------- */

static int miner_release(lua_State *L) {
    lig_miner_free(luaL_checkudata(L, 1, MINER_CLASS));
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
static void each_item(lua_State *L, lig_miner *m, uint64_t *rows) {
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
static void miner_read(lua_State *L, lig_miner *m) {
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
    if (!miner_group(m, rows, count) || !miner_list(m)) {
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

static void found_push(lua_State *L, const lig_miner *m) {
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
    lig_miner *m = lua_newuserdatauv(L, sizeof *m, 0);
    *m = (lig_miner){0};
    luaL_setmetatable(L, MINER_CLASS);
    m->rules = (lig_rules){.support = (uint32_t)field_integer(L, "support", 1),
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
    miner_read(L, m);
    lig_mining result = lig_miner_run(m);
    if (result == LIG_INTERRUPTED) {
        lig_interrupt_check(L);
    } else if (result == LIG_NO_MEMORY) {
        raise_no_memory(L);
    }
    found_push(L, m);
    lua_pushboolean(L, m->is_cut);
    lig_miner_free(m);
    return 2;
}

int luaopen_lig_itemsets(lua_State *L) {
    static const luaL_Reg functions[] = {{"mine", itemsets_mine}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", miner_release}, {NULL, NULL}};
    lig_class_new(L, MINER_CLASS, NULL, meta);
    luaL_newlib(L, functions);
    return 1;
}
