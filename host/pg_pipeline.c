/* pg_pipeline.c: many statements in one round trip.
 *
 * The function given to conn:pipeline only collects statements; they are sent when
 * it has returned, so that a raise in it leaves nothing half sent.  One Sync ends
 * them all: outside a transaction they commit together or not at all.
 *
 * Everything that may raise happens before the first byte is sent or after the
 * connection has left pipeline mode.  What the caller does meanwhile is protected for
 * the same reason.
 */
#include "pg.h"

#define PIPELINE_CLASS "ligase.pipeline"

/* Beyond this many bytes queued, wait until they are sent: the server works while
 * the rest is being queued, and memory stays bounded. */
#define QUEUE_LIMIT_BYTES ((size_t)256 * 1024)

/* The collector.  User value 1: a flat list of SQL text or statement, number of
 * parameters, the parameters; NULL stands for nil. */
typedef struct pipeline {
    const lig_conn *conn; /* NULL once the function has returned */
    int statements;
    int params;
    lua_Integer used; /* entries of the list */
} pipeline;

/* One statement ready to be sent. */
typedef struct step {
    lig_target target;
    int first; /* its first parameter */
    int count;
} step;

/* ---- collecting --------------------------------------------------------- */

/* p:query(sql_or_statement, ...) -> the place of its result.  What cannot be a
 * parameter is refused here, where the traceback shows who passed it. */
static int pipeline_query(lua_State *L) {
    pipeline *p = luaL_checkudata(L, 1, PIPELINE_CLASS);
    if (p->conn == NULL) {
        lig_error_usage(L, "the pipeline has been sent");
    }
    lig_target target = lig_target_check(L, 2, p->conn);
    if (lig_sql_begins(target.sql, "COPY")) {
        lig_error_usage(L, "COPY cannot be part of a pipeline");
    }
    int count = lua_gettop(L) - 2;
    if (count > LIG_PARAMS_MAX) {
        lig_error_usage(L, "%d parameters; Postgres takes %d at the most", count, LIG_PARAMS_MAX);
    }
    luaL_checkstack(L, 8, "too many parameters");
    lig_params one;
    lig_params_new(L, &one, 1);
    for (int i = 1; i <= count; i++) {
        (void)lig_params_set(L, &one, 0, i + 2, i);
    }
    lua_getiuservalue(L, 1, 1);
    int list = lua_gettop(L);
    lua_Integer at = p->used;
    lua_pushvalue(L, 2);
    lua_rawseti(L, list, ++at);
    lua_pushinteger(L, count);
    lua_rawseti(L, list, ++at);
    for (int i = 1; i <= count; i++) {
        if (lua_isnil(L, i + 2)) {
            lua_pushlightuserdata(L, NULL);
        } else {
            lua_pushvalue(L, i + 2);
        }
        lua_rawseti(L, list, ++at);
    }
    p->used = at; // only now: a raise on the way leaves the list as it was
    p->params += count;
    p->statements++;
    lua_pushinteger(L, p->statements);
    return 1;
}

/* Turns the list at `list` into steps and parameters. */
static void steps_read(lua_State *L, int list, const pipeline *p, const lig_conn *conn, step *steps,
                       lig_params *params) {
    lua_Integer at = 0;
    int slot = 0;
    for (int s = 0; s < p->statements; s++) {
        lua_rawgeti(L, list, ++at);
        steps[s].target = lig_target_check(L, lua_gettop(L), conn);
        lua_rawgeti(L, list, ++at);
        steps[s].count = (int)lua_tointeger(L, -1);
        steps[s].first = slot;
        lua_pop(L, 2);
        for (int i = 1; i <= steps[s].count; i++) {
            lua_rawgeti(L, list, ++at);
            (void)lig_params_set(L, params, slot++, lua_gettop(L), i);
            lua_pop(L, 1);
        }
    }
}

/* ---- sending and reading (no Lua) --------------------------------------- */

