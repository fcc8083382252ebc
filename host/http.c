/* http.c: the module "http": requests over HTTP and HTTPS.
 *
 * The binding: http_request.c reads what is asked, http_response.c says what came back.  Any status
 * is an answer; what fails is the way there and back.  What an answer means, and whether to ask
 * again, is decided in Lua.
 */
#include "http.h"
#include "sys.h"

#include <math.h>

#define POOL_CLASS "ligase.http_pool"
#define REQUEST_CLASS "ligase.http_request"

#define CONNECTIONS 8
#define CONNECTIONS_MOST 256
#define SLICE_S 0.2

/* ---- boxes -------------------------------------------------------------- */

/* The user value of a pool's box holds, for each transfer (by its address), what of it
 * belongs to Lua: {what, url, tag, body, on_chunk, failure, to}. */
typedef struct pool {
    lig_http_pool engine;
    lua_State *L; /* the caller while bytes move */
    int entries;  /* where its stack has them */
    bool moving;
    lua_Integer added;
} pool;

enum { VALUE_ENTRIES = 1 };

/* A request that no pool has taken over yet, or that http.request waits for: it ends
 * with the call, however that ends. */
typedef struct request {
    lig_http_transfer *transfer;
    pool *pool; /* where it runs; NULL before */
} request;

static pool *pool_get(lua_State *L, int index) {
    return luaL_checkudata(L, index, POOL_CLASS);
}

/* An open pool that is not just calling us from its inside. */
static pool *pool_check(lua_State *L, int index) {
    pool *p = pool_get(L, index);
    if (p->engine.multi == NULL) {
        lig_error_usage(L, "the pool is closed");
    }
    if (p->moving) {
        lig_error_usage(L, "on_chunk cannot use the connections that it is called from");
    }
    return p;
}

static int pool_release(lua_State *L) {
    pool *p = pool_get(L, 1);
    if (!p->moving) {
        lig_http_pool_close(&p->engine);
    }
    return 0;
}

static int request_release(lua_State *L) {
    request *r = luaL_checkudata(L, 1, REQUEST_CLASS);
    if (r->transfer != NULL) {
        if (r->pool != NULL) {
            lua_getiuservalue(L, 1, 1);
            lua_getiuservalue(L, -1, VALUE_ENTRIES);
            lua_pushnil(L);
            lua_rawsetp(L, -2, r->transfer);
        }
        if (r->pool != NULL && r->pool->engine.multi != NULL) {
            lig_http_pool_remove(&r->pool->engine, r->transfer);
        }
        if (r->pool == NULL || r->pool->engine.multi != NULL) {
            lig_http_free(r->transfer); // else the pool has freed it on closing
        }
        r->transfer = NULL;
    }
    return 0;
}

static pool *pool_new(lua_State *L, int connections) {
    pool *p = lua_newuserdatauv(L, sizeof *p, VALUE_ENTRIES);
    *p = (pool){.engine = {.multi = NULL}};
    luaL_setmetatable(L, POOL_CLASS);
    lua_newtable(L);
    lua_setiuservalue(L, -2, VALUE_ENTRIES);
    if (!lig_http_pool_open(&p->engine, connections)) {
        luaL_error(L, "not enough memory");
    }
    return p;
}

/* Pushes the pool that http.request and its like share, so that connections are used
 * again. */
static const char shared_key = 0;

static pool *pool_shared(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &shared_key) == LUA_TNIL) {
        lua_pop(L, 1);
        (void)pool_new(L, CONNECTIONS);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
    }
    return pool_check(L, lua_gettop(L));
}

/* ---- chunks ------------------------------------------------------------- */

typedef struct chunk {
    lig_http_transfer *transfer;
    const char *data;
    size_t length;
} chunk;

