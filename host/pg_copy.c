/* pg_copy.c: binary COPY into a table, from frames, lists and constants.
 *
 * conn:copy_in says which columns; each copy:write says where their values come
 * from for so many rows.  Rows are encoded into a buffer that is handed to the
 * socket while the server works on what it has: nothing waits but for back-pressure.
 */
#include "frame.h"
#include "lig.h"
#include "pg.h"
#include "pg_encode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COPY_CLASS "ligase.copy"
#define SEND_BYTES ((size_t)64 * 1024)
#define SOCKET_BYTES (2 * 1024 * 1024)

struct copy {
    unsigned ticket;
    bool binary;   /* rows are encoded here; otherwise the caller writes the stream itself */
    bool finished; /* ended, one way or the other */
    size_t width;
    enum lig_wire *wires;   /* type of each column */
    struct lig_bytes bytes; /* encoded, not yet handed to libpq */
    struct lig_odd_cells odd;
    lua_Integer rows;
    lua_Integer numbers; /* elements of float8[] columns that are not NULL */
    lua_Integer kept;    /* cells kept verbatim in jsonb columns */
};

/* User values: the connection, the SQL, the list of column names. */
enum { VALUE_CONN = 1, VALUE_SQL = 2, VALUE_NAMES = 3 };

/* ---- box ----------------------------------------------------------------- */

static void copy_free(struct copy *c) {
    c->finished = true;
    free(c->wires);
    free(c->bytes.at);
    free(c->odd.at);
    c->wires = NULL;
    c->bytes = (struct lig_bytes){0};
    c->odd = (struct lig_odd_cells){0};
}

/* copy:close(): abandons the COPY unless it was finished; the server forgets the
 * rows. */
static int copy_close(lua_State *L) {
    struct copy *c = luaL_checkudata(L, 1, COPY_CLASS);
    if (!c->finished) {
        lua_getiuservalue(L, 1, VALUE_CONN);
        PGconn *pg = lig_conn_copy_peek(L, -1, c->ticket);
        if (pg != NULL) {
            lig_pg_abandon(pg);
        }
    }
    copy_free(c);
    return 0;
}

/* The copy at index 1, still under way; its connection is pushed. */
static struct copy *copy_check(lua_State *L, PGconn **pg) {
    struct copy *c = luaL_checkudata(L, 1, COPY_CLASS);
    lua_getiuservalue(L, 1, VALUE_CONN);
    *pg = c->finished ? NULL : lig_conn_copy_peek(L, -1, c->ticket);
    if (*pg == NULL) {
        lig_error_usage(L, "this COPY has ended");
    }
    return c;
}

/* ---- starting ------------------------------------------------------------ */

/* Pushes COPY "table" ("a", "b") FROM STDIN (FORMAT binary); table at 2, names at
 * `names`. */
static void sql_push(lua_State *L, int names) {
    luaL_Buffer b;
    lig_identifier_push(L, 2);
    int table = lua_gettop(L);
    luaL_buffinit(L, &b);
    luaL_addstring(&b, "COPY ");
    luaL_addstring(&b, lua_tostring(L, table));
    luaL_addstring(&b, " (");
    size_t width = lua_rawlen(L, names);
    for (size_t i = 1; i <= width; i++) {
        lua_rawgeti(L, names, (lua_Integer)i);
        lig_identifier_push(L, lua_gettop(L));
        lua_remove(L, -2);
        if (i > 1) {
            lua_pushliteral(L, ", ");
            lua_insert(L, -2);
            lua_concat(L, 2);
        }
        luaL_addvalue(&b);
    }
    luaL_addstring(&b, ") FROM STDIN (FORMAT binary)");
    luaL_pushresult(&b);
    lua_remove(L, table);
}