static bool step_send(PGconn *pg, const step *s, const lig_params *p) {
    const char *const *values = p->values + s->first;
    const int *lengths = p->lengths + s->first;
    const int *formats = p->formats + s->first;
    if (s->target.statement != NULL) {
        return PQsendQueryPrepared(pg, s->target.statement->name, s->count, values, lengths,
                                   formats, 0) == 1;
    }
    return PQsendQueryParams(pg, s->target.sql, s->count, p->types + s->first, values, lengths,
                             formats, 0) == 1;
}

/* A statement that cannot be queued must not let those before it commit: without
 * the Sync the server undoes them when the connection ends. */
static void steps_send(PGconn *pg, const step *steps, int count, const lig_params *params,
                       struct lig_pg_patience *patience) {
    size_t queued = 0;
    for (int s = 0; s < count; s++) {
        if (!step_send(pg, &steps[s], params)) {
            lig_pg_give_up(pg);
            return;
        }
        for (int i = 0; i < steps[s].count; i++) {
            queued += (size_t)params->lengths[steps[s].first + i];
        }
        if (queued > QUEUE_LIMIT_BYTES) {
            (void)lig_pg_pump(pg, LIG_PG_FLUSHED, patience);
            queued = 0;
        }
    }
    if (PQpipelineSync(pg) != 1) {
        lig_pg_give_up(pg);
    }
}

/* The next result, NULL at the end of a statement's results. */
static PGresult *result_next(PGconn *pg, struct lig_pg_patience *patience) {
    (void)lig_pg_pump(pg, LIG_PG_RESULT, patience);
    PGresult *result = PQgetResult(pg);
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        lig_pg_give_up(pg); // refused when collecting; there is no way out of it here
        break;
    default:
        break;
    }
    return result;
}

static void results_read(PGconn *pg, lig_result *box, struct lig_pg_patience *patience) {
    for (int s = 0; s < box->count && PQstatus(pg) == CONNECTION_OK; s++) {
        box->items[s] = result_next(pg, patience);
        PGresult *more = NULL;
        while (PQstatus(pg) == CONNECTION_OK && (more = result_next(pg, patience)) != NULL) {
            PQclear(more);
        }
    }
    while (PQstatus(pg) == CONNECTION_OK) { // up to the Sync
        PGresult *result = result_next(pg, patience);
        bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
        if (synced) {
            break;
        }
    }
    if (PQstatus(pg) == CONNECTION_OK && PQexitPipelineMode(pg) != 1) {
        lig_pg_give_up(pg);
    }
}

static int failure_find(const lig_result *box) {
    for (int s = 0; s < box->count; s++) {
        if (!lig_result_is_success(box->items[s])) {
            return s;
        }
    }
    return -1;
}

/* ---- conn:pipeline ------------------------------------------------------ */

/* Prepares what is not, so that inside the pipeline every statement is known. */
static void steps_prepare(lua_State *L, const step *steps, int count) {
    for (int s = 0; s < count; s++) {
        lig_statement *statement = steps[s].target.statement;
        if (statement != NULL && !statement->prepared) {
            lig_statement_prepare(L, 1, statement);
        }
    }
}

/* Whether a statement ends the transaction: when its answer is lost, so is the outcome. */
static bool steps_commit(const step *steps, int count) {
    for (int s = 0; s < count; s++) {
        if (lig_sql_begins(steps[s].target.sql, "COMMIT")) {
            return true;
        }
    }
    return false;
}

/* Calls the function at `meanwhile` while the server works, and takes it off, so that it
 * runs once.  Returns whether it raised; the error is then on the stack. */
static bool meanwhile_run(lua_State *L, int meanwhile, lig_conn *conn,
                          struct lig_pg_patience *patience) {
    if (!lua_isfunction(L, meanwhile)) {
        return false;
    }
    (void)lig_pg_pump(conn->pg, LIG_PG_FLUSHED, patience);
    lua_pushvalue(L, meanwhile);
    lua_pushnil(L);
    lua_replace(L, meanwhile);
    conn->pipelining = true;
    bool raised = lua_pcall(L, 0, 0, 0) != LUA_OK;
    conn->pipelining = false;
    return raised;
}

