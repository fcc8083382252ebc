/* serve.c: the module "serve": an HTTP/1.1 server for Lua.
 *
 * The engine hands over requests that are there whole; here each becomes a table, goes to
 * the handler, and what that returns becomes the answer.  The handler runs under a protected
 * call and in no callback of libmicrohttpd: when it raises, its client gets 500 and the
 * server goes on.
 */
#include "serve_message.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SERVER_CLASS "ligase.server"

enum { VALUE_HANDLER = 1, VALUE_FAILED };

/* ---- box ---------------------------------------------------------------- */

typedef struct box {
    lig_server *server; /* NULL once closed */
    bool stepping;      /* a handler may be running */
    bool stopped;       /* run() was asked to return */
} box;

static box *box_get(lua_State *L, int index) {
    return luaL_checkudata(L, index, SERVER_CLASS);
}

static box *box_check(lua_State *L, int index) {
    box *b = box_get(L, index);
    if (b->server == NULL) {
        lig_error_usage(L, "the server is closed");
    }
    return b;
}

static int server_release(lua_State *L) {
    box *b = box_get(L, 1);
    if (b->server != NULL) {
        lig_serve_close(b->server);
        b->server = NULL;
    }
    return 0;
}

/* server:close(): ends all connections, also those that wait for their answer. May be
 * called again; not by a handler. */
static int server_close(lua_State *L) {
    if (box_get(L, 1)->stepping) {
        lig_error_usage(L, "a handler cannot close its server; server:stop() ends server:run()");
    }
    return server_release(L);
}

/* ---- handling ----------------------------------------------------------- */

/* Errors with a kind speak for themselves; others need their traceback. */
static int failure_trace(lua_State *L) {
    if (lua_type(L, 1) == LUA_TSTRING) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    }
    return 1;
}

struct task {
    lig_exchange *exchange;
    double delay_s;
};

/* handler, request, task: the part that may raise. */
static int request_handle(lua_State *L) {
    struct task *task = lua_touserdata(L, 3);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lig_answer_take(L, lua_gettop(L), task->exchange, &task->delay_s);
    return 0;
}

static int request_make(lua_State *L) {
    struct task *task = lua_touserdata(L, 1);
    lig_request_push(L, lig_exchange_request(task->exchange));
    return 1;
}

static bool failure_is_interruption(lua_State *L) {
    if (!lua_istable(L, -1)) {
        return false;
    }
    lua_pushliteral(L, "kind");
    lua_rawget(L, -2);
    const char *kind = lua_tostring(L, -1);
    bool yes = kind != NULL && strcmp(kind, LIG_KIND_INTERRUPTED) == 0;
    lua_pop(L, 1);
    return yes;
}

/* failed(failure, request), or a line on stderr. An error in here is the end of the line. */
static int failure_tell(lua_State *L) {
    if (lua_isnil(L, 1)) {
        lua_writestringerror("ligase: a request's handler failed: %s\n",
                             luaL_tolstring(L, 2, NULL));
        return 0;
    }
    lua_call(L, 2, 0);
    return 0;
}

/* The handler raised; its error is on top, the request below. Its client gets 500. */
static void failure_answer(lua_State *L, lig_exchange *exchange) {
    static const char text[] = "the server failed at this request\n";
    if (lig_exchange_reply(exchange, 500, (lig_text){text, sizeof text - 1}, LIG_SERVE_WHOLE)) {
        (void)lig_exchange_header(exchange, "Content-Type", "text/plain; charset=utf-8");
    }
    if (!failure_is_interruption(L)) {
        lua_pushcfunction(L, failure_tell); // request failure tell
        (void)lua_getiuservalue(L, 1, VALUE_FAILED);
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -5);
        if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
            lua_writestringerror("ligase: the function that is told of failures failed: %s\n",
                                 lua_tostring(L, -1) != NULL ? lua_tostring(L, -1) : "?");
            lua_pop(L, 1);
        }
    }
}

/* Answers one request; the server is at index 1. Returns true when an interruption is left
 * on top of the stack, to be raised. */
static bool exchange_handle(lua_State *L, lig_server *server, lig_exchange *exchange) {
    int top = lua_gettop(L);
    struct task task = {.exchange = exchange};
    lua_pushcfunction(L, failure_trace);
    lua_pushcfunction(L, request_make);
    lua_pushlightuserdata(L, &task);
    int status = lua_pcall(L, 1, 1, top + 1); // trace request
    if (status == LUA_OK) {
        lua_pushcfunction(L, request_handle);
        (void)lua_getiuservalue(L, 1, VALUE_HANDLER);
        lua_pushvalue(L, top + 2);
        lua_pushlightuserdata(L, &task);
        status = lua_pcall(L, 3, 0, top + 1);
    } else {
        lua_pushnil(L);
        lua_insert(L, -2);
    }
    bool interrupted = false;
    if (status != LUA_OK) {
        failure_answer(L, exchange);
        interrupted = failure_is_interruption(L);
        task.delay_s = 0;
    }
    lig_serve_answer(server, exchange, task.delay_s);
    if (!interrupted) {
        lua_settop(L, top);
    }
    return interrupted;
}