/* Runs protected: calls on_chunk and keeps what it raises in the transfer's entry. */
static int chunk_hand_over(lua_State *L) {
    const chunk *c = lua_touserdata(L, 1); // chunk entries
    (void)lua_rawgetp(L, 2, c->transfer);
    lua_getfield(L, 3, "on_chunk");
    lua_pushlstring(L, c->data, c->length);
    bool done = lua_pcall(L, 1, 0, 0) == LUA_OK;
    if (!done) {
        lua_setfield(L, 3, "failure");
    }
    lua_pushboolean(L, done);
    return 1;
}

/* Called by libcurl, through which nothing may be raised. */
static bool chunk_take(lig_http_transfer *t, const char *data, size_t length) {
    const pool *p = t->context;
    lua_State *L = p->L;
    chunk c = {.transfer = t, .data = data, .length = length};
    if (!lua_checkstack(L, 4)) {
        return false;
    }
    int top = lua_gettop(L);
    lua_pushcfunction(L, chunk_hand_over);
    lua_pushlightuserdata(L, &c);
    lua_pushvalue(L, p->entries);
    bool done = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1);
    lua_settop(L, top);
    return done;
}

/* ---- asking ------------------------------------------------------------- */

/* Reads the request at `index` into a new box; pushes the box and its entry. */
static request *request_new(lua_State *L, int index, pool *p) {
    request *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (request){.transfer = NULL};
    luaL_setmetatable(L, REQUEST_CLASS);
    lua_createtable(L, 0, 6);
    r->transfer = lig_http_new();
    if (r->transfer == NULL) {
        luaL_error(L, "not enough memory");
    }
    lig_http_request_read(L, index, r->transfer, lua_gettop(L));
    if (lua_getfield(L, -1, "on_chunk") == LUA_TFUNCTION) {
        r->transfer->take = chunk_take;
        r->transfer->context = p;
    }
    lua_pop(L, 1);
    return r;
}

static void pool_move(lua_State *L, pool *p, int wait_ms) {
    luaL_checkstack(L, LUA_MINSTACK, "http");
    p->L = L;
    p->moving = true;
    bool well = lig_http_pool_step(&p->engine, wait_ms);
    p->moving = false;
    if (!well) {
        luaL_error(L, "libcurl failed; is there memory left?");
    }
}

/* Waits until this transfer (NULL: any) has finished, nothing is left, or the time is
 * up.  The pool's entries are at the top of the stack.  Signal handlers may run, and do
 * what they like with the pool. */
static lig_http_transfer *pool_await(lua_State *L, pool *p, lig_http_transfer *wanted,
                                     double until_s) {
    for (;;) {
        lig_http_transfer *t = wanted != NULL ? wanted : TAILQ_FIRST(&p->engine.finished);
        if (p->engine.count == 0 || (t != NULL && t->state == LIG_HTTP_FINISHED)) {
            return t;
        }
        double left = until_s - lig_sys_monotonic();
        p->entries = lua_gettop(L);
        pool_move(L, p, (int)ceil(fmax(0, fmin(left, SLICE_S)) * 1000));
        (void)lig_sys_signals_run(L);
        if (p->engine.multi == NULL) {
            lig_error_usage(L, "the pool was closed while it was waited for");
        }
        if (left <= 0 && TAILQ_EMPTY(&p->engine.finished)) {
            return NULL;
        }
    }
}

/* Pushes the response and returns true, or the failure. */
static bool outcome_push(lua_State *L, const lig_http_transfer *t, int entry) {
    if (lua_getfield(L, entry, "failure") != LUA_TNIL) {
        return false;
    }
    lua_pop(L, 1);
    if (lig_http_is_answered(t)) {
        lig_http_response_push(L, t, entry);
        return true;
    }
    if (t->stop == LIG_HTTP_NO_MEMORY || t->code == CURLE_OUT_OF_MEMORY) {
        luaL_error(L, "not enough memory");
    }
    lua_getfield(L, entry, "what");
    lua_getfield(L, entry, "url");
    lig_http_error_push(L, t, lua_tostring(L, -2), lua_tostring(L, -1)); // what url failure
    lua_replace(L, -3);
    lua_pop(L, 1);
    return false;
}

/* ---- functions ---------------------------------------------------------- */

