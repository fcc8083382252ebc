/* pg_transaction.c: all or nothing.
 *
 * A COMMIT has three outcomes: done, refused, and unknown, when the connection is
 * lost between sending it and hearing the answer.  The third is neither of the
 * others and has a code of its own.
 */
#include "pg.h"

#include <stdio.h>

/* A ROLLBACK is quick in Postgres; a server that takes this long is gone. */
#define ROLLBACK_PATIENCE_S 30.0

static _Noreturn void aborted_raise(lua_State *L, const lig_conn *conn) {
    lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_ABORTED,
                   "the transaction was rolled back, not committed: a statement in it had failed");
    lig_error_string(L, "sqlstate", LIG_STATE_ABORTED);
    if (conn->failure[0] != '\0') {
        lig_error_string(L, "detail", conn->failure);
    }
    lig_error_raise(L);
}

static _Noreturn void unknown_raise(lua_State *L, PGconn *pg, const PGresult *result) {
    lig_pg_error_push(L, pg, result, "COMMIT"); // lost
    lua_getfield(L, -1, "message");             // lost message
    lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_UNKNOWN,
                   "the outcome of COMMIT is unknown, its answer was lost: %s",
                   lua_tostring(L, -1));
    lig_error_string(L, "sqlstate", LIG_STATE_UNKNOWN);
    lig_error_string(L, "statement", "COMMIT");
    lig_error_string(L, "hint",
                     "Connect again and look by key whether the changes are there, or repeat "
                     "them if that is harmless");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "unknown_outcome");
    lig_error_raise(L);
}

void lig_conn_check_alive(lua_State *L, PGconn *pg, const char *sql) {
    // The first read may find the server's farewell, and only the second the end.
    if (!PQconsumeInput(pg) || !PQconsumeInput(pg)) {
        lig_pg_raise_conn(L, pg, sql);
    }
}

/* Commits; raises unless the server said COMMIT. */
static void transaction_commit(lua_State *L, lig_conn *conn) {
    PGconn *pg = conn->pg;
    lig_conn_check_alive(L, pg, "COMMIT");
    double started_s = lig_conn_echo_start(conn);
    struct lig_pg_patience patience = {0};
    PQclear(conn->outcome); // not a box of its own: making one could raise before the COMMIT
    conn->outcome = lig_pg_command(pg, "COMMIT", &patience);
    lig_conn_echo(L, 1, "COMMIT", started_s);
    if (lig_result_is_success(conn->outcome)) {
        // Even if a signal came meanwhile: it is committed, and the hook tells.
        lig_conn_check_committed(L, 1, conn->outcome, "COMMIT");
        return;
    }
    if (PQstatus(pg) == CONNECTION_BAD) {
        unknown_raise(L, pg, conn->outcome);
    }
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    lig_conn_raise(L, 1, conn->outcome, "COMMIT", false, 0);
}

/* Undoes; never raises, for the error that leads here must go on.  A connection
 * that is lost has nothing left to undo. */
static bool transaction_undo(lig_conn *conn, const char *sql) {
    if (conn->pg == NULL) {
        return false;
    }
    lig_pg_abandon(conn->pg);
    bool done = false;
    // Twice: a late cancel request may hit the first one.
    for (int attempt = 1; attempt <= 2 && !done; attempt++) {
        PGTransactionStatusType status = PQtransactionStatus(conn->pg);
        if (status != PQTRANS_INTRANS && status != PQTRANS_INERROR) {
            return false;
        }
        struct lig_pg_patience patience = {.deaf = true,
                                           .deadline_s = lig_pg_clock() + ROLLBACK_PATIENCE_S};
        PGresult *result = lig_pg_command(conn->pg, sql, &patience);
        done = lig_result_is_success(result);
        PQclear(result);
    }
    return done;
}

/* ---- conn:transaction --------------------------------------------------- */

/* Savepoint names by depth; "" at the outermost level. */
typedef struct level {
    char begin[48];
    char commit[48];
    char undo[96];
} level;

