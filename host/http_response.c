/* http_response.c: what came back, as scripts see it: a response, or why there is none.
 *
 * A failure's field `outcome` decides whether something may be asked for once more:
 * "not_sent" only when no byte of the request left this machine, "unknown" in every other
 * case.
 */
#include "http.h"

#include <stdio.h>
#include <string.h>

#define RESPONSE_CLASS "ligase.http_response"

/* ---- failures ----------------------------------------------------------- */

struct reason {
    const char *code, *message, *hint;
};

static const struct reason reason_resolve = {"resolve", "the host's name has no address",
                                             "Check the name, and this machine's network"};
static const struct reason reason_connect = {
    "connect", "cannot connect", "Does the service run there, and may this machine reach it?"};
static const struct reason reason_tls = {
    "tls", "no trusted connection",
    "Check this machine's clock and CA certificates; ca_file names a CA of your own"};
static const struct reason reason_reset = {
    "reset", "the connection ended before the whole answer had come", NULL};
static const struct reason reason_truncated = {"truncated", "the answer is shorter than announced",
                                               NULL};
static const struct reason reason_protocol = {"protocol", "the answer is not proper HTTP",
                                              "Is this the address of the service?"};
static const struct reason reason_encoding = {
    "protocol", "the body is not packed as gzip, or in another way", NULL};
static const struct reason reason_headers = {"size", "the answer's headers are too large", NULL};
static const struct reason reason_elsewhere = {
    "refused_scheme", "http:// is refused: the name leads to another machine",
    "Use https://, or say plain = true where the network between is trusted"};
static const struct reason reason_other = {"other", "the request failed", NULL};

static const struct reason *reason_of_code(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return &reason_resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_PROXY:
        return &reason_connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return &reason_tls;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return &reason_reset;
    case CURLE_PARTIAL_FILE:
        return &reason_truncated;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return &reason_protocol;
    default:
        return &reason_other;
    }
}

static void reason_push(lua_State *L, const lig_http_transfer *t, const char *what) {
    const struct reason *reason = NULL;
    switch (t->stop) {
    case LIG_HTTP_TOO_LARGE:
        lig_error_push(L, LIG_KIND_NETWORK, "size", "%s: the answer is larger than %llu bytes",
                       what, (unsigned long long)t->size_limit);
        lig_error_string(L, "hint", "Set size_limit_bytes if that much is expected");
        return;
    case LIG_HTTP_CANNOT_WRITE:
        lig_error_push(L, LIG_KIND_NETWORK, "write", "%s: cannot write %s: %s", what, t->path,
                       strerror(t->error));
        lig_error_string(L, "path", t->path);
        lig_error_integer(L, "errno", t->error);
        return;
    case LIG_HTTP_LONG_HEADERS:
        reason = &reason_headers;
        break;
    case LIG_HTTP_BAD_ENCODING:
        reason = &reason_encoding;
        break;
    case LIG_HTTP_CUT_SHORT:
        reason = &reason_truncated;
        break;
    case LIG_HTTP_SENT_ONCE:
        reason = &reason_reset;
        break;
    case LIG_HTTP_ELSEWHERE:
        reason = t->sent ? NULL : &reason_elsewhere;
        break;
    default:
        break;
    }
    if (reason == NULL && t->code == CURLE_OPERATION_TIMEDOUT) {
        lig_error_push(
            L, LIG_KIND_NETWORK, "timeout",
            t->sent ? "%s: no complete answer within %g s" : "%s: no connection within %g s", what,
            t->sent || t->timeout_s < t->connect_timeout_s ? t->timeout_s : t->connect_timeout_s);
        return;
    }
    reason = reason != NULL ? reason : reason_of_code(t->code);
    lig_error_push(L, LIG_KIND_NETWORK, reason->code, "%s: %s", what, reason->message);
    lig_error_string(L, "hint", reason->hint);
    bool told = t->stop == LIG_HTTP_GOES_ON && t->reason[0] != '\0';
    lig_error_string(L, "detail", told ? t->reason : NULL);
}

