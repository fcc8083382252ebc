/* column.c: a frame's columns in Lua.
 *
 * A column is a box that refers to the frame's cells and reads them when needed; Lua
 * sees single values only when it asks for them.  What a column computes lies in
 * memory of Lua's, one piece per user value, so that the collector knows how much
 * there is when a script forgets its columns.
 */
#include "frame.h"
#include "lig.h"

#include <string.h>

/* ---- box ----------------------------------------------------------------- */

struct lig_column *lig_column_new(lua_State *L, enum lig_column_kind kind, struct lig_cells *cells,
                                  size_t first, size_t count) {
    struct lig_column *c = lua_newuserdatauv(L, sizeof *c, LIG_ROOM_COUNT);
    memset(c, 0, sizeof *c);
    luaL_setmetatable(L, LIG_COLUMN_CLASS);
    c->kind = kind;
    c->cells = cells;
    c->cells->references++;
    c->first = first;
    c->count = count;
    return c;
}

void *lig_column_room(lua_State *L, enum lig_room room, size_t count, size_t size) {
    void *memory = lua_newuserdatauv(L, (count > 0 ? count : 1) * size, 0);
    lua_setiuservalue(L, -2, (int)room);
    return memory;
}

struct lig_column *lig_column_check(lua_State *L, int index) {
    struct lig_column *c = luaL_checkudata(L, index, LIG_COLUMN_CLASS);
    if (c->cells == NULL) {
        lig_error_usage(L, "this column was closed");
    }
    return c;
}

/* column:close(): lets go of the frame's cells and of what was computed.  Closing twice
 * is fine. */
static int column_close(lua_State *L) {
    struct lig_column *c = luaL_checkudata(L, 1, LIG_COLUMN_CLASS);
    lig_cells_release(c->cells);
    memset(c, 0, sizeof *c);
    for (int room = 1; room <= LIG_ROOM_COUNT; room++) {
        lua_pushnil(L);
        lua_setiuservalue(L, 1, room);
    }
    return 0;
}

/* ---- single values ------------------------------------------------------- */

/* #column: its number of rows. */
static int column_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)lig_column_check(L, 1)->count);
    return 1;
}

/* A column of single values, at index 1. */
static struct lig_column *column_check_single(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    if (c->kind == LIG_COLUMN_TEXTS || c->kind == LIG_COLUMN_NUMBERS ||
        c->kind == LIG_COLUMN_MISFITS) {
        lig_error_usage(L, "a column of several columns is for COPY; ask for one of them");
    }
    return c;
}

static bool value_is_missing(const struct lig_column *c, size_t i) {
    switch (c->kind) {
    case LIG_COLUMN_TEXT:
        return lig_cell(c->cells, c->first + i, c->columns[0]).length == 0;
    case LIG_COLUMN_NUMBER:
        return c->kinds[i] > LIG_CELL_ROUNDED;
    case LIG_COLUMN_INTEGER:
        return c->kinds[i] != 0;
    default:
        return false;
    }
}

/* Pushes value `i` (0-based), which is not missing. */
static void value_push(lua_State *L, const struct lig_column *c, size_t i) {
    if (c->kind == LIG_COLUMN_TEXT) {
        struct lig_text cell = lig_cell(c->cells, c->first + i, c->columns[0]);
        lua_pushlstring(L, cell.at, cell.length);
    } else if (c->kind == LIG_COLUMN_NUMBER) {
        lua_pushnumber(L, c->numbers[i]);
    } else if (c->kind == LIG_COLUMN_INTEGER) {
        lua_pushinteger(L, c->integers[i]);
    } else {
        lua_pushinteger(L, (lua_Integer)(c->cells->first_row + c->first + i));
    }
}

/* column:get(row) -> the value, or nil when it is missing. */
static int column_get(lua_State *L) {
    struct lig_column *c = column_check_single(L);
    lua_Integer row = luaL_checkinteger(L, 2);
    if (row < 1 || (lua_Unsigned)row > c->count) {
        lig_error_usage(L, "there is no row %lld; the column has %lld", (long long)row,
                        (long long)c->count);
    }
    if (value_is_missing(c, (size_t)row - 1)) {
        lua_pushnil(L);
    } else {
        value_push(L, c, (size_t)row - 1);
    }
    return 1;
}