/* Waits for requests at most so long and answers them. Returns their number. */
static lua_Integer server_turn(lua_State *L, box *b, double timeout_s) {
    lua_Integer count = 0;
    if (!lig_serve_wait(b->server, timeout_s)) {
        lig_interrupt_check(L);
        return 0;
    }
    luaL_checkstack(L, 20, NULL);
    b->stepping = true;
    lig_exchange *exchange;
    while ((exchange = lig_serve_next(b->server)) != NULL) {
        count++;
        if (exchange_handle(L, b->server, exchange)) {
            b->stepping = false;
            lua_error(L);
        }
    }
    b->stepping = false;
    (void)lig_serve_wait(b->server, 0); // the answers go out
    return count;
}

static box *box_idle(lua_State *L) {
    box *b = box_check(L, 1);
    if (b->stepping) {
        lig_error_usage(L, "a handler cannot run its own server");
    }
    return b;
}

/* server:step(timeout_s) -> how many requests were answered. Waits for one at most so
 * long (0 without it). */
static int server_step(lua_State *L) {
    box *b = box_idle(L);
    double timeout_s = luaL_optnumber(L, 2, 0);
    if (!(timeout_s >= 0)) {
        lig_error_usage(L, "the time limit must be a number of seconds, 0 or more");
    }
    lua_settop(L, 1);
    lua_pushinteger(L, server_turn(L, b, timeout_s));
    return 1;
}

/* server:run(): answers requests until server:stop(), or until an interruption, which it
 * raises. */
static int server_run(lua_State *L) {
    box *b = box_idle(L);
    lua_settop(L, 1);
    b->stopped = false;
    while (!b->stopped) {
        (void)server_turn(L, b, 1.0);
    }
    return 0;
}

/* server:stop(): lets server:run() return once the requests at hand are answered. */
static int server_stop(lua_State *L) {
    box_check(L, 1)->stopped = true;
    return 0;
}

/* ---- opening ------------------------------------------------------------ */

static double number_option(lua_State *L, int index, const char *name, double fallback,
                            double least, double most) {
    lua_getfield(L, index, name);
    double value = lua_isnil(L, -1) ? fallback : lua_isnumber(L, -1) ? lua_tonumber(L, -1) : NAN;
    lua_pop(L, 1);
    if (!(value >= least && value <= most)) {
        lua_pushfstring(L, "option '%s' must be a number from %f to %f", name, least, most);
        lig_error_usage(L, "%s", lua_tostring(L, -1));
    }
    return value;
}

static lig_serve_limits limits_get(lua_State *L, int index) {
    static const char *const names[] = {"body_bytes", "header_bytes", "connections",
                                        "request_timeout_s", "answer_timeout_s"};
    if (lua_getfield(L, index, "limits") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    int at = lua_gettop(L);
    lig_names_check(L, at, "limits", names, sizeof names / sizeof *names);
    lig_serve_limits limits = {
        .body_bytes = (size_t)number_option(L, at, "body_bytes", 8 << 20, 0, 1 << 30),
        .header_bytes = (size_t)number_option(L, at, "header_bytes", 16384, 256, 1 << 20),
        .connections = (unsigned)number_option(L, at, "connections", 256, 1, 65536),
        .request_timeout_s = number_option(L, at, "request_timeout_s", 30, 0.001, 86400),
        .answer_timeout_s = number_option(L, at, "answer_timeout_s", 60, 0.001, 86400),
    };
    lua_pop(L, 1);
    return limits;
}

/* serve.listen{host=, port=, handler=, failed=, limits=} -> server */
static int serve_listen(lua_State *L) {
    static const char *const names[] = {"host", "port", "handler", "failed", "limits"};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lig_names_check(L, 1, "serve.listen", names, sizeof names / sizeof *names);
    lig_serve_limits limits = limits_get(L, 1);
    unsigned port = (unsigned)number_option(L, 1, "port", 0, 0, 65535);
    lua_getfield(L, 1, "host");
    const char *host = luaL_optstring(L, -1, "127.0.0.1");
    box *b = lua_newuserdatauv(L, sizeof *b, 2);
    *b = (box){0};
    luaL_setmetatable(L, SERVER_CLASS); // options host server
    if (lua_getfield(L, 1, "handler") != LUA_TFUNCTION) {
        lig_error_usage(L, "serve.listen needs a function as its handler");
    }
    (void)lua_setiuservalue(L, 3, VALUE_HANDLER);
    (void)lua_getfield(L, 1, "failed");
    (void)lua_setiuservalue(L, 3, VALUE_FAILED);
    b->server = lig_serve_open(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &limits);
    if (b->server == NULL) {
        int saved = errno;
        lua_pushfstring(L, "%s port %d", host, (int)port);
        lig_error_errno(L, saved, "listen on", lua_tostring(L, -1));
    }
    return 1;
}

/* server.port, and the methods. */
static int server_index(lua_State *L) {
    box *b = box_get(L, 1);
    const char *name = lua_tostring(L, 2);
    if (name != NULL && strcmp(name, "port") == 0) {
        if (b->server == NULL) {
            return 0;
        }
        lua_pushinteger(L, (lua_Integer)lig_serve_port(b->server));
        return 1;
    }
    lua_getfield(L, lua_upvalueindex(1), name != NULL ? name : "");
    return 1;
}

int luaopen_lig_serve(lua_State *L) {
    static const luaL_Reg methods[] = {{"step", server_step},
                                       {"run", server_run},
                                       {"stop", server_stop},
                                       {"close", server_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", server_release}, {"__close", server_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"listen", serve_listen}, {NULL, NULL}};
    lig_class_new(L, SERVER_CLASS, NULL, meta);
    luaL_getmetatable(L, SERVER_CLASS);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, server_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
