/* pg_query.c: statements, one at a time.
 *
 * A statement is sent and all its results are read without any Lua call between;
 * only then are they looked at.  Prepared statements are kept per connection by
 * their SQL text and made anew when the server has lost them or their plan.
 */
#include "pg.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ECHO_LIMIT 100000 /* bytes of SQL text shown */

/* ---- SQL text ----------------------------------------------------------- */

static const char *sql_skip_blank(const char *p) {
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            int depth = 0; // comments nest
            do {
                if (p[0] == '/' && p[1] == '*') {
                    depth++;
                    p += 2;
                } else if (p[0] == '*' && p[1] == '/') {
                    depth--;
                    p += 2;
                } else {
                    p++;
                }
            } while (depth > 0 && *p != '\0');
        } else {
            return p;
        }
    }
}

bool lig_sql_begins(const char *sql, const char *word) {
    const char *p = sql_skip_blank(sql);
    size_t length = strlen(word);
    return strncasecmp(p, word, length) == 0 && !isalnum((unsigned char)p[length]) &&
           p[length] != '_';
}

static const char *sql_check(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TSTRING) {
        lig_error_usage(L, "SQL text or a prepared statement expected, got %s",
                        luaL_typename(L, index));
    }
    size_t length = 0;
    const char *sql = lua_tolstring(L, index, &length);
    if (strlen(sql) != length) {
        lig_error_usage(L, "the SQL text contains a NUL byte");
    }
    return sql;
}

/* ---- echo --------------------------------------------------------------- */

/* conn:set_echo(true | false | nil | function(sql, seconds)) */
int lig_conn_set_echo(lua_State *L) {
    lig_conn *conn = lig_conn_get(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2) && !lua_isboolean(L, 2) && !lua_isfunction(L, 2)) {
        lig_error_usage(L, "echo must be true, false or a function(sql, seconds)");
    }
    conn->echo = lua_toboolean(L, 2);
    if (!lua_isfunction(L, 2)) {
        lua_pushnil(L);
        lua_replace(L, 2);
    }
    lua_setiuservalue(L, 1, 2);
    return 0;
}

double lig_conn_echo_start(const lig_conn *conn) {
    return conn->echo && !conn->echoing ? lig_pg_clock() : 0;
}

/* A statement that went well must not look failed because its report did, so the
 * function is called protected. */
void lig_conn_echo(lua_State *L, int conn_index, const char *sql, double started_s) {
    if (started_s <= 0) {
        return;
    }
    lig_conn *conn = lig_conn_get(L, conn_index);
    double seconds = lig_pg_clock() - started_s;
    luaL_checkstack(L, 8, "no room to echo");
    if (lua_getiuservalue(L, conn_index, 2) != LUA_TFUNCTION) {
        lig_sql_push_masked(L, sql, ECHO_LIMIT);
        (void)fprintf(stderr, "%.3f ms: %s\n", seconds * 1e3, lua_tostring(L, -1));
        lua_pop(L, 2);
        return;
    }
    lig_sql_push_masked(L, sql, ECHO_LIMIT); // function sql
    lua_pushnumber(L, seconds);
    conn->echoing = true;
    int status = lua_pcall(L, 2, 0, 0);
    conn->echoing = false;
    if (status != LUA_OK) {
        (void)fprintf(stderr, "echo failed: %s\n", luaL_tolstring(L, -1, NULL));
        lua_pop(L, 2);
    }
}

/* ---- failures ----------------------------------------------------------- */

bool lig_conn_is_outside(lig_conn *conn) {
    bool outside = PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    if (outside) {
        conn->failure[0] = '\0';
    }
    return outside;
}

/* Keeps why a transaction failed, for the person whose COMMIT is refused later. */
static void failure_note(lua_State *L, lig_conn *conn) {
    if (PQtransactionStatus(conn->pg) != PQTRANS_INERROR) {
        return;
    }
    lua_getfield(L, -1, "message");
    lua_getfield(L, -2, "code"); // error message code
    const char *message = lua_tostring(L, -2);
    if (message != NULL && strcmp(lua_tostring(L, -1), LIG_STATE_ABORTED) != 0) {
        (void)snprintf(conn->failure, sizeof conn->failure, "%s", message);
    }
    lua_pop(L, 2);
}

_Noreturn void lig_conn_raise(lua_State *L, int conn_index, const PGresult *result, const char *sql,
                              bool autocommit, int place) {
    lig_conn *conn = lig_conn_get(L, conn_index);
    lig_pg_error_push(L, conn->pg, result, sql);
    failure_note(L, conn);
    if (autocommit && PQstatus(conn->pg) == CONNECTION_BAD) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "unknown_outcome");
        lig_error_string(L, "hint",
                         "Connect again and look whether it took effect: it was sent, and the "
                         "answer was lost");
    }
    if (place > 0) {
        lig_error_integer(L, "place", place);
    }
    lig_error_raise(L);
}

