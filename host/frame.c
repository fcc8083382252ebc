/* frame.c: frames and their columns in Lua; the engine is cells.c.
 *
 * A frame is a box over shared cells; a slice is another box over the same cells.
 * Columns are asked for by name or position and read the cells when needed; Lua
 * sees single values only when it asks for them.  Positions count from 1.
 */
#include "frame.h"
#include "lig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    struct lig_cells *cells; /* NULL once closed */
    size_t first, count;
};

/* ---- boxes --------------------------------------------------------------- */

/* Pushes a closed frame whose user value is the schema table. */
static struct frame *frame_box(lua_State *L, int schema_index) {
    schema_index = lua_absindex(L, schema_index);
    struct frame *f = lua_newuserdatauv(L, sizeof *f, 1);
    f->cells = NULL;
    luaL_setmetatable(L, LIG_FRAME_CLASS);
    lua_pushvalue(L, schema_index);
    lua_setiuservalue(L, -2, 1);
    return f;
}

void lig_frame_push(lua_State *L, struct lig_cells *cells, int schema_index) {
    struct frame *f = frame_box(L, schema_index);
    f->cells = cells;
    f->first = 0;
    f->count = cells->rows;
}

static struct frame *frame_check(lua_State *L) {
    struct frame *f = luaL_checkudata(L, 1, LIG_FRAME_CLASS);
    if (f->cells == NULL) {
        lig_error_usage(L, "this frame was closed; a frame lives until the next one is read unless "
                           "it is kept");
    }
    return f;
}

static int frame_close(lua_State *L) {
    struct frame *f = luaL_checkudata(L, 1, LIG_FRAME_CLASS);
    lig_cells_release(f->cells);
    f->cells = NULL;
    return 0;
}

static struct lig_column *column_box(lua_State *L, enum lig_column_kind kind) {
    struct lig_column *c = lua_newuserdatauv(L, sizeof *c, 0);
    memset(c, 0, sizeof *c);
    c->kind = kind;
    luaL_setmetatable(L, LIG_COLUMN_CLASS);
    return c;
}

static void column_bind(struct lig_column *c, const struct frame *f) {
    c->cells = f->cells;
    c->cells->references++;
    c->first = f->first;
    c->count = f->count;
}

static void *allocate(lua_State *L, size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        luaL_error(L, "out of memory");
    }
    return memory;
}

struct lig_column *lig_column_check(lua_State *L, int index) {
    struct lig_column *c = luaL_checkudata(L, index, LIG_COLUMN_CLASS);
    if (c->cells == NULL) {
        lig_error_usage(L, "this column was closed");
    }
    return c;
}

static int column_close(lua_State *L) {
    struct lig_column *c = luaL_checkudata(L, 1, LIG_COLUMN_CLASS);
    lig_cells_release(c->cells);
    free(c->columns);
    free(c->marks);
    free(c->numbers);
    free(c->kinds);
    free(c->integers);
    free(c->codes);
    memset(c, 0, sizeof *c);
    return 0;
}

/* ---- which column -------------------------------------------------------- */

/* The 0-based column that the value at `index` (a name or a 1-based position)
 * means in the frame at stack index 1. */
static uint32_t column_position(lua_State *L, const struct frame *f, int index) {
    if (lua_type(L, index) == LUA_TSTRING) {
        lua_getiuservalue(L, 1, 1);
        lua_getfield(L, -1, "index");
        lua_pushvalue(L, index);
        int type = lua_rawget(L, -2); // schema index position
        lua_Integer at = lua_tointeger(L, -1);
        lua_pop(L, 3);
        if (type == LUA_TNIL) {
            lig_error_usage(L, "there is no column '%s'", lua_tostring(L, index));
        }
        if (at == 0) {
            lig_error_usage(L, "several columns are named '%s'; use the position",
                            lua_tostring(L, index));
        }
        return (uint32_t)(at - 1);
    }
    lua_Integer at = luaL_checkinteger(L, index);
    if (at < 1 || (lua_Unsigned)at > f->cells->columns) {
        lig_error_usage(L, "there is no column %lld; the frame has %lld", (long long)at,
                        (long long)f->cells->columns);
    }
    return (uint32_t)(at - 1);
}

/* Fills column->columns from the list at `index`. */
static void column_positions(lua_State *L, const struct frame *f, struct lig_column *c, int index) {
    luaL_checktype(L, index, LUA_TTABLE);
    size_t width = lua_rawlen(L, index);
    c->columns = allocate(L, width, sizeof *c->columns);
    c->width = width;
    for (size_t i = 0; i < width; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        c->columns[i] = column_position(L, f, lua_gettop(L));
        lua_pop(L, 1);
    }
}

