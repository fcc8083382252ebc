/* pg_copy_out.c: COPY ... TO STDOUT as an iterator, and what both directions of
 * COPY share.
 *
 * A COPY occupies its connection, so it has a ticket: an iterator that was left
 * behind (its transaction rolled back, another COPY begun) must not touch what came
 * after it, not even from its __gc.
 */
#include "pg.h"

#include <stdlib.h>
#include <string.h>

#define COPY_OUT_CLASS "ligase.copy_out"
#define CHUNK_BYTES ((size_t)64 * 1024)

/* ---- both directions ---------------------------------------------------- */

unsigned lig_conn_copy_start(lua_State *L, int index, const char *sql, ExecStatusType expected) {
    PGconn *pg = lig_conn_idle(L, index);
    lig_conn *conn = lua_touserdata(L, index);
    lig_result *box = lig_result_new(L, 1);
    double started_s = lig_conn_echo_start(conn);
    bool outside = lig_conn_is_outside(conn);
    struct lig_pg_patience patience = {0};
    if (PQsendQuery(pg, sql) == 1) {
        (void)lig_pg_pump(pg, LIG_PG_RESULT, &patience);
        box->items[0] = PQgetResult(pg);
    }
    ExecStatusType status = PQresultStatus(box->items[0]);
    if (status != expected) {
        PQclear(lig_pg_collect(pg, &patience));
    } else if (patience.interrupted) {
        lig_pg_abandon(pg);
    }
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (status != expected) {
        if (status != PGRES_COPY_IN && status != PGRES_COPY_OUT &&
            !lig_result_is_success(box->items[0])) {
            lig_conn_raise(L, index, box->items[0], sql, outside, 0);
        }
        lig_error_usage(L, "not a COPY ... %s statement",
                        expected == PGRES_COPY_OUT ? "TO STDOUT" : "FROM STDIN");
    }
    conn->copies++;
    conn->copy_outside = outside;
    unsigned ticket = conn->copies;
    lig_result_clear(box);
    lua_pop(L, 1);
    lig_conn_echo(L, index, sql, started_s);
    return ticket;
}

PGconn *lig_conn_copy_peek(lua_State *L, int index, unsigned ticket) {
    const lig_conn *conn = luaL_testudata(L, index, LIG_CONN_CLASS);
    if (conn == NULL || conn->pg == NULL || conn->copies != ticket ||
        PQstatus(conn->pg) != CONNECTION_OK || PQtransactionStatus(conn->pg) != PQTRANS_ACTIVE) {
        return NULL;
    }
    return conn->pg;
}

/* The result is kept in the connection's own box: making one here could raise
 * before the outcome is read, and leave the COPY open for good. */
lua_Integer lig_conn_copy_finish(lua_State *L, int index, const char *sql) {
    lig_conn *conn = lig_conn_get(L, index);
    struct lig_pg_patience patience = {0};
    PQclear(conn->outcome);
    conn->outcome = lig_pg_collect(conn->pg, &patience);
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (!lig_result_is_success(conn->outcome)) {
        lig_conn_raise(L, index, conn->outcome, sql, conn->copy_outside, 0);
    }
    lua_Integer rows = (lua_Integer)strtoll(PQcmdTuples(conn->outcome), NULL, 10);
    PQclear(conn->outcome);
    conn->outcome = NULL;
    return rows;
}

void lig_conn_flush(lua_State *L, int index) {
    PGconn *pg = lig_conn_check(L, index);
    struct lig_pg_patience patience = {0};
    bool flushed = lig_pg_pump(pg, LIG_PG_FLUSHED, &patience);
    if (patience.interrupted) {
        lig_pg_abandon(pg);
        lig_interrupt_check(L);
    }
    if (!flushed) {
        (void)lig_conn_copy_finish(L, index, NULL); // raises how the connection was lost
        lig_pg_raise_conn(L, pg, NULL);
    }
}

/* ---- the iterator ------------------------------------------------------- */

/* User values: 1 the connection, 2 the SQL text. */
typedef struct copy_out {
    bool open;
    unsigned ticket;
    char *data; /* the chunk being filled */
    size_t size;
    size_t capacity;
} copy_out;

