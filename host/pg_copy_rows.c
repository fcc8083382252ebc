/* pg_copy_rows.c: where the values of a binary COPY come from; see pg_copy_rows.h. */
#include "pg_copy_rows.h"
#include "lig.h"

#include <stdlib.h>
#include <string.h>

/* ---- columns ------------------------------------------------------------- */

static void column_read(lua_State *L, struct lig_rows *rows, size_t i) {
    if (lua_type(L, -1) != LUA_TTABLE) {
        lig_error_usage(L, "column %zu must be {name, type}", i + 1);
    }
    int name = lua_rawgeti(L, -1, 1);
    int type = lua_rawgeti(L, -2, 2); // column name type
    if (name != LUA_TSTRING || type != LUA_TSTRING) {
        lig_error_usage(L, "column %zu must be {name, type}", i + 1);
    }
    rows->wires[i] = lig_wire_named(lua_tostring(L, -1));
    if (rows->wires[i] == LIG_WIRE_UNKNOWN) {
        lig_error_usage(L,
                        "cannot COPY the type '%s'; the types are bool, int4, int8, float8, text, "
                        "uuid, jsonb, timestamptz, float8[] and text[]",
                        lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    lua_remove(L, -2); // name
}

void lig_rows_columns(lua_State *L, struct lig_rows *rows, int index) {
    luaL_checktype(L, index, LUA_TTABLE);
    rows->width = lua_rawlen(L, index);
    if (rows->width == 0 || rows->width > 1600) {
        lig_error_usage(L, "a COPY needs from 1 to 1600 columns");
    }
    rows->wires = calloc(rows->width, sizeof *rows->wires);
    rows->fields = calloc(rows->width, sizeof *rows->fields);
    if (rows->wires == NULL || rows->fields == NULL) {
        luaL_error(L, "out of memory");
    }
    lua_createtable(L, (int)rows->width, 0);
    for (size_t i = 0; i < rows->width; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        column_read(L, rows, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void lig_rows_free(struct lig_rows *rows) {
    free(rows->wires);
    free(rows->fields);
    free(rows->bytes.at);
    free(rows->constants.at);
    free(rows->odd.at);
    rows->wires = NULL;
    rows->fields = NULL;
    rows->bytes = (struct lig_bytes){0};
    rows->constants = (struct lig_bytes){0};
    rows->odd = (struct lig_odd_cells){0};
}

/* ---- Lua values ---------------------------------------------------------- */

/* The place of a Lua value, for saying what is wrong with it. */
struct place {
    int names;
    size_t field;
    size_t row; /* 1-based; 0: the value of all rows */
};

static _Noreturn void value_fail(lua_State *L, const struct place *at, const char *type) {
    lua_rawgeti(L, at->names, (lua_Integer)at->field + 1);
    const char *name = lua_tostring(L, -1);
    if (at->row > 0) {
        lig_error_usage(L, "the value for column '%s' in row %zu is no %s", name, at->row, type);
    }
    lig_error_usage(L, "the value for column '%s' is no %s", name, type);
}

static bool is_null(lua_State *L, int index) {
    return lua_isnil(L, index) ||
           (lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL);
}

/* The string at `index`, or NULL when it is none that Postgres can hold. */
static const char *text_read(lua_State *L, int index, size_t *length) {
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, length) : NULL;
    bool fits = text != NULL && *length < LIG_FIELD_BYTES && memchr(text, '\0', *length) == NULL;
    return fits ? text : NULL;
}

static void array_encode(lua_State *L, struct lig_bytes *b, enum lig_wire wire, int index,
                         const struct place *at) {
    size_t length = lua_rawlen(L, index);
    size_t start = b->used;
    bool numbers = wire == LIG_WIRE_FLOAT8_ARRAY;
    lig_bytes_put32(b, 0);
    lig_bytes_put32(b, length > 0);
    lig_bytes_put32(b, 1); // may hold NULLs
    lig_bytes_put32(b, numbers ? 701 : 25);
    if (length > 0) {
        lig_bytes_put32(b, (uint32_t)length);
        lig_bytes_put32(b, 1);
    }
    for (size_t i = 1; i <= length; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        size_t size = 0;
        const char *text = numbers ? NULL : text_read(L, -1, &size);
        if (is_null(L, -1)) {
            lig_encode_null(b);
        } else if (text != NULL) {
            lig_encode_text(b, text, size);
        } else if (numbers && lua_type(L, -1) == LUA_TNUMBER) {
            lig_encode_float8(b, lua_tonumber(L, -1));
        } else {
            value_fail(L, at, numbers ? "list of numbers" : "list of strings without NUL bytes");
        }
        lua_pop(L, 1);
        if (b->used - start > LIG_FIELD_BYTES) {
            value_fail(L, at, "array below 1 GiB");
        }
    }
    lig_bytes_set32(b, start, (uint32_t)(b->used - start) - 4);
}

static void integer_encode(lua_State *L, struct lig_bytes *b, enum lig_wire wire, int index,
                           const struct place *at) {
    int fits = 0;
    lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &fits) : 0;
    if (wire == LIG_WIRE_INT8 && fits) {
        lig_encode_int8(b, value);
    } else if (wire == LIG_WIRE_INT4 && fits && value >= INT32_MIN && value <= INT32_MAX) {
        lig_encode_int4(b, (int32_t)value);
    } else {
        value_fail(L, at, wire == LIG_WIRE_INT4 ? "int4" : "int8");
    }
}

/* Encodes the Lua value at `index` (absolute) as one field. */
static void value_encode(lua_State *L, struct lig_bytes *b, enum lig_wire wire, int index,
                         const struct place *at) {
    if (is_null(L, index)) {
        lig_encode_null(b);
        return;
    }
    int type = lua_type(L, index);
    size_t length = 0;
    const char *text = text_read(L, index, &length);
    switch (wire) {
    case LIG_WIRE_BOOL:
        if (type != LUA_TBOOLEAN) {
            value_fail(L, at, "boolean");
        }
        lig_encode_bool(b, lua_toboolean(L, index));
        return;
    case LIG_WIRE_INT4:
    case LIG_WIRE_INT8:
        integer_encode(L, b, wire, index, at);
        return;
    case LIG_WIRE_FLOAT8:
        if (type != LUA_TNUMBER) {
            value_fail(L, at, "number");
        }
        lig_encode_float8(b, lua_tonumber(L, index));
        return;
    case LIG_WIRE_TEXT:
    case LIG_WIRE_JSONB:
        if (text == NULL) {
            value_fail(L, at, "string without NUL bytes below 1 GiB");
        }
        if (wire == LIG_WIRE_TEXT) {
            lig_encode_text(b, text, length);
        } else {
            lig_encode_jsonb(b, text, length);
        }
        return;
    case LIG_WIRE_UUID:
        if (text == NULL || !lig_encode_uuid(b, text, length)) {
            value_fail(L, at, "UUID");
        }
        return;
    case LIG_WIRE_TIMESTAMPTZ:
        if (text == NULL || !lig_encode_timestamptz(b, text, length)) {
            value_fail(L, at, "time like 2026-01-02T03:04:05Z");
        }
        return;
    case LIG_WIRE_FLOAT8_ARRAY:
    case LIG_WIRE_TEXT_ARRAY:
        if (type != LUA_TTABLE) {
            value_fail(L, at, "list");
        }
        array_encode(L, b, wire, index, at);
        return;
    case LIG_WIRE_UNKNOWN:
        break;
    }
}

/* ---- sources ------------------------------------------------------------- */

static bool column_fits(const struct lig_column *column, enum lig_wire wire) {
    switch (column->kind) {
    case LIG_COLUMN_TEXT:
        return wire == LIG_WIRE_TEXT;
    case LIG_COLUMN_NUMBER:
        return wire == LIG_WIRE_FLOAT8;
    case LIG_COLUMN_TEXTS:
        return wire == LIG_WIRE_TEXT_ARRAY;
    case LIG_COLUMN_NUMBERS:
        return wire == LIG_WIRE_FLOAT8_ARRAY;
    case LIG_COLUMN_MISFITS:
        return wire == LIG_WIRE_JSONB;
    case LIG_COLUMN_ORDINAL:
    case LIG_COLUMN_INTEGER:
        return wire == LIG_WIRE_INT8;
    }
    return false;
}

/* A list of rows, unless it is the one array of an array column: rows of those are
 * tables themselves (or host.null, by which nobody can tell). */
static bool is_list_of_rows(lua_State *L, int index, enum lig_wire wire) {
    if (lua_type(L, index) != LUA_TTABLE) {
        return false;
    }
    if (wire != LIG_WIRE_FLOAT8_ARRAY && wire != LIG_WIRE_TEXT_ARRAY) {
        return true;
    }
    int type = LUA_TLIGHTUSERDATA;
    for (lua_Integer i = 1; type == LUA_TLIGHTUSERDATA; i++) {
        type = lua_rawgeti(L, index, i);
        lua_pop(L, 1);
    }
    return type == LUA_TTABLE;
}

/* The float8[] field just before the misfits of the same columns, whose odd cells
 * are then known already; -1 when they must be found again. */
static int numbers_field(const struct lig_field *fields, size_t before,
                         const struct lig_column *m) {
    for (size_t i = before; i-- > 0;) {
        const struct lig_column *n = fields[i].origin == LIG_FROM_COLUMN ? fields[i].column : NULL;
        if (n == NULL || (n->kind != LIG_COLUMN_NUMBERS && n->kind != LIG_COLUMN_MISFITS)) {
            continue;
        }
        bool same = n->kind == LIG_COLUMN_NUMBERS && n->cells == m->cells && n->first == m->first &&
                    n->width == m->width &&
                    memcmp(n->columns, m->columns, m->width * sizeof *m->columns) == 0;
        return same ? (int)i : -1;
    }
    return -1;
}

/* Every name in the table of values must be a column of the COPY. */
static void names_check(lua_State *L, size_t width, int names, int values) {
    lua_pushnil(L);
    while (lua_next(L, values) != 0) {
        lua_pop(L, 1);
        bool known = false;
        for (size_t i = 1; i <= width && !known; i++) {
            lua_rawgeti(L, names, (lua_Integer)i);
            known = lua_rawequal(L, -1, -2);
            lua_pop(L, 1);
        }
        if (!known) {
            lig_error_usage(L, "the COPY has no column '%s'", luaL_tolstring(L, -1, NULL));
        }
    }
}

void lig_rows_sources(lua_State *L, struct lig_rows *rows, int names, int values, size_t count) {
    names_check(L, rows->width, names, values);
    luaL_checkstack(L, (int)rows->width + 8, "too many columns");
    rows->constants.used = 0;
    for (size_t i = 0; i < rows->width; i++) {
        struct lig_field *f = &rows->fields[i];
        struct place at = {names, i, 0};
        *f = (struct lig_field){.numbers = -1};
        lua_rawgeti(L, names, (lua_Integer)i + 1);
        lua_rawget(L, values);
        int index = lua_gettop(L);
        if (lua_type(L, index) == LUA_TUSERDATA) {
            f->origin = LIG_FROM_COLUMN;
            f->column = lig_column_check(L, index);
            if (!column_fits(f->column, rows->wires[i])) {
                value_fail(L, &at, "column of that type");
            }
            if (f->column->count != count) {
                lig_error_usage(L, "a column has %zu rows where %zu are written", f->column->count,
                                count);
            }
            if (f->column->kind == LIG_COLUMN_MISFITS) {
                f->numbers = numbers_field(rows->fields, i, f->column);
            }
        } else if (is_list_of_rows(L, index, rows->wires[i])) {
            f->origin = LIG_FROM_LIST;
            f->list = index;
            if (lua_rawlen(L, index) != count) {
                value_fail(L, &at, "list with one value per row (use host.null for NULL)");
            }
        } else {
            f->origin = LIG_FROM_CONSTANT;
            f->at = rows->constants.used;
            value_encode(L, &rows->constants, rows->wires[i], index, &at);
            f->length = rows->constants.used - f->at;
        }
    }
    if (rows->constants.failed) {
        luaL_error(L, "out of memory");
    }
}

/* The last float8[] column, or the number of columns when there is none. */
static size_t misfit_field(const struct lig_rows *rows) {
    size_t i = rows->width;
    while (i > 0 && rows->wires[i - 1] != LIG_WIRE_FLOAT8_ARRAY) {
        i--;
    }
    return i > 0 ? i - 1 : rows->width;
}

size_t lig_rows_misfit_width(const struct lig_rows *rows) {
    size_t i = misfit_field(rows);
    bool counted = i < rows->width && rows->fields[i].origin == LIG_FROM_COLUMN;
    return counted ? rows->fields[i].column->width : 0;
}

/* ---- rows ---------------------------------------------------------------- */

static void odd_out_of_memory(lua_State *L, bool stored) {
    if (!stored) {
        luaL_error(L, "out of memory");
    }
}

/* Counts the odd cells of the numbers just encoded. */
static void odd_count(struct lig_rows *rows, bool last) {
    for (size_t i = 0; i < rows->odd.count; i++) {
        const struct lig_odd_cell *cell = &rows->odd.at[i];
        rows->numbers -= !cell->number;
        if (last && !cell->number && cell->mark == UINT32_MAX) {
            rows->misfits[cell->place]++;
        }
    }
}

static void column_encode(lua_State *L, struct lig_rows *rows, const struct lig_field *f,
                          size_t row) {
    const struct lig_column *col = f->column;
    struct lig_bytes *b = &rows->bytes;
    switch (col->kind) {
    case LIG_COLUMN_TEXT: {
        struct lig_text cell = lig_cell(col->cells, col->first + row, col->columns[0]);
        if (cell.length == 0) {
            lig_encode_null(b);
        } else {
            lig_encode_text(b, cell.at, cell.length);
        }
        return;
    }
    case LIG_COLUMN_NUMBER:
        if (col->kinds[row] <= LIG_CELL_ROUNDED) {
            lig_encode_float8(b, col->numbers[row]);
        } else {
            lig_encode_null(b);
        }
        return;
    case LIG_COLUMN_INTEGER:
        if (col->kinds[row] == 0) {
            lig_encode_int8(b, col->integers[row]);
        } else {
            lig_encode_null(b);
        }
        return;
    case LIG_COLUMN_ORDINAL:
        lig_encode_int8(b, (int64_t)(col->cells->first_row + col->first + row));
        return;
    case LIG_COLUMN_TEXTS:
        lig_encode_texts(b, col, row);
        return;
    case LIG_COLUMN_NUMBERS:
        rows->odd.count = 0;
        odd_out_of_memory(L, lig_encode_numbers(b, col, row, &rows->odd));
        rows->numbers += (lua_Integer)col->width;
        odd_count(rows, f == &rows->fields[misfit_field(rows)]);
        return;
    case LIG_COLUMN_MISFITS:
        if (f->numbers < 0) { // nobody read these numbers yet: read them for their odd cells
            size_t used = b->used;
            rows->odd.count = 0;
            odd_out_of_memory(L, lig_encode_numbers(b, col, row, &rows->odd));
            b->used = used;
        }
        rows->kept += (lua_Integer)lig_encode_misfits(b, col, row, &rows->odd);
        return;
    }
}

void lig_rows_encode(lua_State *L, struct lig_rows *rows, int names, size_t row) {
    struct lig_bytes *b = &rows->bytes;
    lig_bytes_put16(b, (uint16_t)rows->width);
    for (size_t i = 0; i < rows->width; i++) {
        const struct lig_field *f = &rows->fields[i];
        switch (f->origin) {
        case LIG_FROM_CONSTANT:
            lig_bytes_put(b, rows->constants.at + f->at, f->length);
            break;
        case LIG_FROM_COLUMN:
            column_encode(L, rows, f, row);
            break;
        case LIG_FROM_LIST: {
            struct place at = {names, i, row + 1};
            lua_rawgeti(L, f->list, (lua_Integer)row + 1);
            value_encode(L, b, rows->wires[i], lua_gettop(L), &at);
            lua_pop(L, 1);
            break;
        }
        }
    }
    if (b->failed) {
        luaL_error(L, "out of memory");
    }
}