/* http.request{url=, method="GET", headers=, body=, timeout_s=60, connect_timeout_s=5,
 * size_limit_bytes=, to=, on_chunk=, fresh=, resend=, plain=, proxy=, ca_file=} -> response
 * {status, headers, body, url, method, seconds, bytes, path}.  Raises "network" when there
 * is no whole answer. */
static int http_request(lua_State *L) {
    lua_settop(L, 1);
    pool *p = pool_shared(L);          // request pool
    request *r = request_new(L, 1, p); // request pool box entry
    lua_toclose(L, 3);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, 1);
    (void)lua_getiuservalue(L, 2, VALUE_ENTRIES); // request pool box entry entries
    lua_pushvalue(L, 4);
    lua_rawsetp(L, 5, r->transfer);
    lig_http_pool_add(&p->engine, r->transfer);
    r->pool = p;
    (void)pool_await(L, p, r->transfer, HUGE_VAL);
    return outcome_push(L, r->transfer, 4) ? 1 : lua_error(L);
}

/* Makes the request of http.get and its like out of method, url, body (when it takes
 * one) and options, and sends it. */
static int method_run(lua_State *L, const char *method, bool takes_body) {
    int options = takes_body ? 3 : 2;
    lua_settop(L, options);
    lua_newtable(L);
    if (!lua_isnil(L, options)) {
        luaL_checktype(L, options, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, options) != 0) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, options + 1);
        }
    }
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "url");
    lua_pushstring(L, method);
    lua_setfield(L, -2, "method");
    if (takes_body && !lua_isnil(L, 2)) {
        lua_pushvalue(L, 2);
        lua_setfield(L, -2, "body");
    }
    lua_replace(L, 1);
    return http_request(L);
}

/* http.get(url, [options]) -> response. */
static int http_get(lua_State *L) {
    return method_run(L, "GET", false);
}

/* http.head(url, [options]) -> response without a body. */
static int http_head(lua_State *L) {
    return method_run(L, "HEAD", false);
}

/* http.delete(url, [options]) -> response. */
static int http_delete(lua_State *L) {
    return method_run(L, "DELETE", false);
}

/* http.post(url, body, [options]) -> response. */
static int http_post(lua_State *L) {
    return method_run(L, "POST", true);
}

/* http.put(url, body, [options]) -> response. */
static int http_put(lua_State *L) {
    return method_run(L, "PUT", true);
}

/* http.patch(url, body, [options]) -> response. */
static int http_patch(lua_State *L) {
    return method_run(L, "PATCH", true);
}

/* http.pool([{connections=8}]) -> pool: many requests at once, as many as there are
 * connections. */
static int http_pool(lua_State *L) {
    static const char *const options[] = {"connections", NULL};
    lig_sys_check_options(L, 1, "http.pool", options);
    lua_Integer connections = CONNECTIONS;
    if (lig_sys_option(L, 1, "connections") != LUA_TNIL) {
        connections = lua_tointeger(L, -1);
        if (!lua_isinteger(L, -1) || connections < 1 || connections > CONNECTIONS_MOST) {
            lig_error_usage(L, "http.pool: connections must be an integer from 1 to %d",
                            CONNECTIONS_MOST);
        }
    }
    (void)pool_new(L, (int)connections);
    return 1;
}

/* pool:add(request, [tag]) -> tag: sends it as soon as a connection is free, while
 * pool:next waits.  Without a tag it is the number of the request, from 1. */
static int pool_add(lua_State *L) {
    pool *p = pool_check(L, 1);
    lua_settop(L, 3);
    p->added++;
    if (lua_isnil(L, 3)) {
        lua_pushinteger(L, p->added);
        lua_replace(L, 3);
    }
    request *r = request_new(L, 2, p);            // pool request tag box entry
    (void)lua_getiuservalue(L, 1, VALUE_ENTRIES); // pool request tag box entry entries
    lua_pushvalue(L, 3);
    lua_setfield(L, 5, "tag");
    lua_pushvalue(L, 5);
    lua_rawsetp(L, 6, r->transfer);
    lig_http_pool_add(&p->engine, r->transfer);
    r->transfer = NULL;
    lua_pushvalue(L, 3);
    return 1;
}