/* column:values() -> list of all values; a missing one is host.null. */
static int column_values(lua_State *L) {
    struct lig_column *c = column_check_single(L);
    lua_createtable(L, (int)c->count, 0);
    for (size_t i = 0; i < c->count; i++) {
        if (value_is_missing(c, i)) {
            lua_pushlightuserdata(L, NULL);
        } else {
            value_push(L, c, i);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* column:missing() -> how many values are missing or masked. */
static int column_missing(lua_State *L) {
    struct lig_column *c = column_check_single(L);
    lua_Integer missing = 0;
    for (size_t i = 0; i < c->count; i++) {
        missing += value_is_missing(c, i);
    }
    lua_pushinteger(L, missing);
    return 1;
}

/* column:distinct() -> list of the distinct texts in order of appearance, without
 * the missing one; each becomes a Lua string once.  Text columns only. */
static int column_distinct(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    if (c->kind != LIG_COLUMN_TEXT) {
        lig_error_usage(L, "distinct is for text columns: frame:text(name)");
    }
    lua_settop(L, 1);
    uint32_t *codes = lig_column_room(L, LIG_ROOM_CODES, c->count, sizeof *codes);
    c->codes = NULL; // what it pointed to is no longer kept
    uint32_t *rows = lua_newuserdatauv(L, (c->count + 1) * sizeof *rows, 0);
    if (!lig_distinct(c->cells, c->first, c->count, c->columns[0], codes, rows, &c->distinct)) {
        return luaL_error(L, "out of memory");
    }
    c->codes = codes;
    lua_createtable(L, (int)c->distinct, 0);
    for (size_t i = 0; i < c->distinct; i++) {
        struct lig_text cell = lig_cell(c->cells, c->first + rows[i], c->columns[0]);
        lua_pushlstring(L, cell.at, cell.length);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* column:map(integers) -> int8 column: the value for each row is integers[i], where
 * i is the place of the row's text in column:distinct(); false, host.null or a missing
 * text gives NULL. */
static int column_map(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    if (c->codes == NULL) {
        lig_error_usage(L, "call distinct() before map()");
    }
    int64_t *values = lua_newuserdatauv(L, (c->distinct + 1) * sizeof *values, 0);
    uint8_t *nulls = lua_newuserdatauv(L, c->distinct + 1, 0);
    for (size_t i = 0; i < c->distinct; i++) {
        int type = lua_rawgeti(L, 2, (lua_Integer)i + 1);
        int whole = 0;
        values[i] = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
        nulls[i] = !whole;
        bool null = !lua_toboolean(L, -1) || (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1));
        if (!whole && !null) {
            lig_error_usage(L, "map needs integers, got %s at place %lld",
                            luaL_tolstring(L, -1, NULL), (long long)i + 1);
        }
        lua_pop(L, 1);
    }
    struct lig_column *m = lig_column_new(L, LIG_COLUMN_INTEGER, c->cells, c->first, c->count);
    int64_t *integers = lig_column_room(L, LIG_ROOM_NUMBERS, c->count, sizeof *integers);
    uint8_t *kinds = lig_column_room(L, LIG_ROOM_KINDS, c->count, sizeof *kinds);
    for (size_t i = 0; i < c->count; i++) {
        uint32_t code = c->codes[i];
        bool null = code == UINT32_MAX || nulls[code];
        kinds[i] = null;
        integers[i] = null ? 0 : values[code];
    }
    m->integers = integers;
    m->kinds = kinds;
    return 1;
}

void lig_column_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"get", column_get},
                                       {"values", column_values},
                                       {"missing", column_missing},
                                       {"distinct", column_distinct},
                                       {"map", column_map},
                                       {"close", column_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__len", column_length}, {"__gc", column_close}, {"__close", column_close}, {NULL, NULL}};
    lig_class_new(L, LIG_COLUMN_CLASS, methods, meta);
}