bool lig_result_is_success(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* Raises the outcome of conn:query or conn:script, which cannot carry COPY data. */
static _Noreturn void statement_raise(lua_State *L, int conn_index, const PGresult *result,
                                      const char *sql, bool autocommit) {
    const char *said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (PQresultStatus(result) == PGRES_COPY_OUT) {
        lig_error_usage(L, "COPY ... TO STDOUT is read with conn:copy_out");
    }
    if (said != NULL && strstr(said, LIG_COPY_REFUSED) != NULL) {
        lig_error_usage(L, "COPY ... FROM STDIN is written with conn:copy_in");
    }
    lig_conn_raise(L, conn_index, result, sql, autocommit, 0);
}

/* A COMMIT in a failed transaction is answered with ROLLBACK and no error. */
void lig_conn_check_committed(lua_State *L, int conn_index, const PGresult *result,
                              const char *sql) {
    // The accessor wants a result that it could write to; it does not.
    const char *tag = PQcmdStatus((PGresult *)(uintptr_t)result);
    if (strcmp(tag, "ROLLBACK") != 0 || strcasestr(sql, "ROLLBACK") != NULL ||
        strcasestr(sql, "ABORT") != NULL) {
        return;
    }
    lig_conn *conn = lig_conn_get(L, conn_index);
    lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_ABORTED,
                   "the transaction was rolled back, not committed: a statement in it had failed");
    lig_error_string(L, "sqlstate", LIG_STATE_ABORTED);
    if (conn->failure[0] != '\0') {
        lig_error_string(L, "detail", conn->failure);
    }
    lig_sql_push_masked(L, sql, ECHO_LIMIT);
    lua_setfield(L, -2, "statement");
    lig_error_raise(L);
}

/* ---- prepared statements ------------------------------------------------ */

static lig_statement *statement_test(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TUSERDATA ? luaL_testudata(L, index, LIG_STATEMENT_CLASS)
                                               : NULL;
}

lig_target lig_target_check(lua_State *L, int index, const lig_conn *conn) {
    lig_statement *statement = statement_test(L, index);
    if (statement == NULL) {
        return (lig_target){.sql = sql_check(L, index)};
    }
    if (statement->conn != conn) {
        lig_error_usage(L, "the statement was prepared on another connection");
    }
    return (lig_target){.sql = statement->sql, .statement = statement};
}

/* Outside a transaction only: a DEALLOCATE that fails would abort it. */
static void statement_forget(PGconn *pg, const lig_statement *statement) {
    if (PQtransactionStatus(pg) == PQTRANS_IDLE) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", statement->name);
        struct lig_pg_patience patience = {.deaf = true};
        PQclear(lig_pg_command(pg, sql, &patience));
    }
}

void lig_statement_prepare(lua_State *L, int conn_index, lig_statement *statement) {
    lig_conn *conn = statement->conn;
    lig_result *box = lig_result_new(L, 1);
    double started_s = lig_conn_echo_start(conn);
    if (statement->name[0] != '\0') {
        statement_forget(conn->pg, statement);
    }
    (void)snprintf(statement->name, sizeof statement->name, "lig_%u", ++conn->statements);
    struct lig_pg_patience patience = {0};
    if (PQsendPrepare(conn->pg, statement->name, statement->sql, 0, NULL) == 1) {
        box->items[0] = lig_pg_collect(conn->pg, &patience);
    }
    statement->prepared = PQresultStatus(box->items[0]) == PGRES_COMMAND_OK;
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (!statement->prepared) {
        statement->name[0] = '\0';
        lig_conn_raise(L, conn_index, box->items[0], statement->sql, false, 0);
    }
    if (started_s > 0) {
        lua_pushfstring(L, "PREPARE %s AS %s", statement->name, statement->sql);
        lig_conn_echo(L, conn_index, lua_tostring(L, -1), started_s);
        lua_pop(L, 1);
    }
    lig_result_clear(box);
    lua_pop(L, 1);
}

/* Names of server functions are the same in every language; messages are not. */
bool lig_statement_is_stale(const PGresult *result) {
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (sqlstate == NULL) {
        return false;
    }
    return strcmp(sqlstate, "26000") == 0 || (strcmp(sqlstate, "0A000") == 0 && function != NULL &&
                                              strcmp(function, "RevalidateCachedQuery") == 0);
}

/* conn:prepare(sql) */
int lig_conn_prepare(lua_State *L) {
    lua_settop(L, 2);
    lig_conn *conn = lig_conn_get(L, 1);
    (void)lig_conn_check(L, 1);
    const char *sql = sql_check(L, 2);
    lua_getiuservalue(L, 1, 1); // conn sql cache
    lua_pushvalue(L, 2);
    lua_rawget(L, 3); // conn sql cache statement|nil
    lig_statement *statement = statement_test(L, 4);
    if (statement != NULL && statement->prepared) {
        return 1;
    }
    (void)lig_conn_idle(L, 1);
    if (lig_sql_begins(sql, "COPY")) {
        lig_error_usage(L, "COPY cannot be prepared; use conn:copy_in or conn:copy_out");
    }
    if (statement == NULL) {
        lua_settop(L, 3);
        statement = lua_newuserdatauv(L, sizeof *statement, 2);
        *statement = (lig_statement){.sql = sql, .conn = conn};
        luaL_setmetatable(L, LIG_STATEMENT_CLASS);
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, 4, 1);
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, 4, 2);
    }
    lig_statement_prepare(L, 1, statement);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 4);
    lua_rawset(L, 3);
    return 1;
}

