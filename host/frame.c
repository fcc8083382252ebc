/* frame.c: frames in Lua; the engine is cells.c, the columns are in column.c.
 *
 * A frame is a box over shared cells; a slice is another box over the same cells.
 * Columns are asked for by name or position.  Positions count from 1.
 */
#include "frame.h"
#include "lig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    struct lig_cells *cells; /* NULL once closed */
    size_t first, count;
};

const char *const lig_usual_marks[] = {"",    "NA",   "NaN",  "nan",  "N/A",
                                       "n/a", "#N/A", "null", "NULL", NULL};

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

void lig_frame_push(lua_State *L, struct lig_cells **cells, int schema_index) {
    struct frame *f = frame_box(L, schema_index);
    f->cells = *cells;
    f->first = 0;
    f->count = f->cells->rows;
    *cells = NULL;
}

static struct frame *frame_check(lua_State *L) {
    struct frame *f = luaL_checkudata(L, 1, LIG_FRAME_CLASS);
    if (f->cells == NULL) {
        lig_error_usage(L, "this frame was closed");
    }
    return f;
}

/* frame:close(): lets go of its cells; columns and slices made from it stay.  Closing
 * twice is fine. */
static int frame_close(lua_State *L) {
    struct frame *f = luaL_checkudata(L, 1, LIG_FRAME_CLASS);
    lig_cells_release(f->cells);
    f->cells = NULL;
    return 0;
}

/* A column over the rows of the frame at index 1, of `width` of its columns. */
static struct lig_column *column_of_frame(lua_State *L, const struct frame *f,
                                          enum lig_column_kind kind, size_t width) {
    struct lig_column *c = lig_column_new(L, kind, f->cells, f->first, f->count);
    c->columns = lig_column_room(L, LIG_ROOM_COLUMNS, width, sizeof *c->columns);
    c->width = width;
    return c;
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
    const struct frame *f = frame_check(L);
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
    const struct frame *f = frame_check(L);
    lua_pushinteger(L, (lua_Integer)f->cells->lines[row_check(L, f, 2)]);
    return 1;
}

/* frame:row(row) -> list of the row's cells as text. */
static int frame_row(lua_State *L) {
    const struct frame *f = frame_check(L);
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
    const struct frame *f = frame_check(L);
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
    const struct frame *f = frame_check(L);
    uint32_t at = column_position(L, f, 2);
    column_of_frame(L, f, LIG_COLUMN_TEXT, 1)->columns[0] = at;
    return 1;
}

/* frame:number(column) -> float64 column: numbers are correctly rounded; missing
 * marks, and texts that are no numbers, are masked. */
static int frame_number(lua_State *L) {
    const struct frame *f = frame_check(L);
    uint32_t at = column_position(L, f, 2);
    struct lig_column *c = column_of_frame(L, f, LIG_COLUMN_NUMBER, 1);
    c->columns[0] = at;
    double *numbers = lig_column_room(L, LIG_ROOM_NUMBERS, c->count, sizeof *numbers);
    uint8_t *kinds = lig_column_room(L, LIG_ROOM_KINDS, c->count, sizeof *kinds);
    for (size_t i = 0; i < c->count; i++) {
        size_t mark;
        double value = 0;
        enum lig_cell_kind kind =
            lig_cell_number(c->cells->format, lig_cell(c->cells, c->first + i, at), &value, &mark);
        kinds[i] = (uint8_t)kind;
        numbers[i] = kind <= LIG_CELL_ROUNDED ? value : 0;
    }
    c->numbers = numbers;
    c->kinds = kinds;
    return 1;
}

/* A column of several columns, from the list of names or positions at 2. */
static struct lig_column *frame_many(lua_State *L, enum lig_column_kind kind) {
    const struct frame *f = frame_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t width = lua_rawlen(L, 2);
    struct lig_column *c = column_of_frame(L, f, kind, width);
    for (size_t i = 0; i < width; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        c->columns[i] = column_position(L, f, lua_gettop(L));
        lua_pop(L, 1);
    }
    return c;
}

/* frame:texts{columns} -> one text[] per row. */
static int frame_texts(lua_State *L) {
    (void)frame_many(L, LIG_COLUMN_TEXTS);
    return 1;
}

/* frame:numbers{columns} -> one float8[] per row; missing and misfits are NULL. */
static int frame_numbers(lua_State *L) {
    (void)frame_many(L, LIG_COLUMN_NUMBERS);
    return 1;
}

