/* dictionary.c: texts that stand for integers, remembered over many frames, and a tally
 * of the integers that were met.
 *
 * What a script learned of a text once holds for every row of every later frame: a whole
 * column of texts becomes a column of integers without a Lua value in between.  Only the
 * texts that are new come out, for the script to say what they stand for.
 */
#include "frame.h"
#include "lig.h"

#include <stdlib.h>
#include <string.h>

#define DICTIONARY_CLASS "ligase.dictionary"
#define TALLY_CLASS "ligase.tally"
#define SLOTS_LEAST ((size_t)64)

/* ---- the engine: texts ----------------------------------------------------- */

enum entry_state {
    ENTRY_ABSENT, /* asked for, not said, or taken back */
    ENTRY_NONE,   /* stands for no integer */
    ENTRY_KNOWN
};

struct entry {
    uint64_t hash;
    size_t offset; /* into the texts */
    uint32_t length;
    enum entry_state state;
    uint64_t asked; /* the call that last gave it out as new */
    int64_t value;
};

struct dictionary {
    struct entry *entries;
    size_t entry_count, entry_capacity;
    size_t known;    /* entries that are not absent */
    uint32_t *slots; /* entry + 1; 0 is free */
    size_t slot_count;
    char *text;
    size_t text_used, text_capacity;
    uint64_t calls;
};

static void dictionary_release(struct dictionary *d) {
    free(d->entries);
    free(d->slots);
    free(d->text);
    memset(d, 0, sizeof *d);
}

/* The slot of a text: its own, or the free one where it belongs. */
static uint32_t *slot_find(const struct dictionary *d, struct lig_text text, uint64_t hash) {
    size_t at = (size_t)hash & (d->slot_count - 1);
    while (d->slots[at] != 0) {
        const struct entry *e = &d->entries[d->slots[at] - 1];
        if (e->hash == hash && e->length == text.length &&
            memcmp(d->text + e->offset, text.at, text.length) == 0) {
            break;
        }
        at = (at + 1) & (d->slot_count - 1);
    }
    return &d->slots[at];
}

static bool slots_grow(struct dictionary *d) {
    size_t count = d->slot_count == 0 ? SLOTS_LEAST : d->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < d->entry_count; i++) {
        size_t at = (size_t)d->entries[i].hash & (count - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (count - 1);
        }
        slots[at] = (uint32_t)i + 1;
    }
    free(d->slots);
    d->slots = slots;
    d->slot_count = count;
    return true;
}