/* Reads the list of {name, type} at 3; the names go into the list on top. */
static void columns_read(lua_State *L, struct copy *c) {
    luaL_checktype(L, 3, LUA_TTABLE);
    c->width = lua_rawlen(L, 3);
    c->wires = calloc(c->width > 0 ? c->width : 1, sizeof *c->wires);
    if (c->wires == NULL) {
        luaL_error(L, "out of memory");
    }
    if (c->width == 0 || c->width > 1600) {
        lig_error_usage(L, "a COPY needs from 1 to 1600 columns");
    }
    lua_createtable(L, (int)c->width, 0);
    for (size_t i = 0; i < c->width; i++) {
        if (lua_rawgeti(L, 3, (lua_Integer)i + 1) != LUA_TTABLE) {
            lig_error_usage(L, "column %zu must be {name, type}", i + 1);
        }
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2); // names column name type
        const char *type = luaL_checkstring(L, -1);
        c->wires[i] = lig_wire_named(type);
        if (c->wires[i] == LIG_WIRE_UNKNOWN) {
            lig_error_usage(L,
                            "cannot COPY the type '%s'; the types are bool, int4, int8, float8, "
                            "text, uuid, jsonb, timestamptz, float8[] and text[]",
                            type);
        }
        luaL_checkstring(L, -2);
        lua_pop(L, 1);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        lua_pop(L, 1);
    }
}

/* The server works on what lies in the socket while the next frame is read and its
 * names are looked at: room for one frame keeps both busy.  The kernel gives less
 * when it is told to (net.core.wmem_max); then they wait for one another more. */
static void socket_widen(lua_State *L) {
    int bytes = SOCKET_BYTES;
    (void)setsockopt(PQsocket(lig_conn_check(L, 1)), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* conn:copy_in(table, {{name, type}, ...}) -> copy, for copy:write(frame, values).
 * conn:copy_in(sql) -> copy, for copy:write(string): the stream of any COPY ... FROM
 * STDIN that the caller writes itself. */
int lig_conn_copy_in(lua_State *L) {
    (void)lig_conn_idle(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 3);
    struct copy *c = lua_newuserdatauv(L, sizeof *c, 3); // at 4
    memset(c, 0, sizeof *c);
    c->finished = true; // until the server agreed
    luaL_setmetatable(L, COPY_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, VALUE_CONN);
    c->binary = !lua_isnil(L, 3);
    if (c->binary) {
        columns_read(L, c);
        sql_push(L, 5);
        lua_pushvalue(L, 5);
        lua_setiuservalue(L, 4, VALUE_NAMES);
    } else {
        lua_pushvalue(L, 2);
    }
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 4, VALUE_SQL);
    c->ticket = lig_conn_copy_start(L, 1, lua_tostring(L, -1), PGRES_COPY_IN);
    c->finished = false;
    socket_widen(L);
    if (c->binary) {
        static const char signature[19] = "PGCOPY\n\377\r\n"; // then flags and extension, all 0
        lig_bytes_put(&c->bytes, signature, sizeof signature);
    }
    lua_settop(L, 4);
    return 1;
}

/* ---- sending ------------------------------------------------------------- */

/* Hands what was encoded to the socket.  The connection is at stack index `conn`. */
static void bytes_send(lua_State *L, struct copy *c, PGconn *pg, int conn) {
    if (c->bytes.failed) {
        luaL_error(L, "out of memory");
    }
    if (c->bytes.used == 0) {
        return;
    }
    int sent;
    while ((sent = PQputCopyData(pg, (const char *)c->bytes.at, (int)c->bytes.used)) == 0) {
        lig_conn_flush(L, conn);
    }
    c->bytes.used = 0;
    if (sent < 0) {
        lua_getiuservalue(L, 1, VALUE_SQL);
        lig_pg_raise_conn(L, pg, lua_tostring(L, -1));
    }
    lig_conn_flush(L, conn);
}

/* ---- where a column's values come from ----------------------------------- */

enum origin { FROM_CONSTANT, FROM_COLUMN, FROM_LIST };

struct field {
    enum origin origin;
    size_t at, length;         /* constant: place in the copy's constants */
    struct lig_column *column; /* column */
    int list;                  /* list: stack index */
    int numbers;               /* misfits: the field whose odd cells are the same, or -1 */
};

static _Noreturn void value_fail(lua_State *L, size_t field, const char *type) {
    lua_getiuservalue(L, 1, VALUE_NAMES);
    lua_rawgeti(L, -1, (lua_Integer)field + 1);
    lig_error_usage(L, "the value for column '%s' is no %s", lua_tostring(L, -1), type);
}

static void array_encode(lua_State *L, struct lig_bytes *b, enum lig_wire wire, int index,
                         size_t field) {
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
        int type = lua_rawgeti(L, index, (lua_Integer)i);
        size_t size = 0;
        if (type == LUA_TLIGHTUSERDATA) {
            lig_encode_null(b);
        } else if (numbers && type == LUA_TNUMBER) {
            lig_encode_float8(b, lua_tonumber(L, -1));
        } else if (!numbers && type == LUA_TSTRING) {
            const char *text = lua_tolstring(L, -1, &size);
            lig_encode_text(b, text, size);
        } else {
            value_fail(L, field, numbers ? "list of numbers" : "list of strings");
        }
        lua_pop(L, 1);
    }
    lig_bytes_set32(b, start, (uint32_t)(b->used - start) - 4);
}