/* Pushes tag and response, or tag, nil and failure, of the next one that has finished;
 * nil when there is none by then. The pool is at 1. */
static int next_push(lua_State *L, double until_s) {
    lua_settop(L, 1);
    pool *p = pool_check(L, 1);
    request *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (request){.transfer = NULL};
    luaL_setmetatable(L, REQUEST_CLASS);
    lua_toclose(L, 2);
    (void)lua_getiuservalue(L, 1, VALUE_ENTRIES); // pool box entries
    lig_http_transfer *t = pool_await(L, p, NULL, until_s);
    if (t == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lig_http_pool_remove(&p->engine, t);
    r->transfer = t;
    (void)lua_rawgetp(L, 3, t); // pool box entries entry
    lua_pushnil(L);
    lua_rawsetp(L, 3, t);
    lua_getfield(L, 4, "tag");
    if (outcome_push(L, t, 4)) {
        return 2;
    }
    lua_pushnil(L);
    lua_insert(L, -2);
    return 3;
}

/* pool:next([timeout_s]) -> tag, response; or tag, nil, failure; or nil when nothing has
 * finished by then or nothing is left. */
static int pool_next(lua_State *L) {
    double until_s = HUGE_VAL;
    if (!lua_isnoneornil(L, 2)) {
        lua_Number timeout_s = luaL_checknumber(L, 2);
        if (!(timeout_s >= 0)) {
            lig_error_usage(L, "the time limit must be a number of seconds, 0 or more");
        }
        until_s = lig_sys_monotonic() + timeout_s;
    }
    return next_push(L, until_s);
}

static int each_next(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    return next_push(L, HUGE_VAL);
}

/* pool:each() -> an iterator: for tag, response, failure in pool:each() do ... end. */
static int pool_each(lua_State *L) {
    (void)pool_check(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, each_next, 1);
    return 1;
}

/* pool:close(): ends what is under way; may be called again. */
static int pool_close(lua_State *L) {
    (void)pool_get(L, 1);
    if (pool_get(L, 1)->engine.multi != NULL) {
        (void)pool_check(L, 1);
    }
    return pool_release(L);
}

/* #pool: how many are not handed out yet. */
static int pool_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)pool_get(L, 1)->engine.count);
    return 1;
}

static int pool_tostring(lua_State *L) {
    const pool *p = pool_get(L, 1);
    if (p->engine.multi == NULL) {
        lua_pushliteral(L, POOL_CLASS " (closed)");
    } else {
        lua_pushfstring(L, POOL_CLASS " (%d connections, %d requests)", p->engine.connections,
                        (int)p->engine.count);
    }
    return 1;
}

/* ---- registration ------------------------------------------------------- */

int luaopen_lig_http(lua_State *L) {
    static const luaL_Reg pool_methods[] = {{"add", pool_add},
                                            {"next", pool_next},
                                            {"each", pool_each},
                                            {"close", pool_close},
                                            {NULL, NULL}};
    static const luaL_Reg pool_meta[] = {{"__gc", pool_release},
                                         {"__close", pool_release},
                                         {"__len", pool_length},
                                         {"__tostring", pool_tostring},
                                         {NULL, NULL}};
    static const luaL_Reg request_meta[] = {
        {"__gc", request_release}, {"__close", request_release}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"request", http_request}, {"get", http_get},   {"head", http_head},
        {"delete", http_delete},   {"post", http_post}, {"put", http_put},
        {"patch", http_patch},     {"pool", http_pool}, {NULL, NULL}};
    lig_class_new(L, POOL_CLASS, pool_methods, pool_meta);
    lig_class_new(L, REQUEST_CLASS, NULL, request_meta);
    luaL_newlib(L, functions);
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "version");
    lig_http_response_open(L);
    return 1;
}
