/* sets.c: many sets of keys against one profile of numbers by key.
 *
 * A collection is a list of sets, each a list of weighted and signed keys; a profile has one
 * number for each of its keys; a matching knows which members of which sets the profile
 * has.  What the keys stand for is no concern of this file.
 */
#include "sets.h"

#include <math.h>
#include <string.h>

/* ---- memory --------------------------------------------------------------- */

/* Takes `count` things of `size` bytes off a block, aligned for any of them. */
static void *block_take(char **at, size_t count, size_t size) {
    char *start = *at;
    *at += (count * size + 7) / 8 * 8;
    return start;
}

static size_t block_room(size_t count, size_t size) {
    return (count * size + 7) / 8 * 8;
}

/* The keys are hashes already, but a caller's need not be. */
static uint32_t key_hash(int64_t key) {
    uint64_t word = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(word >> 32);
}

static uint32_t power_above(size_t count) {
    uint32_t power = 16;
    while (power < count * 2 && power < (UINT32_C(1) << 31)) {
        power *= 2;
    }
    return power;
}

/* ---- fields of tables ------------------------------------------------------ */

lua_Integer lig_field_integer(lua_State *L, int index, const char *name, lua_Integer otherwise,
                              lua_Integer min, lua_Integer max) {
    if (lua_isnoneornil(L, index)) {
        return otherwise;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_Integer value = otherwise;
    int whole = 1;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        value = lua_tointegerx(L, -1, &whole);
    }
    lua_pop(L, 1);
    if (!whole || value < min || value > max) {
        lig_error_usage(L, "%s must be a whole number from %lld to %lld", name, (long long)min,
                        (long long)max);
    }
    return value;
}

double lig_field_number(lua_State *L, int index, const char *name, double otherwise) {
    if (lua_isnoneornil(L, index)) {
        return otherwise;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    double value = otherwise;
    int is_number = 1;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        value = lua_tonumberx(L, -1, &is_number);
    }
    lua_pop(L, 1);
    if (!is_number) {
        lig_error_usage(L, "%s must be a number", name);
    }
    return value;
}

int lig_field_quarters(lua_State *L, int index, const char *name, double otherwise) {
    double quarters = lig_field_number(L, index, name, otherwise) * 4;
    if (!(quarters >= 0 && quarters <= 8) || quarters != floor(quarters)) {
        lig_error_usage(L, "%s must be a multiple of 0.25 from 0 to 2", name);
    }
    return (int)quarters;
}

