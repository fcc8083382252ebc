/* pg_copy.c: binary COPY into a table, from frames, lists and constants.
 *
 * conn:copy_in says which columns; each copy:write says where their values come
 * from for so many rows.  Rows are encoded into a buffer that is handed to the
 * socket while the server works on what it has: nothing waits but for back-pressure.
 */
#include "lig.h"
#include "pg.h"
#include "pg_copy_rows.h"

#include <string.h>
#include <sys/socket.h>

#define COPY_CLASS "ligase.copy"
#define SEND_BYTES ((size_t)64 * 1024)
#define FIRST_BYTES ((size_t)8 * 1024) /* sent first, so that the server sets out early */
#define PIECE_BYTES ((size_t)1024 * 1024)
#define SOCKET_BYTES (2 * 1024 * 1024)

struct copy {
    unsigned ticket;
    bool binary;   /* rows are encoded here; otherwise the caller writes the stream itself */
    bool sealed;   /* the end of the stream was sent */
    bool finished; /* ended, one way or the other */
    bool broken;   /* a write failed within its rows: the stream is not to be trusted */
    struct lig_rows rows;
    lua_Integer written; /* rows */
    size_t misfit_width; /* places in rows.misfits */
};

/* User values: the connection, the SQL, the list of column names, memory of rows.misfits. */
enum { VALUE_CONN = 1, VALUE_SQL, VALUE_NAMES, VALUE_MISFITS, VALUE_COUNT = VALUE_MISFITS };

/* ---- box ----------------------------------------------------------------- */

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
    c->finished = true;
    lig_rows_free(&c->rows);
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
    if (c->broken) {
        lig_error_usage(L, "a write to this COPY failed within its rows; close it and begin again");
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
    struct copy *c = lua_newuserdatauv(L, sizeof *c, VALUE_COUNT); // at 4
    memset(c, 0, sizeof *c);
    c->finished = true; // until the server agreed
    luaL_setmetatable(L, COPY_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, VALUE_CONN);
    c->binary = !lua_isnil(L, 3);
    if (c->binary) {
        lig_rows_columns(L, &c->rows, 3);
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
        lig_bytes_put(&c->rows.bytes, signature, sizeof signature);
    }
    lua_settop(L, 4);
    return 1;
}

/* ---- sending ------------------------------------------------------------- */

/* Hands what was encoded to the socket, in pieces that libpq's own buffer need not grow
 * for.  The connection is at stack index `conn`. */
static void bytes_send(lua_State *L, struct copy *c, PGconn *pg, int conn) {
    struct lig_bytes *b = &c->rows.bytes;
    if (b->failed) {
        luaL_error(L, "out of memory");
    }
    for (size_t done = 0; done < b->used;) {
        size_t piece = b->used - done < PIECE_BYTES ? b->used - done : PIECE_BYTES;
        int sent;
        while ((sent = PQputCopyData(pg, (const char *)b->at + done, (int)piece)) == 0) {
            lig_conn_flush(L, conn);
        }
        if (sent < 0) {
            lua_getiuservalue(L, 1, VALUE_SQL);
            lig_pg_raise_conn(L, pg, lua_tostring(L, -1));
        }
        lig_conn_flush(L, conn);
        done += piece;
    }
    b->used = 0;
}

/* ---- writing ------------------------------------------------------------- */

/* Number of rows the value at 2 stands for: a frame's, or the integer itself. */
static size_t rows_wanted(lua_State *L) {
    lua_Integer rows = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : luaL_len(L, 2);
    if (rows < 0) {
        lig_error_usage(L, "a number of rows cannot be negative");
    }
    return (size_t)rows;
}

static void stream_write(lua_State *L, struct copy *c, PGconn *pg) {
    size_t length = 0;
    const char *data = luaL_checklstring(L, 2, &length);
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < SEND_BYTES ? length - done : SEND_BYTES;
        lig_bytes_put(&c->rows.bytes, data + done, piece);
        bytes_send(L, c, pg, 4);
        done += piece;
    }
}