/* Encodes the Lua value at `index` (absolute) as one field. */
static void value_encode(lua_State *L, struct lig_bytes *b, enum lig_wire wire, int index,
                         size_t field) {
    int type = lua_type(L, index);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL)) {
        lig_encode_null(b);
        return;
    }
    int fits = 0;
    size_t length = 0;
    const char *text = type == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
    switch (wire) {
    case LIG_WIRE_BOOL:
        if (type != LUA_TBOOLEAN) {
            value_fail(L, field, "boolean");
        }
        lig_encode_bool(b, lua_toboolean(L, index));
        return;
    case LIG_WIRE_INT4:
    case LIG_WIRE_INT8: {
        lua_Integer value = type == LUA_TNUMBER ? lua_tointegerx(L, index, &fits) : 0;
        if (!fits || (wire == LIG_WIRE_INT4 && (value < INT32_MIN || value > INT32_MAX))) {
            value_fail(L, field, wire == LIG_WIRE_INT4 ? "int4" : "int8");
        }
        if (wire == LIG_WIRE_INT4) {
            lig_encode_int4(b, (int32_t)value);
        } else {
            lig_encode_int8(b, value);
        }
        return;
    }
    case LIG_WIRE_FLOAT8:
        if (type != LUA_TNUMBER) {
            value_fail(L, field, "number");
        }
        lig_encode_float8(b, lua_tonumber(L, index));
        return;
    case LIG_WIRE_TEXT:
    case LIG_WIRE_JSONB:
        if (text == NULL || memchr(text, '\0', length) != NULL) {
            value_fail(L, field, "string without NUL bytes");
        }
        if (wire == LIG_WIRE_TEXT) {
            lig_encode_text(b, text, length);
        } else {
            lig_encode_jsonb(b, text, length);
        }
        return;
    case LIG_WIRE_UUID:
        if (text == NULL || !lig_encode_uuid(b, text, length)) {
            value_fail(L, field, "UUID");
        }
        return;
    case LIG_WIRE_TIMESTAMPTZ:
        if (text == NULL || !lig_encode_timestamptz(b, text, length)) {
            value_fail(L, field, "time like 2026-01-02T03:04:05Z");
        }
        return;
    case LIG_WIRE_FLOAT8_ARRAY:
    case LIG_WIRE_TEXT_ARRAY:
        if (type != LUA_TTABLE) {
            value_fail(L, field, "list");
        }
        array_encode(L, b, wire, index, field);
        return;
    case LIG_WIRE_UNKNOWN:
        break;
    }
}

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

/* A list of rows, unless it is the one array of an array column. */
static bool is_list_of_rows(lua_State *L, int index, enum lig_wire wire) {
    if (lua_type(L, index) != LUA_TTABLE) {
        return false;
    }
    if (wire != LIG_WIRE_FLOAT8_ARRAY && wire != LIG_WIRE_TEXT_ARRAY) {
        return true;
    }
    int type = lua_rawgeti(L, index, 1);
    lua_pop(L, 1);
    return type == LUA_TTABLE;
}

/* The float8[] field just before the misfits of the same columns, whose odd cells
 * are then known already; -1 when they must be found again. */