bool lig_is_wanted(lua_State *L, int index, size_t i) {
    bool wanted = true;
    if (lua_istable(L, index)) {
        if (lua_getfield(L, index, "wanted") == LUA_TTABLE) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            wanted = lua_toboolean(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return wanted;
}

double lig_power(double x, int quarters) {
    double result = quarters & 1 ? sqrt(sqrt(x)) : 1;
    result = quarters & 2 ? result * sqrt(x) : result;
    result = quarters & 4 ? result * x : result;
    return quarters & 8 ? result * x * x : result;
}

void lig_numbers_push(lua_State *L, const double *numbers, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        if (isnan(numbers[i])) {
            lua_pushlightuserdata(L, NULL);
        } else {
            lua_pushnumber(L, numbers[i]);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* ---- collections ----------------------------------------------------------- */

static struct lig_collection *collection_new(lua_State *L, size_t sets, size_t members) {
    uint32_t heads = power_above(members);
    size_t room = sizeof(struct lig_collection) + block_room(members, sizeof(double)) +
                  block_room(members, sizeof(int64_t)) + block_room(sets + 1, sizeof(uint32_t)) +
                  block_room(heads, sizeof(uint32_t)) + block_room(members, sizeof(uint32_t)) +
                  2 * block_room(members, 1);
    struct lig_collection *c = lua_newuserdatauv(L, room, 0);
    *c = (struct lig_collection){.set_count = sets, .member_count = members, .mask = heads - 1};
    char *at = (char *)(c + 1);
    c->weights = block_take(&at, members, sizeof(double));
    c->keys = block_take(&at, members, sizeof(int64_t));
    c->starts = block_take(&at, sets + 1, sizeof(uint32_t));
    c->heads = block_take(&at, heads, sizeof(uint32_t));
    c->next = block_take(&at, members, sizeof(uint32_t));
    c->signs = block_take(&at, members, 1);
    c->is_absent = block_take(&at, members, 1);
    memset(c->heads, 0xFF, heads * sizeof(uint32_t));
    luaL_setmetatable(L, LIG_COLLECTION_CLASS);
    return c;
}

static struct lig_collection *collection_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, LIG_COLLECTION_CLASS);
}

/* The number at place `i` of the list in field `name` of the set on top, or `otherwise`
 * without such a list. */
static double set_number(lua_State *L, const char *name, lua_Integer i, double otherwise) {
    double value = otherwise;
    int is_number = 1;
    if (lua_getfield(L, -1, name) == LUA_TTABLE) {
        lua_rawgeti(L, -1, i);
        value = lua_tonumberx(L, -1, &is_number);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (!is_number) {
        lig_error_usage(L, "%s must be a list of numbers, one for each key", name);
    }
    return value;
}

/* Reads the set on top of the stack into the members from `at` on; gives how many it has. */
static size_t set_read(lua_State *L, struct lig_collection *c, size_t at) {
    lua_getfield(L, -1, "keys");
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t m = at + (size_t)i - 1;
        int whole = 0;
        lua_rawgeti(L, -1, i);
        c->keys[m] = lua_tointegerx(L, -1, &whole);
        c->is_absent[m] = !whole;
        if (!whole && lua_type(L, -1) == LUA_TNUMBER) {
            lig_error_usage(L, "keys must be integers, or false for a member without one");
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t m = at + (size_t)i - 1;
        c->weights[m] = set_number(L, "weights", i, 1);
        double sign = set_number(L, "signs", i, 0);
        c->signs[m] = (int8_t)((sign > 0) - (sign < 0));
        if (!(c->weights[m] > 0) || isinf(c->weights[m])) {
            lig_error_usage(L, "weights must be positive");
        }
    }
    return (size_t)count;
}

static void collection_index(struct lig_collection *c) {
    // From the last to the first, so that members of one key follow one another in order.
    for (size_t m = c->member_count; m-- > 0;) {
        if (!c->is_absent[m]) {
            uint32_t slot = key_hash(c->keys[m]) & c->mask;
            c->next[m] = c->heads[slot];
            c->heads[slot] = (uint32_t)m;
        }
    }
}

/* sets.collection(list) -> collection. Each set is {keys = list of integers, weights = list
 * of positive numbers (1 without it), signs = list of 1, -1 and 0 (0 without it)}; a key that
 * is false is never found. */
static int sets_collection(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t sets = (size_t)lua_rawlen(L, 1), members = 0;
    for (size_t i = 0; i < sets; i++) {
        if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TTABLE ||
            lua_getfield(L, -1, "keys") != LUA_TTABLE) {
            lig_error_usage(L, "set %lld has no list of keys", (long long)i + 1);
        }
        members += (size_t)lua_rawlen(L, -1);
        lua_pop(L, 2);
    }
    if (sets >= LIG_NOWHERE || members >= (UINT32_C(1) << 30)) {
        lig_error_usage(L, "too many members: %lld", (long long)members);
    }
    struct lig_collection *c = collection_new(L, sets, members);
    size_t at = 0;
    for (size_t i = 0; i < sets; i++) {
        c->starts[i] = (uint32_t)at;
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        at += set_read(L, c, at);
        lua_pop(L, 1);
    }
    c->starts[sets] = (uint32_t)at;
    collection_index(c);
    return 1;
}

/* #collection: how many sets there are. */
static int collection_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)collection_check(L, 1)->set_count);
    return 1;
}

/* ---- profiles -------------------------------------------------------------- */

static struct lig_profile *profile_new(lua_State *L, size_t count) {
    size_t room = sizeof(struct lig_profile) + block_room(count, sizeof(double)) +
                  block_room(count, sizeof(int64_t)) + 2 * block_room(count, sizeof(uint32_t));
    struct lig_profile *p = lua_newuserdatauv(L, room, 0);
    *p = (struct lig_profile){0};
    char *at = (char *)(p + 1);
    p->values = block_take(&at, count, sizeof(double));
    p->keys = block_take(&at, count, sizeof(int64_t));
    p->order = block_take(&at, count, sizeof(uint32_t));
    p->place = block_take(&at, count, sizeof(uint32_t));
    luaL_setmetatable(L, LIG_PROFILE_CLASS);
    return p;
}

static struct lig_profile *profile_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, LIG_PROFILE_CLASS);
}

/* The index of a key among those met, which is new when it is the count. */
static size_t profile_find(const struct lig_profile *p, const uint32_t *slots, uint32_t mask,
                           int64_t key, uint32_t *slot) {
    *slot = key_hash(key) & mask;
    while (slots[*slot] != LIG_NOWHERE) {
        if (p->keys[slots[*slot]] == key) {
            return slots[*slot];
        }
        *slot = (*slot + 1) & mask;
    }
    return p->count;
}

/* sets.profile(keys [, values]) -> profile. Entries without key or without value (false,
 * host.null, NaN) are left out; a key that comes several times has the mean of its values,
 * added up in order. Without values, all are 0. */