static void steps_run(lua_State *L, const step *steps, const lig_params *params, lig_result *box,
                      int meanwhile) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    bool outside = lig_conn_is_outside(conn);
    bool commits = steps_commit(steps, box->count);
    if (commits) {
        lig_conn_check_alive(L, pg, "COMMIT");
    }
    for (int attempt = 1;; attempt++) {
        steps_prepare(L, steps, box->count);
        struct lig_pg_patience patience = {0};
        double started_s = lig_conn_echo_start(conn);
        if (PQenterPipelineMode(pg) != 1) {
            lig_pg_raise_conn(L, pg, NULL);
        }
        steps_send(pg, steps, box->count, params, &patience);
        bool raised = meanwhile_run(L, meanwhile, conn, &patience);
        if (raised) {
            lig_pg_stop(pg, &patience);
        }
        results_read(pg, box, &patience);
        for (int s = 0; s < box->count; s++) {
            lig_conn_echo(L, 1, steps[s].target.sql, started_s);
        }
        if (raised) {
            (void)lua_error(L);
        }
        int failed = failure_find(box);
        if (patience.interrupted) {
            lig_interrupt_check(L);
        }
        if (failed < 0) {
            return;
        }
        // A pipeline outside a transaction was undone as a whole: after preparing
        // anew it can be sent again.
        bool stale = lig_statement_is_stale(box->items[failed]);
        for (int s = 0; stale && s < box->count; s++) {
            if (steps[s].target.statement != NULL) {
                steps[s].target.statement->prepared = false;
            }
        }
        if (!stale || !outside || attempt == 2) {
            lig_conn_raise(L, 1, box->items[failed], steps[failed].target.sql, outside || commits,
                           failed + 1);
        }
        lig_result_clear(box);
    }
}

/* conn:pipeline(function(p) ... end, meanwhile?) -> array of results */
int lig_conn_pipeline(lua_State *L) {
    (void)lig_conn_idle(L, 1);
    const lig_conn *conn = lua_touserdata(L, 1);
    lua_settop(L, 3);
    if (!lua_isfunction(L, 2) || !(lua_isnil(L, 3) || lua_isfunction(L, 3))) {
        lig_error_usage(L, "conn:pipeline wants a function, and perhaps a second one");
    }
    pipeline *p = lua_newuserdatauv(L, sizeof *p, 1); // 4
    *p = (pipeline){.conn = conn};
    luaL_setmetatable(L, PIPELINE_CLASS);
    lua_newtable(L); // 5
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, 4, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 4);
    lua_call(L, 1, 0);
    p->conn = NULL;

    int count = p->statements;
    if (count == 0) {
        if (!lua_isnil(L, 3)) {
            lua_pushvalue(L, 3);
            lua_call(L, 0, 0);
        }
        lua_newtable(L);
        return 1;
    }
    lig_params params;
    lig_params_new(L, &params, p->params);                                // 6
    step *steps = lua_newuserdatauv(L, (size_t)count * sizeof *steps, 0); // 7
    steps_read(L, 5, p, conn, steps, &params);
    lig_result *box = lig_result_new(L, count); // 8
    steps_run(L, steps, &params, box, 3);
    for (int s = 0; s < count; s++) {
        lig_conn_check_committed(L, 1, box->items[s], steps[s].target.sql);
    }
    lua_createtable(L, count, 0);
    for (int s = 0; s < count; s++) {
        lig_result_push(L, box->items[s], true);
        lua_rawseti(L, -2, s + 1);
        PQclear(box->items[s]);
        box->items[s] = NULL;
    }
    return 1;
}

void lig_pg_pipeline_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"query", pipeline_query}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{NULL, NULL}};
    lig_class_new(L, PIPELINE_CLASS, methods, meta);
}