/* ---- frames -------------------------------------------------------------- */

/* #frame: its number of rows. */
static int frame_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)frame_check(L)->count);
    return 1;
}

/* frame:width() -> number of columns. */
static int frame_width(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)frame_check(L)->cells->columns);
    return 1;
}

/* frame:names() -> list of the columns' names, shared by all frames of a source. */
static int frame_names(lua_State *L) {
    (void)frame_check(L);
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, "names");
    return 1;
}

/* frame:first_row() -> number of its first row in the source, from 1. */
static int frame_first_row(lua_State *L) {
    struct frame *f = frame_check(L);
    lua_pushinteger(L, (lua_Integer)(f->cells->first_row + f->first));
    return 1;
}

static size_t row_check(lua_State *L, const struct frame *f, int index) {
    lua_Integer row = luaL_checkinteger(L, index);
    if (row < 1 || (lua_Unsigned)row > f->count) {
        lig_error_usage(L, "there is no row %lld; the frame has %lld", (long long)row,
                        (long long)f->count);
    }
    return f->first + (size_t)row - 1;
}

/* frame:line(row) -> line of the source on which the row begins, from 1. */
static int frame_line(lua_State *L) {
    struct frame *f = frame_check(L);
    lua_pushinteger(L, (lua_Integer)f->cells->lines[row_check(L, f, 2)]);
    return 1;
}