static int sets_profile(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    bool has_values = !lua_isnoneornil(L, 2);
    if (has_values) {
        luaL_checktype(L, 2, LUA_TTABLE);
    }
    lua_settop(L, 2);
    size_t most = (size_t)lua_rawlen(L, 1);
    struct lig_profile *p = profile_new(L, most);
    uint32_t mask = power_above(most) - 1;
    uint32_t *slots = lua_newuserdatauv(L, ((size_t)mask + 1) * sizeof *slots, 0);
    memset(slots, 0xFF, ((size_t)mask + 1) * sizeof *slots);
    uint32_t *times = p->order; // until it is sorted
    for (size_t i = 0; i < most; i++) {
        int has_key = 0, has_value = !has_values;
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        int64_t key = lua_tointegerx(L, -1, &has_key);
        double value = 0;
        if (has_values) {
            lua_rawgeti(L, 2, (lua_Integer)i + 1);
            value = lua_tonumberx(L, -1, &has_value);
        }
        lua_settop(L, 4);
        if (!has_key || !has_value || isnan(value)) {
            continue;
        }
        uint32_t slot;
        size_t found = profile_find(p, slots, mask, key, &slot);
        if (found == p->count) {
            slots[slot] = (uint32_t)found;
            p->keys[found] = key;
            p->values[found] = 0;
            times[found] = 0;
            p->count++;
        }
        p->values[found] += value;
        times[found]++;
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        double mean = times[i] == 1 ? p->values[i] : p->values[i] / times[i];
        if (!isnan(mean)) { // infinities of both signs have no mean
            p->keys[kept] = p->keys[i];
            p->values[kept++] = mean;
        }
    }
    p->count = kept;
    lua_settop(L, 3);
    return 1;
}

/* #profile: how many keys it has. */
static int profile_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)profile_check(L, 1)->count);
    return 1;
}

/* Eight bytes, the lowest first, whatever the machine's order is. */
static void word_put(char *out, uint64_t word) {
    for (int i = 0; i < 8; i++) {
        out[i] = (char)(word >> (8 * i));
    }
}

/* profile:bytes() -> its keys and values as a string of 16 bytes each, for a digest. */
static int profile_bytes(lua_State *L) {
    const struct lig_profile *p = profile_check(L, 1);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, p->count * 16);
    for (size_t i = 0; i < p->count; i++) {
        uint64_t word;
        memcpy(&word, &p->values[i], sizeof word);
        word_put(out + 16 * i, (uint64_t)p->keys[i]);
        word_put(out + 16 * i + 8, word);
    }
    luaL_pushresultsize(&b, p->count * 16);
    return 1;
}

/* ---- matchings ------------------------------------------------------------- */

struct lig_matching *lig_matching_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, LIG_MATCHING_CLASS);
}

/* profile:match(collection) -> matching: which members of its sets the profile has. */
static int profile_match(lua_State *L) {
    struct lig_profile *p = profile_check(L, 1);
    const struct lig_collection *c = collection_check(L, 2);
    struct lig_matching *m =
        lua_newuserdatauv(L, sizeof *m + block_room(c->member_count, sizeof(uint32_t)), 2);
    *m = (struct lig_matching){.collection = c, .profile = p, .found = (uint32_t *)(m + 1)};
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1); // both live as long as the matching
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 2);
    luaL_setmetatable(L, LIG_MATCHING_CLASS);
    memset(m->found, 0xFF, c->member_count * sizeof(uint32_t));
    for (size_t i = 0; i < p->count; i++) {
        uint32_t member = c->heads[key_hash(p->keys[i]) & c->mask];
        for (; member != LIG_NOWHERE; member = c->next[member]) {
            if (c->keys[member] == p->keys[i]) {
                m->found[member] = (uint32_t)i;
            }
        }
    }
    return 1;
}

/* The sums of agreement by set. */
enum sums { SUM_SAME, SUM_OPPOSITE, SUM_NEITHER, SUM_UNSIGNED, SUM_TOTAL, SUM_COUNT };

static void set_agree(const struct lig_matching *m, size_t set, double sums[SUM_COUNT],
                      lua_Integer *matched) {
    const struct lig_collection *c = m->collection;
    for (size_t i = c->starts[set]; i < c->starts[set + 1]; i++) {
        double weight = c->weights[i];
        sums[SUM_TOTAL] += weight;
        if (m->found[i] == LIG_NOWHERE) {
            continue;
        }
        ++*matched;
        double product = m->profile->values[m->found[i]] * c->signs[i];
        if (c->signs[i] == 0) {
            sums[SUM_UNSIGNED] += weight;
        } else {
            sums[product > 0 ? SUM_SAME : product < 0 ? SUM_OPPOSITE : SUM_NEITHER] += weight;
        }
    }
}

/* matching:agreement() -> by set, six lists of one length: `matched`, how many members the
 * profile has; and sums of weights in the order of the members: `same`, those of them whose
 * sign is that of their value, `opposite`, `neither`, whose value is 0, `unsigned`, which
 * have no sign, and `total`, of all members, found or not. */