static int numbers_field(const struct field *fields, size_t before, const struct lig_column *m) {
    for (size_t i = before; i-- > 0;) {
        const struct lig_column *n = fields[i].origin == FROM_COLUMN ? fields[i].column : NULL;
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

/* Looks at the value of each column in the table at 3; constants are encoded once
 * into `constants`.  List values stay on the stack. */
static void fields_read(lua_State *L, struct copy *c, struct field *fields, size_t rows,
                        struct lig_bytes *constants) {
    lua_getiuservalue(L, 1, VALUE_NAMES);
    int names = lua_gettop(L);
    luaL_checkstack(L, (int)c->width + 8, "too many columns");
    for (size_t i = 0; i < c->width; i++) {
        struct field *f = &fields[i];
        lua_rawgeti(L, names, (lua_Integer)i + 1);
        lua_rawget(L, 3);
        int index = lua_gettop(L);
        if (lua_type(L, index) == LUA_TUSERDATA) {
            f->origin = FROM_COLUMN;
            f->column = lig_column_check(L, index);
            if (!column_fits(f->column, c->wires[i])) {
                value_fail(L, i, "column of that type");
            }
            if (f->column->count != rows) {
                lig_error_usage(L, "a column has %zu rows where %zu are written", f->column->count,
                                rows);
            }
            f->numbers =
                f->column->kind == LIG_COLUMN_MISFITS ? numbers_field(fields, i, f->column) : -1;
        } else if (is_list_of_rows(L, index, c->wires[i])) {
            f->origin = FROM_LIST;
            f->list = index;
            if (lua_rawlen(L, index) != rows) {
                value_fail(L, i, "list with one value per row (use host.null for NULL)");
            }
        } else {
            f->origin = FROM_CONSTANT;
            f->at = constants->used;
            value_encode(L, constants, c->wires[i], index, i);
            f->length = constants->used - f->at;
        }
    }
}

/* Every name in the table at 3 must be a column of the COPY. */
static void names_check(lua_State *L, const struct copy *c) {
    lua_getiuservalue(L, 1, VALUE_NAMES);
    lua_pushnil(L);
    while (lua_next(L, 3) != 0) {
        lua_pop(L, 1);
        bool known = false;
        for (size_t i = 1; i <= c->width && !known; i++) {
            lua_rawgeti(L, -2, (lua_Integer)i);
            known = lua_rawequal(L, -1, -2);
            lua_pop(L, 1);
        }
        if (!known) {
            lig_error_usage(L, "the COPY has no column '%s'", luaL_tolstring(L, -1, NULL));
        }
    }
    lua_pop(L, 1);
}

/* ---- writing ------------------------------------------------------------- */

static void odd_out_of_memory(lua_State *L, bool stored) {
    if (!stored) {
        luaL_error(L, "out of memory");
    }
}

static void column_encode(lua_State *L, struct copy *c, const struct field *f, size_t row) {
    const struct lig_column *col = f->column;
    struct lig_bytes *b = &c->bytes;
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
        c->odd.count = 0;
        odd_out_of_memory(L, lig_encode_numbers(b, col, row, &c->odd));
        c->numbers += (lua_Integer)col->width;
        for (size_t i = 0; i < c->odd.count; i++) {
            c->numbers -= !c->odd.at[i].number;
        }
        return;
    case LIG_COLUMN_MISFITS:
        if (f->numbers < 0) { // nobody read these numbers yet: read them for their odd cells
            size_t used = b->used;
            c->odd.count = 0;
            odd_out_of_memory(L, lig_encode_numbers(b, col, row, &c->odd));
            b->used = used;
        }
        c->kept += (lua_Integer)lig_encode_misfits(b, col, row, &c->odd);
        return;
    }
}

static void rows_write(lua_State *L, struct copy *c, PGconn *pg, int conn,
                       const struct field *fields, size_t rows, const struct lig_bytes *constants) {
    for (size_t row = 0; row < rows; row++) {
        lig_bytes_put16(&c->bytes, (uint16_t)c->width);
        for (size_t i = 0; i < c->width; i++) {
            const struct field *f = &fields[i];
            switch (f->origin) {
            case FROM_CONSTANT:
                lig_bytes_put(&c->bytes, constants->at + f->at, f->length);
                break;
            case FROM_COLUMN:
                column_encode(L, c, f, row);
                break;
            case FROM_LIST:
                lua_rawgeti(L, f->list, (lua_Integer)row + 1);
                value_encode(L, &c->bytes, c->wires[i], lua_gettop(L), i);
                lua_pop(L, 1);
                break;
            }
        }
        if (c->bytes.used >= SEND_BYTES) {
            bytes_send(L, c, pg, conn);
        }
    }
    c->rows += (lua_Integer)rows;
}

/* Number of rows the value at 2 stands for: a frame's, or the integer itself. */
static size_t rows_wanted(lua_State *L) {
    lua_Integer rows = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : luaL_len(L, 2);
    if (rows < 0) {
        lig_error_usage(L, "a number of rows cannot be negative");
    }
    return (size_t)rows;
}

static int bytes_gc(lua_State *L) {
    struct lig_bytes *b = lua_touserdata(L, 1);
    free(b->at);
    b->at = NULL;
    return 0;
}

/* copy:write(frame_or_count, values): one row for each row of the frame.  values
 * holds by column name: a column of the frame (frame:text, :number, :numbers, ...),
 * a list with one value per row, or one value for all rows; nil and host.null are
 * NULL.  copy:write(string) on a COPY begun with SQL: a piece of its stream. */
static int copy_write(lua_State *L) {
    PGconn *pg = NULL;
    luaL_checkany(L, 2);
    lua_settop(L, 3);
    struct copy *c = copy_check(L, &pg); // pushes the connection: 4
    if (!c->binary) {
        size_t length = 0;
        const char *data = luaL_checklstring(L, 2, &length);
        for (size_t done = 0; done < length;) {
            size_t piece = length - done < SEND_BYTES ? length - done : SEND_BYTES;
            lig_bytes_put(&c->bytes, data + done, piece);
            bytes_send(L, c, pg, 4);
            done += piece;
        }
        return 0;
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t rows = rows_wanted(L);
    names_check(L, c);
    struct lig_bytes *constants = lua_newuserdatauv(L, sizeof *constants, 0);
    memset(constants, 0, sizeof *constants);
    luaL_setmetatable(L, COPY_CLASS ".bytes");
    struct field *fields = lua_newuserdatauv(L, c->width * sizeof *fields, 0);
    memset(fields, 0, c->width * sizeof *fields);
    fields_read(L, c, fields, rows, constants);
    if (constants->failed) {
        luaL_error(L, "out of memory");
    }
    rows_write(L, c, pg, 4, fields, rows, constants);
    return 0;
}

/* copy:finish() -> number of rows the server took.  Raises what it refused. */
static int copy_finish(lua_State *L) {
    PGconn *pg = NULL;
    lua_settop(L, 1);
    struct copy *c = copy_check(L, &pg); // pushes the connection: 2
    if (c->binary) {
        lig_bytes_put16(&c->bytes, UINT16_MAX); // the end of the stream
    }
    bytes_send(L, c, pg, 2);
    int sent;
    while ((sent = PQputCopyEnd(pg, NULL)) == 0) {
        lig_conn_flush(L, 2);
    }
    lua_getiuservalue(L, 1, VALUE_SQL);
    const char *sql = lua_tostring(L, -1);
    if (sent < 0) {
        lig_pg_raise_conn(L, pg, sql);
    }
    copy_free(c);
    lua_pushinteger(L, lig_conn_copy_finish(L, 2, sql));
    return 1;
}

/* copy:counts() -> {rows, numbers, kept}: rows written so far, numbers in float8[]
 * columns, cells kept verbatim. */
static int copy_counts(lua_State *L) {
    struct copy *c = luaL_checkudata(L, 1, COPY_CLASS);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, c->rows);
    lua_setfield(L, -2, "rows");
    lua_pushinteger(L, c->numbers);
    lua_setfield(L, -2, "numbers");
    lua_pushinteger(L, c->kept);
    lua_setfield(L, -2, "kept");
    return 1;
}

void lig_pg_copy_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"write", copy_write},
                                       {"finish", copy_finish},
                                       {"counts", copy_counts},
                                       {"close", copy_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", copy_close}, {"__close", copy_close}, {NULL, NULL}};
    static const luaL_Reg bytes_meta[] = {{"__gc", bytes_gc}, {NULL, NULL}};
    lig_class_new(L, COPY_CLASS, methods, meta);
    lig_class_new(L, COPY_CLASS ".bytes", NULL, bytes_meta);
}
