/* pg.c: the connection's box and the module "pg".
 *
 * Postgres for Lua: statements with parameters, typed results, pipelines,
 * transactions, COPY and notifications, over libpq.  What SQL to send is decided in
 * Lua.  See pg.h for which file does what.
 */
#include "pg.h"

#include <stdlib.h>
#include <string.h>

/* ---- box ---------------------------------------------------------------- */

lig_conn *lig_conn_get(lua_State *L, int index) {
    return luaL_checkudata(L, index, LIG_CONN_CLASS);
}

PGconn *lig_conn_check(lua_State *L, int index) {
    lig_conn *conn = lig_conn_get(L, index);
    if (conn->pg == NULL) {
        lig_error_usage(L, "the connection is closed");
    }
    if (conn->connect_by_s > 0) {
        lig_conn_complete(L, conn);
    }
    if (PQstatus(conn->pg) != CONNECTION_OK) {
        lig_pg_raise_conn(L, conn->pg, NULL);
    }
    return conn->pg;
}

PGconn *lig_conn_idle(lua_State *L, int index) {
    PGconn *pg = lig_conn_check(L, index);
    if (PQtransactionStatus(pg) == PQTRANS_ACTIVE) {
        lig_error_usage(
            L, "the connection is busy with a COPY or a pipeline; finish or close it first");
    }
    return pg;
}

static int conn_release(lua_State *L) {
    lig_conn *conn = lig_conn_get(L, 1);
    PQclear(conn->outcome);
    conn->outcome = NULL;
    PQfreemem(conn->notification);
    conn->notification = NULL;
    if (conn->pg != NULL) {
        PQfinish(conn->pg); // may still deliver notices, so they are freed last
        conn->pg = NULL;
    }
    free(conn->notices);
    conn->notices = NULL;
    conn->notices_size = 0;
    return 0;
}

static int conn_tostring(lua_State *L) {
    const lig_conn *conn = lig_conn_get(L, 1);
    if (conn->pg == NULL) {
        lua_pushliteral(L, LIG_CONN_CLASS " (closed)");
        return 1;
    }
    lig_pg_target_push(L, conn->pg);
    lua_pushfstring(L, LIG_CONN_CLASS " (%s)", lua_tostring(L, -1));
    return 1;
}

/* ---- small methods ------------------------------------------------------ */

/* conn:close() */
static int conn_close(lua_State *L) {
    const lig_conn *conn = lig_conn_get(L, 1);
    if (conn->echoing) {
        lig_error_usage(L, "an echo function cannot close its connection");
    }
    if (conn->pipelining) {
        lig_error_usage(L, "what runs during a pipeline cannot close its connection");
    }
    return conn_release(L);
}

/* conn:is_open() -> whether it is neither closed nor known to be lost */
static int conn_is_open(lua_State *L) {
    const lig_conn *conn = lig_conn_get(L, 1);
    lua_pushboolean(L, conn->pg != NULL && PQstatus(conn->pg) == CONNECTION_OK);
    return 1;
}

/* conn:transaction_status() -> "idle", "active" (a COPY is open), "in transaction",
 * "failed" (only a rollback helps), or "unknown" without a connection */
static int conn_transaction_status(lua_State *L) {
    const lig_conn *conn = lig_conn_get(L, 1);
    const char *name = "unknown";
    switch (PQtransactionStatus(conn->pg)) { // UNKNOWN for NULL
    case PQTRANS_IDLE:
        name = "idle";
        break;
    case PQTRANS_ACTIVE:
        name = "active";
        break;
    case PQTRANS_INTRANS:
        name = "in transaction";
        break;
    case PQTRANS_INERROR:
        name = "failed";
        break;
    case PQTRANS_UNKNOWN:
        break;
    }
    lua_pushstring(L, name);
    return 1;
}

/* conn:pid() -> the process id of the server's side */
static int conn_pid(lua_State *L) {
    lua_pushinteger(L, PQbackendPID(lig_conn_check(L, 1)));
    return 1;
}

/* conn:parameter(name) -> what the server reported, nil for what it does not */
static int conn_parameter(lua_State *L) {
    lua_pushstring(L, PQparameterStatus(lig_conn_check(L, 1), luaL_checkstring(L, 2)));
    return 1;
}

/* conn:quote_identifier(name) -> the name in double quotes */
static int conn_quote_identifier(lua_State *L) {
    (void)lig_conn_get(L, 1);
    lig_identifier_push(L, 2);
    return 1;
}

/* conn:cancel(): for a COPY that is being read, or from an echo function. */
static int conn_cancel(lua_State *L) {
    PGconn *pg = lig_conn_check(L, 1);
    if (!lig_pg_cancel(pg)) {
        lig_pg_target_push(L, pg);
        lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_UNREACHABLE,
                       "the cancel request did not reach %s", lua_tostring(L, -1));
        lig_error_string(L, "sqlstate", LIG_STATE_UNREACHABLE);
        lig_error_raise(L);
    }
    return 0;
}

/* conn:notices() -> the texts of the notices received since the last call */
static int conn_notices(lua_State *L) {
    lig_conn *conn = lig_conn_get(L, 1);
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t at = 0; at < conn->notices_size;) {
        const char *text = conn->notices + at;
        size_t length = strlen(text);
        at += length + 1;
        while (length > 0 && text[length - 1] == '\n') {
            length--;
        }
        lua_pushlstring(L, text, length);
        lua_rawseti(L, -2, ++n);
    }
    conn->notices_size = 0;
    return 1;
}

/* ---- registration ------------------------------------------------------- */

static const luaL_Reg conn_methods[] = {
    {"query", lig_conn_query},
    {"table", lig_conn_table},
    {"script", lig_conn_script},
    {"prepare", lig_conn_prepare},
    {"pipeline", lig_conn_pipeline},
    {"transaction", lig_conn_transaction},
    {"begin", lig_conn_begin},
    {"commit", lig_conn_commit},
    {"rollback", lig_conn_rollback},
    {"copy_in", lig_conn_copy_in},
    {"copy_out", lig_conn_copy_out},
    {"listen", lig_conn_listen},
    {"unlisten", lig_conn_unlisten},
    {"notify", lig_conn_notify},
    {"wait_notification", lig_conn_wait_notification},
    {"cancel", conn_cancel},
    {"close", conn_close},
    {"is_open", conn_is_open},
    {"transaction_status", conn_transaction_status},
    {"pid", conn_pid},
    {"parameter", conn_parameter},
    {"quote_identifier", conn_quote_identifier},
    {"set_echo", lig_conn_set_echo},
    {"notices", conn_notices},
    {NULL, NULL},
};

static const luaL_Reg conn_meta[] = {
    {"__gc", conn_release},
    {"__close", conn_close},
    {"__tostring", conn_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"connect", lig_pg_connect}, {"array", lig_pg_array},       {"int8_array", lig_pg_int8_array},
    {"bytes", lig_pg_bytes},     {"use_json", lig_pg_use_json}, {NULL, NULL},
};

int luaopen_lig_pg(lua_State *L) {
    lig_class_new(L, LIG_CONN_CLASS, conn_methods, conn_meta);
    lig_pg_result_open(L);
    lig_pg_params_open(L);
    lig_pg_query_open(L);
    lig_pg_pipeline_open(L);
    lig_pg_copy_out_open(L);
    lig_pg_copy_open(L);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