/* Memory for at least `need` things of `size` bytes instead of *at; false when it is out. */
static bool room_make(void *at, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < 64 ? 64 : *capacity * 2;
    while (wanted < need) {
        wanted *= 2;
    }
    void *old;
    memcpy(&old, at, sizeof old);
    void *grown = realloc(old, wanted * size);
    if (grown == NULL) {
        return false;
    }
    memcpy(at, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

/* The entry of a text, made absent when there is none; NULL when memory is out. */
static struct entry *entry_of(struct dictionary *d, struct lig_text text) {
    if ((d->entry_count + 1) * 2 > d->slot_count && !slots_grow(d)) {
        return NULL;
    }
    uint64_t hash = lig_text_hash(text);
    uint32_t *slot = slot_find(d, text, hash);
    if (*slot == 0) {
        if (d->entry_count == UINT32_MAX - 1 || text.length > UINT32_MAX ||
            !room_make(&d->entries, &d->entry_capacity, d->entry_count + 1, sizeof *d->entries) ||
            !room_make(&d->text, &d->text_capacity, d->text_used + text.length, 1)) {
            return NULL;
        }
        if (text.length > 0) {
            memcpy(d->text + d->text_used, text.at, text.length);
        }
        d->entries[d->entry_count] =
            (struct entry){.hash = hash, .offset = d->text_used, .length = (uint32_t)text.length};
        d->text_used += text.length;
        *slot = (uint32_t)++d->entry_count;
    }
    return &d->entries[*slot - 1];
}

static void entry_set(struct dictionary *d, struct entry *e, enum entry_state state,
                      int64_t value) {
    d->known += (state != ENTRY_ABSENT);
    d->known -= (e->state != ENTRY_ABSENT);
    e->state = state;
    e->value = value;
}

/* ---- the engine: integers -------------------------------------------------- */

struct tally {
    int64_t *keys;
    uint8_t *used;
    size_t slot_count, count;
};

static void tally_release(struct tally *t) {
    free(t->keys);
    free(t->used);
    memset(t, 0, sizeof *t);
}

/* Keys may be counted up from one, so their bits are mixed (splitmix64's finaliser, Steele,
 * Lea and Flood 2014). */
static size_t key_place(int64_t key, size_t slot_count) {
    uint64_t h = (uint64_t)key;
    h = (h ^ (h >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (size_t)(h ^ (h >> 31)) & (slot_count - 1);
}

/* Whether the key is new; there must be a free slot. */
static bool tally_put(struct tally *t, int64_t key) {
    size_t at = key_place(key, t->slot_count);
    while (t->used[at]) {
        if (t->keys[at] == key) {
            return false;
        }
        at = (at + 1) & (t->slot_count - 1);
    }
    t->used[at] = 1;
    t->keys[at] = key;
    t->count++;
    return true;
}

/* Makes room for `more` keys; false when memory is out. */
static bool tally_reserve(struct tally *t, size_t more) {
    size_t slots = t->slot_count == 0 ? SLOTS_LEAST : t->slot_count;
    while (slots < (t->count + more) * 2) {
        slots *= 2;
    }
    if (slots == t->slot_count) {
        return true;
    }
    struct tally larger = {
        .keys = malloc(slots * sizeof *larger.keys), .used = calloc(slots, 1), .slot_count = slots};
    if (larger.keys == NULL || larger.used == NULL) {
        tally_release(&larger);
        return false;
    }
    for (size_t i = 0; i < t->slot_count; i++) {
        if (t->used[i]) {
            (void)tally_put(&larger, t->keys[i]);
        }
    }
    tally_release(t);
    *t = larger;
    return true;
}

/* ---- dictionaries in Lua --------------------------------------------------- */

static struct dictionary *dictionary_check(lua_State *L) {
    return luaL_checkudata(L, 1, DICTIONARY_CLASS);
}

/* dictionary.new() -> an empty dictionary. */
static int dictionary_new(lua_State *L) {
    struct dictionary *d = lua_newuserdatauv(L, sizeof *d, 0);
    memset(d, 0, sizeof *d);
    luaL_setmetatable(L, DICTIONARY_CLASS);
    return 1;
}

/* dictionary:close(): forgets everything; it is empty then and may be used again. */
static int dictionary_close(lua_State *L) {
    dictionary_release(dictionary_check(L));
    return 0;
}

/* #dictionary: how many texts it knows. */
static int dictionary_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)dictionary_check(L)->known);
    return 1;
}

static struct lig_text text_check(lua_State *L, int index) {
    struct lig_text text;
    text.at = luaL_checklstring(L, index, &text.length);
    return text;
}

/* dictionary:get(text) -> the integer, false where the text stands for none, or nil when
 * it is not known. */
static int dictionary_get(lua_State *L) {
    struct dictionary *d = dictionary_check(L);
    struct lig_text text = text_check(L, 2);
    uint32_t slot = d->slot_count == 0 ? 0 : *slot_find(d, text, lig_text_hash(text));
    const struct entry *e = slot == 0 ? NULL : &d->entries[slot - 1];
    if (e == NULL || e->state == ENTRY_ABSENT) {
        lua_pushnil(L);
    } else if (e->state == ENTRY_NONE) {
        lua_pushboolean(L, false);
    } else {
        lua_pushinteger(L, e->value);
    }
    return 1;
}

/* Text `i` of the list at 2, as an entry. */
static struct entry *listed_entry(lua_State *L, struct dictionary *d, lua_Integer i) {
    if (lua_rawgeti(L, 2, i) != LUA_TSTRING) {
        lig_error_usage(L, "a dictionary wants a list of texts, and entry %lld is a %s",
                        (long long)i, luaL_typename(L, -1));
    }
    struct entry *e = entry_of(d, text_check(L, -1));
    lua_pop(L, 1);
    if (e == NULL) {
        luaL_error(L, "out of memory");
    }
    return e;
}

/* dictionary:put(texts, integers): says what each text of a list stands for: the integer
 * at its place in the second list, or none where that is false. */
static int dictionary_put(lua_State *L) {
    struct dictionary *d = dictionary_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        int type = lua_rawgeti(L, 3, i);
        int whole = 0;
        lua_Integer value = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
        if (!whole && !(type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) {
            lig_error_usage(L, "a dictionary's values are integers or false; number %lld is %s",
                            (long long)i, luaL_tolstring(L, -1, NULL));
        }
        lua_pop(L, 1);
        entry_set(d, listed_entry(L, d, i), whole ? ENTRY_KNOWN : ENTRY_NONE, value);
    }
    return 0;
}

/* dictionary:remove(texts): these are not known any more. */
static int dictionary_remove(lua_State *L) {
    struct dictionary *d = dictionary_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        entry_set(d, listed_entry(L, d, i), ENTRY_ABSENT, 0);
    }
    return 0;
}