static int matching_agreement(lua_State *L) {
    static const char *const names[SUM_COUNT] = {"same", "opposite", "neither", "unsigned",
                                                 "total"};
    const struct lig_matching *m = lig_matching_check(L, 1);
    int count = (int)m->collection->set_count;
    lua_settop(L, 1);
    for (int i = 0; i < SUM_COUNT + 1; i++) {
        lua_createtable(L, count, 0); // 2 .. SUM_COUNT + 1, and the counts
    }
    for (int set = 0; set < count; set++) {
        double sums[SUM_COUNT] = {0};
        lua_Integer matched = 0;
        set_agree(m, (size_t)set, sums, &matched);
        for (int i = 0; i < SUM_COUNT; i++) {
            lua_pushnumber(L, sums[i]);
            lua_rawseti(L, 2 + i, set + 1);
        }
        lua_pushinteger(L, matched);
        lua_rawseti(L, 2 + SUM_COUNT, set + 1);
    }
    lua_createtable(L, 0, SUM_COUNT + 1);
    lua_insert(L, 2);
    lua_setfield(L, 2, "matched");
    for (int i = SUM_COUNT - 1; i >= 0; i--) {
        lua_setfield(L, 2, names[i]);
    }
    return 1;
}

/* matching:members(set) -> two lists, one entry for each member of the set: the value that
 * the profile has for it and its place from the greatest value, or false where it has none. */
static int matching_members(lua_State *L) {
    const struct lig_matching *m = lig_matching_check(L, 1);
    const struct lig_collection *c = m->collection;
    lua_Integer set = luaL_checkinteger(L, 2);
    luaL_argcheck(L, set >= 1 && (lua_Unsigned)set <= c->set_count, 2, "there is no such set");
    lig_profile_sort(m->profile);
    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = c->starts[set - 1]; i < c->starts[set]; i++) {
        lua_Integer at = (lua_Integer)(i - c->starts[set - 1]) + 1;
        if (m->found[i] == LIG_NOWHERE) {
            lua_pushboolean(L, false);
            lua_pushboolean(L, false);
        } else {
            lua_pushnumber(L, m->profile->values[m->found[i]]);
            lua_pushinteger(L, (lua_Integer)m->profile->place[m->found[i]] + 1);
        }
        lua_rawseti(L, -3, at);
        lua_rawseti(L, -3, at);
    }
    return 2;
}

/* ---- module ---------------------------------------------------------------- */

/* sets.log2(x) -> the logarithm to base 2 of a positive number, the same bits everywhere: the
 * series of the inverse hyperbolic tangent around the nearest power of 2. Powers of 2 are
 * exact, all else is within some units of the last place. */
static int sets_log2(lua_State *L) {
    double x = luaL_checknumber(L, 1);
    if (!(x > 0) || isinf(x)) {
        lig_error_usage(L, "log2 is for positive, finite numbers");
    }
    int exponent;
    double m = frexp(x, &exponent); // exact
    if (m < 0.70710678118654752440) {
        m *= 2;
        exponent--;
    }
    double z = (m - 1) / (m + 1), square = z * z, sum = 0;
    for (int i = 27; i >= 1; i -= 2) {
        sum = sum * square + 1.0 / i;
    }
    lua_pushnumber(L, exponent + 2 * z * sum * 1.44269504088896340736);
    return 1;
}

int luaopen_lig_sets(lua_State *L) {
    static const luaL_Reg functions[] = {{"collection", sets_collection},
                                         {"profile", sets_profile},
                                         {"log2", sets_log2},
                                         {NULL, NULL}};
    static const luaL_Reg collection_meta[] = {{"__len", collection_length}, {NULL, NULL}};
    static const luaL_Reg profile_methods[] = {
        {"match", profile_match}, {"bytes", profile_bytes}, {NULL, NULL}};
    static const luaL_Reg profile_meta[] = {{"__len", profile_length}, {NULL, NULL}};
    static const luaL_Reg matching_methods[] = {
        {"agreement", matching_agreement}, {"members", matching_members}, {NULL, NULL}};
    static const luaL_Reg matching_meta[] = {{NULL, NULL}};
    lig_class_new(L, LIG_COLLECTION_CLASS, NULL, collection_meta);
    lig_class_new(L, LIG_PROFILE_CLASS, profile_methods, profile_meta);
    lig_class_new(L, LIG_MATCHING_CLASS, matching_methods, matching_meta);
    luaL_getmetatable(L, LIG_MATCHING_CLASS);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, lig_matching_rank_methods, 0);
    luaL_setfuncs(L, lig_matching_chance_methods, 0);
    lua_pop(L, 2);
    luaL_newlib(L, functions);
    luaL_setfuncs(L, lig_sets_chance_functions, 0);
    return 1;
}