static int statement_tostring(lua_State *L) {
    lig_statement *statement = luaL_checkudata(L, 1, LIG_STATEMENT_CLASS);
    lua_pushfstring(L, LIG_STATEMENT_CLASS ": %s", statement->sql);
    return 1;
}

/* ---- query -------------------------------------------------------------- */

static bool target_send(PGconn *pg, lig_target target, int count, const lig_params *p) {
    if (target.statement != NULL) {
        return PQsendQueryPrepared(pg, target.statement->name, count, p->values, p->lengths,
                                   p->formats, 0) == 1;
    }
    return PQsendQueryParams(pg, target.sql, count, p->types, p->values, p->lengths, p->formats,
                             0) == 1;
}

/* Runs the statement at 2 with the parameters after it. */
static int query_run(lua_State *L, bool typed) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    lig_target target = lig_target_check(L, 2, conn);
    int count = lua_gettop(L) - 2;
    if (count > LIG_PARAMS_MAX) {
        lig_error_usage(L, "%d parameters; Postgres takes %d at the most", count, LIG_PARAMS_MAX);
    }
    luaL_checkstack(L, 8, "too many parameters");
    lig_params params;
    lig_params_new(L, &params, count);
    for (int i = 0; i < count; i++) {
        (void)lig_params_set(L, &params, i, i + 3, i + 1);
    }
    lig_result *box = lig_result_new(L, 1);
    double started_s = lig_conn_echo_start(conn);
    bool outside = lig_conn_is_outside(conn);
    struct lig_pg_patience patience = {0};
    for (int attempt = 1;; attempt++) {
        if (target.statement != NULL && !target.statement->prepared) {
            lig_statement_prepare(L, 1, target.statement);
        }
        if (!target_send(pg, target, count, &params)) {
            lig_conn_raise(L, 1, NULL, target.sql, false, 0);
        }
        box->items[0] = lig_pg_collect(pg, &patience);
        if (target.statement == NULL || !lig_statement_is_stale(box->items[0])) {
            break;
        }
        target.statement->prepared = false; // or the next use, after a ROLLBACK, fails as well
        if (attempt == 2 || !outside || patience.interrupted) {
            break;
        }
        lig_result_clear(box);
    }
    lig_conn_echo(L, 1, target.sql, started_s);
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (!lig_result_is_success(box->items[0])) {
        statement_raise(L, 1, box->items[0], target.sql, outside);
    }
    lig_conn_check_committed(L, 1, box->items[0], target.sql);
    lig_result_push(L, box->items[0], typed);
    lig_result_clear(box);
    return 1;
}

/* conn:query(sql_or_statement, ...) */
int lig_conn_query(lua_State *L) {
    return query_run(L, true);
}

/* conn:table(sql_or_statement, ...) */
int lig_conn_table(lua_State *L) {
    return query_run(L, false);
}

/* Runs SQL by the simple protocol and leaves the box of its outcome on the stack. */
static lig_result *script_run(lua_State *L, int conn_index, const char *sql) {
    PGconn *pg = lig_conn_idle(L, conn_index);
    lig_conn *conn = lua_touserdata(L, conn_index);
    lig_result *box = lig_result_new(L, 1);
    double started_s = lig_conn_echo_start(conn);
    bool outside = lig_conn_is_outside(conn);
    struct lig_pg_patience patience = {0};
    box->items[0] = lig_pg_command(pg, sql, &patience);
    lig_conn_echo(L, conn_index, sql, started_s);
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (!lig_result_is_success(box->items[0])) {
        statement_raise(L, conn_index, box->items[0], sql, outside);
    }
    lig_conn_check_committed(L, conn_index, box->items[0], sql);
    return box;
}

/* conn:script(sql) */
int lig_conn_script(lua_State *L) {
    (void)lig_conn_get(L, 1);
    if (lua_gettop(L) > 2) {
        lig_error_usage(L, "conn:script takes no parameters; use conn:query");
    }
    lig_result *box = script_run(L, 1, sql_check(L, 2));
    lua_pushstring(L, PQcmdStatus(box->items[0]));
    lig_result_clear(box);
    return 1;
}

void lig_conn_command(lua_State *L, int conn_index, const char *sql) {
    lig_result_clear(script_run(L, conn_index, sql));
    lua_pop(L, 1);
}

void lig_pg_query_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__tostring", statement_tostring}, {NULL, NULL}};
    lig_class_new(L, LIG_STATEMENT_CLASS, NULL, meta);
}