/* frame:misfits({columns}, {marks}) -> one jsonb per row, or NULL: the cells of the
 * columns that their number alone cannot give back, as {"position": "text"}.
 * marks[i] is column i's own missing mark (false for none): a cell that holds it
 * needs no keeping. */
static int frame_misfits(lua_State *L) {
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    struct lig_column *c = frame_many(L, LIG_COLUMN_MISFITS);
    c->marks = lig_column_room(L, LIG_ROOM_MARKS, c->width, sizeof *c->marks);
    for (size_t i = 0; i < c->width; i++) {
        c->marks[i] = UINT32_MAX;
        if (lua_rawgeti(L, 3, (lua_Integer)i + 1) == LUA_TSTRING) {
            struct lig_text text;
            size_t mark;
            text.at = lua_tolstring(L, -1, &text.length);
            if (lig_format_mark(c->cells->format, text, &mark)) {
                c->marks[i] = (uint32_t)mark;
            }
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* frame:ordinals() -> the rows' numbers in the source, from 1, as int8. */
static int frame_ordinals(lua_State *L) {
    const struct frame *f = frame_check(L);
    (void)column_of_frame(L, f, LIG_COLUMN_ORDINAL, 0);
    return 1;
}

/* How the cells of one column read as numbers. */
struct profile {
    uint32_t kinds[LIG_CELL_KINDS];
    uint32_t empty;
    uint32_t marks[LIG_MARKS_MAX];
};

static void profile_count(const struct frame *f, struct profile *profiles) {
    const struct lig_cells *cells = f->cells;
    for (size_t row = f->first; row < f->first + f->count; row++) {
        for (size_t column = 0; column < cells->columns; column++) {
            struct lig_text cell = lig_cell(cells, row, column);
            struct profile *p = &profiles[column];
            double value;
            size_t mark = 0;
            enum lig_cell_kind kind = lig_cell_number(cells->format, cell, &value, &mark);
            p->kinds[kind]++;
            p->empty += cell.length == 0;
            if (kind == LIG_CELL_MISSING) {
                p->marks[mark]++;
            }
        }
    }
}

static void profile_push(lua_State *L, const struct lig_format *format, const struct profile *p) {
    static const char *const names[LIG_CELL_KINDS] = {"number", "code", "rounded", "missing",
                                                      "misfit"};
    lua_createtable(L, 0, LIG_CELL_KINDS + 2);
    for (size_t kind = 0; kind < LIG_CELL_KINDS; kind++) {
        lua_pushinteger(L, p->kinds[kind]);
        lua_setfield(L, -2, names[kind]);
    }
    lua_pushinteger(L, p->empty);
    lua_setfield(L, -2, "empty");
    lua_newtable(L);
    for (size_t m = 0; p->kinds[LIG_CELL_MISSING] > 0 && m < format->mark_count; m++) {
        if (p->marks[m] > 0) {
            lua_pushlstring(L, format->marks[m].text, format->marks[m].length);
            lua_pushinteger(L, p->marks[m]);
            lua_rawset(L, -3);
        }
    }
    lua_setfield(L, -2, "marks");
}

/* frame:profile() -> for each column {number, code, rounded, missing, misfit, empty,
 * marks = {[mark] = count}}: how its cells read as numbers (counts of cells; empty
 * ones are counted as missing too when "" is a missing mark). */
static int frame_profile(lua_State *L) {
    const struct frame *f = frame_check(L);
    size_t columns = f->cells->columns;
    struct profile *profiles = lua_newuserdatauv(L, columns * sizeof *profiles, 0);
    memset(profiles, 0, columns * sizeof *profiles);
    profile_count(f, profiles);
    lua_createtable(L, (int)columns, 0);
    for (size_t column = 0; column < columns; column++) {
        profile_push(L, f->cells->format, &profiles[column]);
        lua_rawseti(L, -2, (lua_Integer)column + 1);
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

static void marks_fill(lua_State *L, struct lig_format *format) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    if (count > LIG_MARKS_MAX) {
        lig_error_usage(L, "at most %d missing marks can be given", LIG_MARKS_MAX);
    }
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING) {
            lig_error_usage(L, "missing must be a list of strings; entry %d is a %s", (int)i,
                            luaL_typename(L, -1));
        }
        size_t length = 0;
        const char *mark = lua_tolstring(L, -1, &length);
        if (!lig_format_add_mark(format, mark, length)) {
            luaL_error(L, "out of memory");
        }
        lua_pop(L, 1);
    }
}

void lig_format_fill(lua_State *L, struct lig_format *format, int options_index) {
    options_index = lua_absindex(L, options_index);
    if (lua_getfield(L, options_index, "decimal") != LUA_TNIL) {
        const char *mark = luaL_tolstring(L, -1, NULL);
        if (strcmp(mark, ".") != 0 && strcmp(mark, ",") != 0) {
            lig_error_usage(L, "decimal must be \".\" or \",\", not \"%s\"", mark);
        }
        format->decimal = *mark;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    int type = lua_getfield(L, options_index, "missing");
    if (type == LUA_TTABLE) {
        marks_fill(L, format);
    } else if (type != LUA_TNIL) {
        lig_error_usage(L, "missing must be a list of strings, not a %s", luaL_typename(L, -1));
    } else {
        for (size_t i = 0; lig_usual_marks[i] != NULL; i++) {
            if (!lig_format_add_mark(format, lig_usual_marks[i], strlen(lig_usual_marks[i]))) {
                luaL_error(L, "out of memory");
            }
        }
    }
    lua_pop(L, 1);
}

/* The names at 1 as a list of our own; its length is the number of columns. */
static size_t new_names(lua_State *L) {
    size_t count = lua_rawlen(L, 1);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, (lua_Integer)i) != LUA_TSTRING) {
            lig_error_usage(L, "the name of column %zu is no string", i);
        }
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    if (count == 0) {
        lig_error_usage(L, "a frame needs at least one column");
    }
    return count;
}

/* The fewest digits that give the same double back, with the format's decimal mark,
 * whatever locale a script has set. */
static size_t number_write(lua_Number value, char decimal, char *out, size_t size) {
    int length = 0;
    if (isnan(value)) {
        length = snprintf(out, size, "nan");
    } else {
        double again = 0;
        for (int digits = 15; digits <= 17 && (length == 0 || again != value); digits++) {
            length = snprintf(out, size, "%.*g", digits, value);
            again = strtod(out, NULL);
        }
        char *mark = strpbrk(out, ".,");
        if (mark != NULL) {
            *mark = decimal;
        }
    }
    return (size_t)length;
}

/* Appends the value on top of the stack as a cell. */
static void new_cell(lua_State *L, struct lig_cells *c, size_t row, size_t column) {
    char digits[40];
    size_t length = 0;
    const char *text = "";
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING || lua_isinteger(L, -1)) {
        text = lua_tolstring(L, -1, &length);
    } else if (type == LUA_TNUMBER) {
        length = number_write(lua_tonumber(L, -1), c->format->decimal, digits, sizeof digits);
        text = digits;
    } else if (type != LUA_TNIL && !(type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1))) {
        lig_error_usage(L, "a cell is a string, a number or nil, not a %s (row %zu, column %zu)",
                        luaL_typename(L, -1), row, column);
    }
    if (!lig_cells_append(c, text, length)) {
        luaL_error(L, "out of memory");
    }
}

/* frame.new(names, rows[, {decimal, missing}]) -> frame made from Lua values: rows is
 * a list of lists of strings or numbers; nil and host.null give an empty cell. */
static int frame_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_newtable(L);
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    size_t columns = new_names(L);
    lig_frame_schema_push(L, 4); // names rows options names schema
    struct frame *f = frame_box(L, 5);
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
    c->columns = columns;
    c->first_row = 1;
    size_t count = lua_rawlen(L, 2);
    for (size_t row = 1; row <= count; row++) {
        if (lua_rawgeti(L, 2, (lua_Integer)row) != LUA_TTABLE || lua_rawlen(L, -1) > columns) {
            lig_error_usage(L, "row %zu is no list of at most %zu cells", row, columns);
        }
        for (size_t i = 1; i <= columns; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i);
            new_cell(L, c, row, i);
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
    static const luaL_Reg functions[] = {{"new", frame_new}, {NULL, NULL}};
    lig_class_new(L, LIG_FRAME_CLASS, frame_methods, frame_meta);
    lig_column_open(L);
    luaL_newlib(L, functions);
    luaL_getmetatable(L, LIG_FRAME_CLASS);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "methods"); // where Lua adds its own
    lua_pop(L, 1);
    return 1;
}