static void level_fill(level *l, int depth, bool outer) {
    if (outer) {
        (void)snprintf(l->begin, sizeof l->begin, "BEGIN");
        (void)snprintf(l->undo, sizeof l->undo, "ROLLBACK");
        l->commit[0] = '\0';
        return;
    }
    (void)snprintf(l->begin, sizeof l->begin, "SAVEPOINT lig_%d", depth);
    (void)snprintf(l->commit, sizeof l->commit, "RELEASE SAVEPOINT lig_%d", depth);
    (void)snprintf(l->undo, sizeof l->undo,
                   "ROLLBACK TO SAVEPOINT lig_%d; RELEASE SAVEPOINT lig_%d", depth, depth);
}

static void level_undo(lua_State *L, lig_conn *conn, const level *l) {
    double started_s = lig_conn_echo_start(conn);
    if (transaction_undo(conn, l->undo)) {
        lig_conn_echo(L, 1, l->undo, started_s);
    }
}

/* After the function has returned: commits, or says why that cannot be. */
static void level_finish(lua_State *L, lig_conn *conn, const level *l, bool outer) {
    PGconn *pg = lig_conn_check(L, 1);
    switch (PQtransactionStatus(pg)) {
    case PQTRANS_INTRANS:
        if (outer) {
            transaction_commit(L, conn);
        } else {
            lig_conn_command(L, 1, l->commit);
        }
        return;
    case PQTRANS_INERROR:
        level_undo(L, conn, l);
        aborted_raise(L, conn);
    case PQTRANS_IDLE:
        lig_error_usage(L, "the transaction was ended inside its own function");
    default:
        level_undo(L, conn, l);
        lig_error_usage(L, "a COPY was still open at the end of the transaction, which was "
                           "rolled back; close it first");
    }
}

/* conn:transaction(fn, ...) -> what fn returns */
int lig_conn_transaction(lua_State *L) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    if (!lua_isfunction(L, 2)) {
        lig_error_usage(L, "conn:transaction wants a function");
    }
    luaL_checkstack(L, 16, "too many arguments");
    if (PQtransactionStatus(pg) == PQTRANS_INERROR) {
        aborted_raise(L, conn);
    }
    bool outer = lig_conn_is_outside(conn);
    level l;
    level_fill(&l, conn->depth + 1, outer);
    lig_conn_command(L, 1, l.begin);
    conn->depth++;
    // Protected rather than closed on the way out: in a coroutine that ends with an
    // error nothing is closed until someone closes the coroutine.
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    conn->depth--;
    luaL_checkstack(L, 16, "too many results");
    if (status != LUA_OK) {
        level_undo(L, conn, &l);
        return lua_error(L);
    }
    level_finish(L, conn, &l, outer);
    return lua_gettop(L) - 1;
}

/* ---- by hand ------------------------------------------------------------ */

static void depth_check(lua_State *L, const lig_conn *conn, const char *what) {
    if (conn->depth > 0) {
        lig_error_usage(L,
                        "conn:%s inside conn:transaction, which commits when its function "
                        "returns and rolls back when it raises",
                        what);
    }
}

/* conn:begin() */
int lig_conn_begin(lua_State *L) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    depth_check(L, conn, "begin");
    if (PQtransactionStatus(pg) != PQTRANS_IDLE) {
        lig_error_usage(L, "conn:begin inside a transaction; conn:transaction can be nested");
    }
    lig_conn_command(L, 1, "BEGIN");
    return 0;
}

/* conn:commit() */
int lig_conn_commit(lua_State *L) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    depth_check(L, conn, "commit");
    if (PQtransactionStatus(pg) == PQTRANS_IDLE) {
        lig_error_usage(L, "conn:commit without a transaction");
    }
    transaction_commit(L, conn);
    return 0;
}

/* conn:rollback() -> whether there was something to roll back */
int lig_conn_rollback(lua_State *L) {
    lig_conn *conn = lig_conn_get(L, 1);
    PGconn *pg = lig_conn_idle(L, 1);
    depth_check(L, conn, "rollback");
    bool inside = PQtransactionStatus(pg) != PQTRANS_IDLE;
    if (inside) {
        lig_conn_command(L, 1, "ROLLBACK");
    }
    lua_pushboolean(L, inside);
    return 1;
}