/* frame:row(row) -> list of the row's cells as text. */
static int frame_row(lua_State *L) {
    struct frame *f = frame_check(L);
    size_t row = row_check(L, f, 2);
    lua_createtable(L, (int)f->cells->columns, 0);
    for (size_t i = 0; i < f->cells->columns; i++) {
        struct lig_text cell = lig_cell(f->cells, row, i);
        lua_pushlstring(L, cell.at, cell.length);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* frame:slice(first[, last]) -> frame over rows first..last, sharing the cells. */
static int frame_slice(lua_State *L) {
    struct frame *f = frame_check(L);
    lua_Integer count = (lua_Integer)f->count;
    lua_Integer first = luaL_checkinteger(L, 2);
    lua_Integer last = luaL_optinteger(L, 3, count);
    if (first < 1 || last > count || first > last + 1) {
        lig_error_usage(L, "rows %lld to %lld are not within 1 to %lld", (long long)first,
                        (long long)last, (long long)count);
    }
    lua_getiuservalue(L, 1, 1);
    struct frame *slice = frame_box(L, -1);
    slice->cells = f->cells;
    slice->cells->references++;
    slice->first = f->first + (size_t)first - 1;
    slice->count = (size_t)(last - first + 1);
    return 1;
}

/* frame:text(column) -> text column; an empty cell is missing. */
static int frame_text(lua_State *L) {
    struct frame *f = frame_check(L);
    uint32_t at = column_position(L, f, 2);
    struct lig_column *c = column_box(L, LIG_COLUMN_TEXT);
    column_bind(c, f);
    c->columns = allocate(L, 1, sizeof *c->columns);
    c->columns[0] = at;
    c->width = 1;
    return 1;
}

/* frame:number(column) -> float64 column: numbers are correctly rounded; missing
 * marks, and texts that are no numbers, are masked. */
static int frame_number(lua_State *L) {
    struct frame *f = frame_check(L);
    uint32_t at = column_position(L, f, 2);
    struct lig_column *c = column_box(L, LIG_COLUMN_NUMBER);
    column_bind(c, f);
    c->columns = allocate(L, 1, sizeof *c->columns);
    c->columns[0] = at;
    c->width = 1;
    c->numbers = allocate(L, c->count, sizeof *c->numbers);
    c->kinds = allocate(L, c->count, sizeof *c->kinds);
    for (size_t i = 0; i < c->count; i++) {
        size_t mark;
        double value = 0;
        enum lig_cell_kind kind =
            lig_cell_number(c->cells->format, lig_cell(c->cells, c->first + i, at), &value, &mark);
        c->kinds[i] = (uint8_t)kind;
        c->numbers[i] = kind <= LIG_CELL_ROUNDED ? value : 0;
    }
    return 1;
}

static int frame_many(lua_State *L, enum lig_column_kind kind) {
    struct frame *f = frame_check(L);
    struct lig_column *c = column_box(L, kind);
    column_bind(c, f);
    column_positions(L, f, c, 2);
    return 1;
}

/* frame:texts{columns} -> one text[] per row. */
static int frame_texts(lua_State *L) {
    return frame_many(L, LIG_COLUMN_TEXTS);
}

/* frame:numbers{columns} -> one float8[] per row; missing and misfits are NULL. */
static int frame_numbers(lua_State *L) {
    return frame_many(L, LIG_COLUMN_NUMBERS);
}

/* frame:misfits({columns}, {marks}) -> one jsonb per row, or NULL: the cells of the
 * columns that their number alone cannot give back, as {"position": "text"}.
 * marks[i] is column i's own missing mark (false for none): a cell that holds it
 * needs no keeping. */
static int frame_misfits(lua_State *L) {
    (void)frame_many(L, LIG_COLUMN_MISFITS);
    struct lig_column *c = lua_touserdata(L, -1);
    luaL_checktype(L, 3, LUA_TTABLE);
    c->marks = allocate(L, c->width, sizeof *c->marks);
    const struct lig_format *format = c->cells->format;
    for (size_t i = 0; i < c->width; i++) {
        c->marks[i] = UINT32_MAX;
        if (lua_rawgeti(L, 3, (lua_Integer)i + 1) == LUA_TSTRING) {
            size_t length = 0;
            const char *text = lua_tolstring(L, -1, &length);
            for (size_t m = 0; m < format->mark_count; m++) {
                if (format->marks[m].length == length &&
                    memcmp(format->marks[m].text, text, length) == 0) {
                    c->marks[i] = (uint32_t)m;
                }
            }
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* frame:ordinals() -> the rows' numbers in the source, from 1, as int8. */
static int frame_ordinals(lua_State *L) {
    struct lig_column *c = column_box(L, LIG_COLUMN_ORDINAL);
    column_bind(c, frame_check(L));
    return 1;
}

/* frame:profile() -> for each column {number, rounded, missing, misfit, empty,
 * marks = {[mark] = count}}: how its cells read as numbers (counts of cells; empty
 * ones are counted as missing too when "" is a missing mark). */
static int frame_profile(lua_State *L) {
    static const char *const names[] = {"number", "rounded", "missing", "misfit"};
    struct frame *f = frame_check(L);
    const struct lig_format *format = f->cells->format;
    lua_createtable(L, (int)f->cells->columns, 0);
    for (size_t column = 0; column < f->cells->columns; column++) {
        lua_Integer counts[4] = {0};
        lua_Integer marks[LIG_MARKS_MAX] = {0};
        lua_Integer empty = 0;
        for (size_t i = 0; i < f->count; i++) {
            struct lig_text cell = lig_cell(f->cells, f->first + i, column);
            double value;
            size_t mark = 0;
            enum lig_cell_kind kind = lig_cell_number(format, cell, &value, &mark);
            counts[kind]++;
            if (kind == LIG_CELL_MISSING) {
                marks[mark]++;
            }
            empty += cell.length == 0;
        }
        lua_createtable(L, 0, 6);
        for (size_t k = 0; k < 4; k++) {
            lua_pushinteger(L, counts[k]);
            lua_setfield(L, -2, names[k]);
        }
        lua_pushinteger(L, empty);
        lua_setfield(L, -2, "empty");
        lua_newtable(L);
        for (size_t m = 0; m < format->mark_count; m++) {
            if (marks[m] > 0) {
                lua_pushlstring(L, format->marks[m].text, format->marks[m].length);
                lua_pushinteger(L, marks[m]);
                lua_rawset(L, -3);
            }
        }
        lua_setfield(L, -2, "marks");
        lua_rawseti(L, -2, (lua_Integer)column + 1);
    }
    return 1;
}

/* ---- columns ------------------------------------------------------------- */

/* #column: its number of rows. */
static int column_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)lig_column_check(L, 1)->count);
    return 1;
}

/* Pushes value `i` (0-based) of a column of single values; false when missing. */
static bool column_push(lua_State *L, const struct lig_column *c, size_t i) {
    switch (c->kind) {
    case LIG_COLUMN_TEXT: {
        struct lig_text cell = lig_cell(c->cells, c->first + i, c->columns[0]);
        lua_pushlstring(L, cell.at, cell.length);
        return cell.length > 0;
    }
    case LIG_COLUMN_NUMBER:
        lua_pushnumber(L, c->numbers[i]);
        return c->kinds[i] <= LIG_CELL_ROUNDED;
    case LIG_COLUMN_INTEGER:
        lua_pushinteger(L, c->integers[i]);
        return c->kinds[i] == 0;
    case LIG_COLUMN_ORDINAL:
        lua_pushinteger(L, (lua_Integer)(c->cells->first_row + c->first + i));
        return true;
    case LIG_COLUMN_TEXTS:
    case LIG_COLUMN_NUMBERS:
    case LIG_COLUMN_MISFITS:
        break;
    }
    lig_error_usage(L, "a column of several columns is for COPY; ask for one of them");
}

/* column:get(row) -> the value, or nil when it is missing. */
static int column_get(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    lua_Integer row = luaL_checkinteger(L, 2);
    if (row < 1 || (lua_Unsigned)row > c->count) {
        lig_error_usage(L, "there is no row %lld; the column has %lld", (long long)row,
                        (long long)c->count);
    }
    if (!column_push(L, c, (size_t)row - 1)) {
        lua_pushnil(L);
    }
    return 1;
}

/* column:values() -> list of all values; a missing one is host.null. */
static int column_values(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    lua_createtable(L, (int)c->count, 0);
    for (size_t i = 0; i < c->count; i++) {
        if (!column_push(L, c, i)) {
            lua_pop(L, 1);
            lua_pushlightuserdata(L, NULL);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* column:missing() -> how many values are missing or masked. */
static int column_missing(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    lua_Integer missing = 0;
    for (size_t i = 0; i < c->count; i++) {
        missing += !column_push(L, c, i);
        lua_pop(L, 1);
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
    if (c->codes == NULL) {
        c->codes = allocate(L, c->count, sizeof *c->codes);
    }
    uint32_t *rows = lua_newuserdatauv(L, (c->count + 1) * sizeof *rows, 0);
    if (!lig_distinct(c->cells, c->first, c->count, c->columns[0], c->codes, rows, &c->distinct)) {
        return luaL_error(L, "out of memory");
    }
    lua_createtable(L, (int)c->distinct, 0);
    for (size_t i = 0; i < c->distinct; i++) {
        struct lig_text cell = lig_cell(c->cells, c->first + rows[i], c->columns[0]);
        lua_pushlstring(L, cell.at, cell.length);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* column:map(integers) -> int8 column: the value for each row is integers[i], where
 * i is the place of the row's text in column:distinct(); false or a missing text
 * gives NULL. */
static int column_map(lua_State *L) {
    struct lig_column *c = lig_column_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (c->codes == NULL) {
        lig_error_usage(L, "call distinct() before map()");
    }
    int64_t *values = lua_newuserdatauv(L, (c->distinct + 1) * sizeof *values, 0);
    uint8_t *nulls = lua_newuserdatauv(L, c->distinct + 1, 0);
    for (size_t i = 0; i < c->distinct; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        int is_integer = 0;
        values[i] = lua_tointegerx(L, -1, &is_integer);
        nulls[i] = !is_integer;
        if (!is_integer && lua_toboolean(L, -1)) {
            lig_error_usage(L, "map needs integers, got a %s at place %lld", luaL_typename(L, -1),
                            (long long)i + 1);
        }
        lua_pop(L, 1);
    }
    struct lig_column *m = column_box(L, LIG_COLUMN_INTEGER);
    m->cells = c->cells;
    m->cells->references++;
    m->first = c->first;
    m->count = c->count;
    m->integers = allocate(L, c->count, sizeof *m->integers);
    m->kinds = allocate(L, c->count, sizeof *m->kinds);
    for (size_t i = 0; i < c->count; i++) {
        uint32_t code = c->codes[i];
        bool null = code == UINT32_MAX || nulls[code];
        m->kinds[i] = null;
        m->integers[i] = null ? 0 : values[code];
    }
    return 1;
}

/* ---- making a frame in Lua ----------------------------------------------- */

void lig_frame_schema_push(lua_State *L, int names_index) {
    names_index = lua_absindex(L, names_index);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, names_index);
    lua_setfield(L, -2, "names");
    lua_newtable(L); // schema index
    lua_Integer count = (lua_Integer)lua_rawlen(L, names_index);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, names_index, i);
        lua_pushvalue(L, -1);
        bool repeated = lua_rawget(L, -3) != LUA_TNIL;
        lua_pop(L, 1);
        lua_pushinteger(L, repeated ? 0 : i); // 0: more than one column has this name
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "index");
}

void lig_format_fill(lua_State *L, struct lig_format *format, int options_index) {
    options_index = lua_absindex(L, options_index);
    if (lua_getfield(L, options_index, "decimal") != LUA_TNIL) {
        const char *mark = luaL_checkstring(L, -1);
        if (strcmp(mark, ".") != 0 && strcmp(mark, ",") != 0) {
            lig_error_usage(L, "decimal must be \".\" or \",\", not \"%s\"", mark);
        }
        format->decimal = *mark;
    }
    lua_pop(L, 1);
    if (lua_getfield(L, options_index, "missing") == LUA_TNIL) {
        static const char *const usual[] = {"",    "NA",   "NaN",  "nan", "N/A",
                                            "n/a", "#N/A", "null", "NULL"};
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
            if (!lig_format_add_mark(format, usual[i], strlen(usual[i]))) {
                luaL_error(L, "out of memory");
            }
        }
    } else {
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = 1; i <= count; i++) {
            lua_rawgeti(L, -1, i);
            size_t length = 0;
            const char *mark = luaL_checklstring(L, -1, &length);
            if (!lig_format_add_mark(format, mark, length)) {
                lig_error_usage(L, "at most %d missing marks can be given", LIG_MARKS_MAX);
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* frame.new(names, rows[, {decimal, missing}]) -> frame made from Lua values: rows is
 * a list of lists of strings or numbers (a number is written with %.17g; nil and
 * host.null give an empty cell). */
static int frame_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_newtable(L);
    }
    lig_frame_schema_push(L, 1); // names rows options schema
    struct frame *f = frame_box(L, 4);
    struct lig_format *format = lig_format_new();
    f->cells = format == NULL ? NULL : lig_cells_new(format);
    lig_format_release(format); // the cells hold theirs
    if (f->cells == NULL) {
        return luaL_error(L, "out of memory");
    }
    f->first = 0;
    f->count = 0;
    lig_format_fill(L, f->cells->format, 3);
    struct lig_cells *c = f->cells;
    c->columns = lua_rawlen(L, 1);
    c->first_row = 1;
    size_t count = lua_rawlen(L, 2);
    for (size_t row = 1; row <= count; row++) {
        lua_rawgeti(L, 2, (lua_Integer)row);
        luaL_checktype(L, -1, LUA_TTABLE);
        for (size_t i = 1; i <= c->columns; i++) {
            int type = lua_rawgeti(L, -1, (lua_Integer)i);
            size_t length = 0;
            const char *text = "";
            char digits[40];
            if (type == LUA_TNUMBER && !lua_isinteger(L, -1)) {
                length = (size_t)snprintf(digits, sizeof digits, "%.17g", lua_tonumber(L, -1));
                text = digits;
            } else if (type != LUA_TNIL && type != LUA_TLIGHTUSERDATA) {
                text = luaL_checklstring(L, -1, &length);
            }
            if (!lig_cells_append(c, text, length)) {
                return luaL_error(L, "out of memory");
            }
            lua_pop(L, 1);
        }
        if (!lig_cells_row_ended(c, row)) {
            return luaL_error(L, "out of memory");
        }
        lua_pop(L, 1);
    }
    f->count = c->rows;
    return 1;
}

int luaopen_lig_frame(lua_State *L) {
    static const luaL_Reg frame_methods[] = {
        {"names", frame_names},     {"width", frame_width},     {"first_row", frame_first_row},
        {"line", frame_line},       {"row", frame_row},         {"slice", frame_slice},
        {"text", frame_text},       {"number", frame_number},   {"texts", frame_texts},
        {"numbers", frame_numbers}, {"misfits", frame_misfits}, {"ordinals", frame_ordinals},
        {"profile", frame_profile}, {"close", frame_close},     {NULL, NULL}};
    static const luaL_Reg frame_meta[] = {
        {"__len", frame_length}, {"__gc", frame_close}, {"__close", frame_close}, {NULL, NULL}};
    static const luaL_Reg column_methods[] = {{"get", column_get},
                                              {"values", column_values},
                                              {"missing", column_missing},
                                              {"distinct", column_distinct},
                                              {"map", column_map},
                                              {"close", column_close},
                                              {NULL, NULL}};
    static const luaL_Reg column_meta[] = {
        {"__len", column_length}, {"__gc", column_close}, {"__close", column_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", frame_new}, {NULL, NULL}};
    lig_class_new(L, LIG_FRAME_CLASS, frame_methods, frame_meta);
    lig_class_new(L, LIG_COLUMN_CLASS, column_methods, column_meta);
    luaL_newlib(L, functions);
    return 1;
}