/* Room to count misfits in, for the rows about to be encoded. */
static void misfits_extend(lua_State *L, struct copy *c) {
    size_t width = lig_rows_misfit_width(&c->rows);
    if (width > c->misfit_width) {
        lua_Integer *misfits = lua_newuserdatauv(L, width * sizeof *misfits, 0);
        memset(misfits, 0, width * sizeof *misfits);
        for (size_t i = 0; i < c->misfit_width; i++) {
            misfits[i] = c->rows.misfits[i];
        }
        lua_setiuservalue(L, 1, VALUE_MISFITS);
        c->rows.misfits = misfits;
        c->misfit_width = width;
    }
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
    if (c->sealed) {
        lig_error_usage(L, "this COPY is sealed: its end was sent");
    }
    if (!c->binary) {
        stream_write(L, c, pg);
        return 0;
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t rows = rows_wanted(L);
    lua_getiuservalue(L, 1, VALUE_NAMES);
    int names = lua_gettop(L);
    lig_rows_sources(L, &c->rows, names, 3, rows);
    misfits_extend(L, c);
    // No Lua runs from here on, so columns and lists stay as they were found.
    c->broken = true;
    size_t enough = c->written == 0 ? FIRST_BYTES : SEND_BYTES;
    for (size_t row = 0; row < rows; row++) {
        lig_rows_encode(L, &c->rows, names, row);
        if (c->rows.bytes.used >= enough) {
            bytes_send(L, c, pg, 4);
            enough = SEND_BYTES;
        }
    }
    c->broken = false;
    c->written += (lua_Integer)rows;
    return 0;
}

/* Sends what is left and the end of the stream; the copy is at 1, its connection at 2. */
static void stream_end(lua_State *L, struct copy *c, PGconn *pg) {
    if (c->binary) {
        lig_bytes_put16(&c->rows.bytes, UINT16_MAX);
    }
    bytes_send(L, c, pg, 2);
    int sent;
    while ((sent = PQputCopyEnd(pg, NULL)) == 0) {
        lig_conn_flush(L, 2);
    }
    if (sent < 0) {
        lua_getiuservalue(L, 1, VALUE_SQL);
        lig_pg_raise_conn(L, pg, lua_tostring(L, -1));
    }
    c->sealed = true;
    lig_conn_flush(L, 2);
}

/* copy:seal(): all rows are written.  Sends the last of them and does not wait: the
 * server works on them while the caller does something else before copy:finish.  From
 * here on copy:close waits for the server instead of making it forget the rows; inside a
 * transaction that is still undone with it.  A second call does nothing. */
static int copy_seal(lua_State *L) {
    PGconn *pg = NULL;
    lua_settop(L, 1);
    struct copy *c = copy_check(L, &pg); // pushes the connection: 2
    if (!c->sealed) {
        stream_end(L, c, pg);
    }
    return 0;
}

/* copy:finish() -> number of rows the server took.  Raises what it refused. */
static int copy_finish(lua_State *L) {
    PGconn *pg = NULL;
    lua_settop(L, 1);
    struct copy *c = copy_check(L, &pg); // pushes the connection: 2
    if (!c->sealed) {
        stream_end(L, c, pg);
    }
    lua_getiuservalue(L, 1, VALUE_SQL);
    const char *sql = lua_tostring(L, -1);
    c->finished = true;
    lig_rows_free(&c->rows);
    lua_pushinteger(L, lig_conn_copy_finish(L, 2, sql));
    return 1;
}

/* copy:counts() -> {rows, numbers, kept, misfits}: rows written so far, numbers in float8[]
 * columns, cells kept verbatim; and for each place of the last float8[] column how many of
 * its cells were neither number nor missing mark. */
static int copy_counts(lua_State *L) {
    struct copy *c = luaL_checkudata(L, 1, COPY_CLASS);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, c->written);
    lua_setfield(L, -2, "rows");
    lua_pushinteger(L, c->rows.numbers);
    lua_setfield(L, -2, "numbers");
    lua_pushinteger(L, c->rows.kept);
    lua_setfield(L, -2, "kept");
    lua_createtable(L, (int)c->misfit_width, 0);
    for (size_t i = 0; i < c->misfit_width; i++) {
        lua_pushinteger(L, c->rows.misfits[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "misfits");
    return 1;
}

void lig_pg_copy_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"write", copy_write},   {"seal", copy_seal},
                                       {"finish", copy_finish}, {"counts", copy_counts},
                                       {"close", copy_close},   {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", copy_close}, {"__close", copy_close}, {NULL, NULL}};
    lig_class_new(L, COPY_CLASS, methods, meta);
}