void lig_http_error_push(lua_State *L, const lig_http_transfer *t, const char *what,
                         const char *url) {
    reason_push(L, t, what);
    lig_error_string(L, "url", url);
    lig_error_string(L, "outcome", t->sent ? "unknown" : "not_sent");
    if (t->status > 0) {
        lig_error_integer(L, "status", t->status);
    }
}

/* ---- responses ---------------------------------------------------------- */

/* Pushes a header's value; libcurl 7.88 gives an empty one as "\r". */
static void header_value_push(lua_State *L, const char *value) {
    size_t length = strlen(value);
    while (length > 0 && strchr("\r\n\t ", value[length - 1]) != NULL) {
        length--;
    }
    lua_pushlstring(L, value, length);
}

/* Pushes the headers by lower-case name. */
static void headers_push(lua_State *L, CURL *easy) {
    lua_newtable(L);
    struct curl_header *header = NULL;
    while ((header = curl_easy_nextheader(easy, CURLH_HEADER, -1, header)) != NULL) {
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        for (const char *c = header->name; *c != '\0'; c++) {
            luaL_addchar(&b, *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c);
        }
        luaL_pushresult(&b); // headers name
        lua_pushvalue(L, -1);
        bool is_repeated = lua_rawget(L, -3) == LUA_TSTRING; // headers name before
        header_value_push(L, header->value);
        if (is_repeated) {
            lua_pushfstring(L, "%s, %s", lua_tostring(L, -2), lua_tostring(L, -1));
            lua_remove(L, -2);
        }
        lua_remove(L, -2); // headers name value
        lua_rawset(L, -3);
    }
}

void lig_http_response_push(lua_State *L, const lig_http_transfer *t, int entry) {
    lua_createtable(L, 0, 8);
    luaL_setmetatable(L, RESPONSE_CLASS);
    lua_pushinteger(L, t->status);
    lua_setfield(L, -2, "status");
    headers_push(L, t->easy);
    lua_setfield(L, -2, "headers");
    if (!t->body_is_streamed) {
        lua_pushlstring(L, t->answer != NULL ? t->answer : "", t->answer_length);
        lua_setfield(L, -2, "body");
    } else if (t->path != NULL) {
        lua_getfield(L, entry, "to");
        lua_setfield(L, -2, "path");
    }
    lua_getfield(L, entry, "url");
    lua_setfield(L, -2, "url");
    lua_getfield(L, entry, "method");
    lua_setfield(L, -2, "method");
    lua_pushnumber(L, t->seconds);
    lua_setfield(L, -2, "seconds");
    lua_pushinteger(L, (lua_Integer)t->received);
    lua_setfield(L, -2, "bytes");
}

/* Response's one line: "GET https://host/path: 200, application/json, 5120 bytes, 0.12 s". */
static int response_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "method");
    lua_getfield(L, 1, "url");
    lua_getfield(L, 1, "status");
    lua_getfield(L, 1, "bytes");
    lua_getfield(L, 1, "seconds"); // response method url status bytes seconds
    const char *type = NULL;
    if (lua_getfield(L, 1, "headers") == LUA_TTABLE) {
        lua_getfield(L, -1, "content-type");
        type = lua_tostring(L, -1);
    }
    char numbers[64];
    (void)snprintf(numbers, sizeof numbers, "%lld bytes, %.3g s", (long long)lua_tointeger(L, 5),
                   lua_tonumber(L, 6));
    lua_pushfstring(L, "%s %s: %I%s%s, %s", lua_tostring(L, 2), lua_tostring(L, 3),
                    (LUAI_UACINT)lua_tointeger(L, 4), type != NULL ? ", " : "",
                    type != NULL ? type : "", numbers);
    return 1;
}

void lig_http_response_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__tostring", response_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{NULL, NULL}};
    lig_class_new(L, RESPONSE_CLASS, methods, meta);
    luaL_getmetatable(L, RESPONSE_CLASS);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "response_methods"); // what responses can do besides is added in Lua
    lua_pop(L, 1);
}