/* Adds a text that is not known to the list at `list`, once for this call. */
static void unknown_add(lua_State *L, struct dictionary *d, struct entry *e, int list) {
    if (e->asked == d->calls) {
        return;
    }
    e->asked = d->calls;
    lua_pushlstring(L, d->text + e->offset, e->length);
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* dictionary:map(column) -> int8 column, with what each row's text stands for; NULL where
 * that is none, and for a missing text.  When there are texts that it does not know: nil
 * and their list, each once, in order of appearance.  Text columns only. */
static int dictionary_map(lua_State *L) {
    struct dictionary *d = dictionary_check(L);
    struct lig_column *c = lig_column_check(L, 2);
    if (c->kind != LIG_COLUMN_TEXT) {
        lig_error_usage(L, "a dictionary maps text columns: frame:text(name)");
    }
    lua_settop(L, 2);
    lua_newtable(L); // the unknown: 3
    struct lig_column *m = lig_column_new(L, LIG_COLUMN_INTEGER, c->cells, c->first, c->count); // 4
    int64_t *integers = lig_column_room(L, LIG_ROOM_NUMBERS, c->count, sizeof *integers);
    uint8_t *kinds = lig_column_room(L, LIG_ROOM_KINDS, c->count, sizeof *kinds);
    d->calls++;
    for (size_t i = 0; i < c->count; i++) {
        struct lig_text cell = lig_cell(c->cells, c->first + i, c->columns[0]);
        integers[i] = 0;
        kinds[i] = 1;
        if (cell.length == 0) {
            continue;
        }
        struct entry *e = entry_of(d, cell);
        if (e == NULL) {
            return luaL_error(L, "out of memory");
        }
        if (e->state == ENTRY_ABSENT) {
            unknown_add(L, d, e, 3);
        } else if (e->state == ENTRY_KNOWN) {
            integers[i] = e->value;
            kinds[i] = 0;
        }
    }
    if (lua_rawlen(L, 3) > 0) {
        lig_cells_release(m->cells); // not to wait for the collector
        m->cells = NULL;
        lua_pushnil(L);
        lua_pushvalue(L, 3);
        return 2;
    }
    m->integers = integers;
    m->kinds = kinds;
    return 1;
}

/* ---- tallies in Lua -------------------------------------------------------- */

static struct tally *tally_check(lua_State *L) {
    return luaL_checkudata(L, 1, TALLY_CLASS);
}

/* dictionary.tally() -> a tally, which has met no integer yet. */
static int tally_new(lua_State *L) {
    struct tally *t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    luaL_setmetatable(L, TALLY_CLASS);
    return 1;
}

/* tally:close(): forgets everything; it may be used again. */
static int tally_close(lua_State *L) {
    tally_release(tally_check(L));
    return 0;
}

/* #tally: how many different integers it has met. */
static int tally_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)tally_check(L)->count);
    return 1;
}

/* tally:add(column [, listed]) -> how many integers of an int8 column it had not met
 * before; with `listed` also their list, in order of appearance.  NULLs do not count. */
static int tally_add(lua_State *L) {
    struct tally *t = tally_check(L);
    const struct lig_column *c = lig_column_check(L, 2);
    if (c->kind != LIG_COLUMN_INTEGER) {
        lig_error_usage(L, "a tally counts int8 columns, as dictionary:map gives them");
    }
    bool listed = lua_toboolean(L, 3);
    lua_settop(L, 2);
    if (listed) {
        lua_newtable(L);
    }
    if (!tally_reserve(t, c->count)) {
        return luaL_error(L, "out of memory");
    }
    lua_Integer fresh = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->kinds[i] == 0 && tally_put(t, c->integers[i])) {
            fresh++;
            if (listed) {
                lua_pushinteger(L, c->integers[i]);
                lua_rawseti(L, 3, fresh);
            }
        }
    }
    lua_pushinteger(L, fresh);
    lua_insert(L, 3);
    return listed ? 2 : 1;
}

int luaopen_lig_dictionary(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"new", dictionary_new}, {"tally", tally_new}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"get", dictionary_get},       {"put", dictionary_put},
                                       {"remove", dictionary_remove}, {"map", dictionary_map},
                                       {"close", dictionary_close},   {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__len", dictionary_length},
                                    {"__gc", dictionary_close},
                                    {"__close", dictionary_close},
                                    {NULL, NULL}};
    static const luaL_Reg tally_methods[] = {
        {"add", tally_add}, {"close", tally_close}, {NULL, NULL}};
    static const luaL_Reg tally_meta[] = {
        {"__len", tally_length}, {"__gc", tally_close}, {"__close", tally_close}, {NULL, NULL}};
    lig_column_open(L);
    lig_class_new(L, DICTIONARY_CLASS, methods, meta);
    lig_class_new(L, TALLY_CLASS, tally_methods, tally_meta);
    luaL_newlib(L, functions);
    return 1;
}
