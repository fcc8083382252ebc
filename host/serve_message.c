/* serve_message.c: a request as a table for Lua, and an answer from a table of Lua. */
#include "serve_message.h"

#include <math.h>
#include <string.h>

/* ---- a request for Lua -------------------------------------------------- */

static void text_set(lua_State *L, const char *name, lig_text text) {
    lua_pushlstring(L, text.data, text.length);
    lua_setfield(L, -2, name);
}

/* Pushes a table of the fields by name. What comes twice is joined for headers (as RFC 9110
 * reads it); of the query the last one counts. */
static void fields_push(lua_State *L, const lig_field *fields, size_t count, bool joined) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        int parts = 1;
        lua_pushlstring(L, fields[i].name.data, fields[i].name.length);
        if (joined) {
            lua_pushvalue(L, -1);
            if (lua_rawget(L, -3) == LUA_TSTRING) { // fields name before
                lua_pushliteral(L, ", ");
                parts = 3;
            } else {
                lua_pop(L, 1);
            }
        }
        lua_pushlstring(L, fields[i].value.data, fields[i].value.length);
        lua_concat(L, parts);
        lua_rawset(L, -3);
    }
}

/* The query once more, as a list of {name, value} in the order they came. */
static void pairs_push(lua_State *L, const lig_field *fields, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 2, 0);
        lua_pushlstring(L, fields[i].name.data, fields[i].name.length);
        lua_rawseti(L, -2, 1);
        lua_pushlstring(L, fields[i].value.data, fields[i].value.length);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void lig_request_push(lua_State *L, const lig_request *request) {
    lua_createtable(L, 0, 12);
    text_set(L, "method", request->method);
    text_set(L, "path", request->path);
    text_set(L, "raw_path", request->target);
    text_set(L, "body", request->body);
    fields_push(L, request->headers, request->header_count, true);
    lua_setfield(L, -2, "headers");
    fields_push(L, request->query, request->query_count, false);
    lua_setfield(L, -2, "query");
    pairs_push(L, request->query, request->query_count);
    lua_setfield(L, -2, "query_pairs");
    lua_pushstring(L, request->peer);
    lua_setfield(L, -2, "peer");
    lig_error_integer(L, "peer_port", (lua_Integer)request->peer_port);
    lig_error_integer(L, "connection", (lua_Integer)request->connection);
    lig_error_integer(L, "turn", (lua_Integer)request->turn);
}

/* ---- an answer from Lua ------------------------------------------------- */

static void header_add(lua_State *L, lig_exchange *exchange) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1)) {
        lig_error_usage(L, "an answer's headers are strings by name");
    }
    lua_pushvalue(L, -2); // lua_tolstring would change a number in the table
    size_t length = 0;
    const char *value = luaL_tolstring(L, -2, &length);
    if (strlen(value) != length || !lig_exchange_header(exchange, lua_tostring(L, -2), value)) {
        lig_error_usage(L, "an answer cannot have this header: %s", lua_tostring(L, -2));
    }
    lua_pop(L, 2);
}

/* Adds the headers of the table on top; a list of values makes the header come as often. */
static void headers_add(lua_State *L, lig_exchange *exchange) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) { // headers name value
        if (lua_istable(L, -1)) {
            lua_Integer count = luaL_len(L, -1);
            for (lua_Integer i = 1; i <= count; i++) {
                lua_pushvalue(L, -2);
                (void)lua_geti(L, -2, i);
                header_add(L, exchange);
                lua_pop(L, 2);
            }
        } else {
            header_add(L, exchange);
        }
        lua_pop(L, 1);
    }
}

void lig_names_check(lua_State *L, int index, const char *what, const char *const *names,
                     size_t count) {
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || strcmp(name, names[i]) == 0;
        }
        if (!known) {
            lig_error_usage(L, "%s has no '%s'", what, name);
        }
        lua_pop(L, 1);
    }
}

static lua_Integer status_get(lua_State *L, int index) {
    lua_getfield(L, index, "status");
    lua_Integer status = lua_isnil(L, -1) ? 200 : lua_tointeger(L, -1);
    if (status < 200 || status > 599) {
        lig_error_usage(L, "an answer's status is an integer from 200 to 599");
    }
    lua_pop(L, 1);
    return status;
}

static size_t truncate_get(lua_State *L, int index, size_t length) {
    lua_getfield(L, index, "truncate");
    size_t cut_after = LIG_SERVE_WHOLE;
    if (!lua_isnil(L, -1)) {
        int is_integer = 0;
        lua_Integer wanted = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || wanted < 0 || (size_t)wanted >= length) {
            lig_error_usage(L, "truncate is less than the body's bytes, and 0 or more");
        }
        cut_after = (size_t)wanted;
    }
    lua_pop(L, 1);
    return cut_after;
}

static lig_text body_get(lua_State *L, int index) {
    lig_text body = {"", 0};
    if (lua_getfield(L, index, "body") == LUA_TSTRING) {
        body.data = lua_tolstring(L, -1, &body.length); // stays alive in the answer's table
    } else if (!lua_isnil(L, -1)) {
        lig_error_usage(L, "an answer's body is a string");
    }
    lua_pop(L, 1);
    return body;
}

static double delay_get(lua_State *L, int index) {
    lua_getfield(L, index, "delay_s");
    double delay_s = lua_isnil(L, -1) ? 0 : lua_isnumber(L, -1) ? lua_tonumber(L, -1) : NAN;
    if (!(delay_s >= 0 && delay_s < 1e9)) {
        lig_error_usage(L, "delay_s is a number of seconds, 0 or more");
    }
    lua_pop(L, 1);
    return delay_s;
}

void lig_answer_take(lua_State *L, int index, lig_exchange *exchange, double *delay_s) {
    static const char *const names[] = {"status", "headers", "body", "drop", "truncate", "delay_s"};
    if (!lua_istable(L, index)) {
        lig_error_usage(L, "a handler returns a table, not a %s", luaL_typename(L, index));
    }
    lig_names_check(L, index, "an answer", names, sizeof names / sizeof *names);
    *delay_s = delay_get(L, index);
    lua_getfield(L, index, "drop");
    if (lua_toboolean(L, -1)) {
        lig_exchange_forget(exchange);
        return;
    }
    unsigned status = (unsigned)status_get(L, index);
    lig_text body = body_get(L, index);
    if (!lig_exchange_reply(exchange, status, body, truncate_get(L, index, body.length))) {
        luaL_error(L, "not enough memory");
    }
    if (lua_getfield(L, index, "headers") == LUA_TTABLE) {
        headers_add(L, exchange);
    } else if (!lua_isnil(L, -1)) {
        lig_error_usage(L, "an answer's headers are a table");
    }
}