/* Drains what the server still sends; idempotent, never raises. */
static int copy_out_release(lua_State *L) {
    copy_out *c = luaL_checkudata(L, 1, COPY_OUT_CLASS);
    if (c->open) {
        c->open = false;
        lua_getiuservalue(L, 1, 1);
        PGconn *pg = lig_conn_copy_peek(L, -1, c->ticket);
        if (pg != NULL) {
            lig_pg_abandon(pg);
        }
    }
    free(c->data);
    c->data = NULL;
    return 0;
}

static bool chunk_add(copy_out *c, const char *row, size_t length) {
    if (c->capacity - c->size < length) {
        size_t capacity = c->size + length + CHUNK_BYTES;
        char *data = realloc(c->data, capacity);
        if (data == NULL) {
            return false;
        }
        c->data = data;
        c->capacity = capacity;
    }
    memcpy(c->data + c->size, row, length);
    c->size += length;
    return true;
}

/* Fills the chunk with whole rows; 1: it is full, -1: the data has ended, 0: the
 * connection is lost or there is no memory. */
static int chunk_fill(PGconn *pg, copy_out *c, struct lig_pg_patience *patience) {
    c->size = 0;
    while (c->size < CHUNK_BYTES) {
        char *row = NULL;
        int n = PQgetCopyData(pg, &row, 1);
        if (n > 0) {
            bool added = chunk_add(c, row, (size_t)n);
            PQfreemem(row);
            if (!added) {
                return 0;
            }
        } else if (n < 0) {
            return n == -1 ? -1 : 0;
        } else if (!lig_pg_pump(pg, LIG_PG_INPUT, patience)) {
            return -1; // the result says how it was lost
        }
    }
    return 1;
}

/* iterator() -> the next chunk of whole rows, nil at the end */
static int copy_out_next(lua_State *L) {
    copy_out *c = luaL_checkudata(L, 1, COPY_OUT_CLASS);
    if (!c->open) {
        return 0;
    }
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1); // copy conn
    lua_getiuservalue(L, 1, 2); // copy conn sql
    PGconn *pg = lig_conn_check(L, 2);
    if (lig_conn_copy_peek(L, 2, c->ticket) == NULL) {
        c->open = false;
        lig_error_usage(L, "the COPY was ended by what was done with its connection");
    }
    struct lig_pg_patience patience = {0};
    int filled = chunk_fill(pg, c, &patience);
    if (patience.interrupted) {
        c->open = false;
        lig_pg_abandon(pg);
        lig_interrupt_check(L);
    }
    if (filled == 0) {
        c->open = false;
        lig_pg_abandon(pg);
        lig_pg_raise_conn(L, pg, lua_tostring(L, 3));
    }
    if (filled < 0) {
        c->open = false;
        (void)lig_conn_copy_finish(L, 2, lua_tostring(L, 3));
        if (c->size == 0) {
            return 0;
        }
    }
    lua_pushlstring(L, c->data, c->size);
    return 1;
}

/* conn:copy_out(sql) -> iterator; the four values of a generic for, which closes it
 * when the loop is left early. */
int lig_conn_copy_out(lua_State *L) {
    (void)lig_conn_idle(L, 1);
    lua_settop(L, 2);
    lig_conn *conn = lua_touserdata(L, 1);
    lig_target target = lig_target_check(L, 2, conn);
    if (target.statement != NULL || !lig_sql_begins(target.sql, "COPY")) {
        lig_error_usage(L, "conn:copy_out wants the text of a COPY ... TO STDOUT statement");
    }
    copy_out *c = lua_newuserdatauv(L, sizeof *c, 2);
    *c = (copy_out){.open = false};
    luaL_setmetatable(L, COPY_OUT_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, 2);
    c->ticket = lig_conn_copy_start(L, 1, target.sql, PGRES_COPY_OUT);
    c->open = true;
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 3); // copy nil nil copy
    return 4;
}

void lig_pg_copy_out_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", copy_out_release}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__call", copy_out_next},
                                    {"__close", copy_out_release},
                                    {"__gc", copy_out_release},
                                    {NULL, NULL}};
    lig_class_new(L, COPY_OUT_CLASS, methods, meta);
}
