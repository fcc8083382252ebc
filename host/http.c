/* http.c: the module "http": requests over HTTP and HTTPS.
 *
 * The binding of http_transfer.c and http_pool.c.  Any status is an answer; what fails
 * is the way there and back.  What an answer means, and whether to ask again, is decided
 * in Lua.
 */
#include "http.h"
#include "sys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POOL_CLASS "ligase.http_pool"
#define REQUEST_CLASS "ligase.http_request"
#define RESPONSE_CLASS "ligase.http_response"

#define CONNECTIONS 8
#define CONNECTIONS_MOST 256
#define TIMEOUT_S 60.0
#define CONNECT_TIMEOUT_S 5.0
#define TIMEOUT_MOST_S 1e6
#define SIZE_LIMIT_BYTES (64 << 20)
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

/* ---- reading a request -------------------------------------------------- */

static const char *const request_options[] = {"url",
                                              "method",
                                              "headers",
                                              "body",
                                              "timeout_s",
                                              "connect_timeout_s",
                                              "size_limit_bytes",
                                              "to",
                                              "on_chunk",
                                              "fresh",
                                              "resend",
                                              "plain",
                                              "proxy",
                                              "ca_file",
                                              NULL};

/* A text of the request at 1, or NULL; it stays there, so the pointer is good. */
static const char *option_text(lua_State *L, int index, const char *name, size_t *length) {
    int type = lua_getfield(L, index, name);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    if (type != LUA_TSTRING) {
        lig_error_usage(L, "http: %s must be a string, not a %s", name, luaL_typename(L, -1));
    }
    size_t size = 0;
    const char *text = lua_tolstring(L, -1, &size);
    if (length != NULL) {
        *length = size;
    } else if (size == 0 || strlen(text) != size) {
        lig_error_usage(L, "http: %s is empty or holds a NUL byte", name);
    }
    lua_pop(L, 1);
    return text;
}

static double option_seconds(lua_State *L, int index, const char *name, double usual) {
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        usual = lua_tonumber(L, -1);
        if (lua_type(L, -1) != LUA_TNUMBER || !(usual > 0 && usual <= TIMEOUT_MOST_S)) {
            lig_error_usage(L, "http: %s must be a number of seconds above 0", name);
        }
    }
    lua_pop(L, 1);
    return usual;
}

/* 0 or 1, or -1 when nothing is said. */
static int option_flag(lua_State *L, int index, const char *name) {
    int flag = -1;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        if (!lua_isboolean(L, -1)) {
            lig_error_usage(L, "http: %s must be true or false", name);
        }
        flag = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
    return flag;
}

static const char *option_method(lua_State *L, int index) {
    const char *method = option_text(L, index, "method", NULL);
    if (method == NULL) {
        return "GET";
    }
    if (strlen(method) > 16 || strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(method) ||
        strcmp(method, "CONNECT") == 0 || strcmp(method, "TRACE") == 0) {
        lig_error_usage(L, "http: '%s' is no method; one is written in capitals: GET, POST, ...",
                        method);
    }
    return method;
}

/* Whether asking twice comes to the same as asking once. */
static bool method_is_repeatable(const char *method) {
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void header_check(lua_State *L, const char *name, size_t name_length, const char *value,
                         size_t value_length) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789!#$%&'*+-.^_`|~";
    if (name_length == 0 || strspn(name, letters) != name_length) {
        lig_error_usage(L, "http: a header's name is empty or holds a character that is not "
                           "allowed there");
    }
    if (strlen(value) != value_length || strpbrk(value, "\r\n") != NULL) {
        lig_error_usage(L, "http: the value of header '%s' holds a line end or a NUL byte", name);
    }
    if (strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0) {
        lig_error_usage(L, "http: header '%s' follows from the body and cannot be set", name);
    }
}

/* Adds "name: value", or an empty one ("name;" in libcurl's own language). */
static bool header_append(lig_http_transfer *t, const char *name, const char *value) {
    char *line = NULL;
    int length =
        *value != '\0' ? asprintf(&line, "%s: %s", name, value) : asprintf(&line, "%s;", name);
    struct curl_slist *grown = length < 0 ? NULL : curl_slist_append(t->headers, line);
    if (length >= 0) {
        free(line);
    }
    if (grown != NULL) {
        t->headers = grown;
    }
    return grown != NULL;
}

/* libcurl's own additions: none that the script did not ask for. */
static bool headers_default(lig_http_transfer *t, bool has_type, bool has_agent) {
    static const char *const none[] = {"Expect:", "Content-Type:"};
    for (size_t i = 0; i < (has_type ? 1 : 2); i++) {
        struct curl_slist *grown = curl_slist_append(t->headers, none[i]);
        if (grown == NULL) {
            return false;
        }
        t->headers = grown;
    }
    return has_agent || header_append(t, "User-Agent", "ligase/" LIG_VERSION);
}

static void headers_read(lua_State *L, int index, lig_http_transfer *t) {
    bool has_type = false;
    bool has_agent = false;
    bool added = true;
    int type = lua_getfield(L, index, "headers");
    if (type != LUA_TNIL && type != LUA_TTABLE) {
        lig_error_usage(L, "http: headers must be a table {[\"Name\"] = \"value\"}");
    }
    lua_pushnil(L); // headers name
    while (type == LUA_TTABLE && lua_next(L, -2) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            lig_error_usage(L, "http: headers must be strings by name: {[\"Name\"] = \"value\"}");
        }
        size_t name_length = 0;
        size_t value_length = 0;
        const char *name = lua_tolstring(L, -2, &name_length);
        const char *value = lua_tolstring(L, -1, &value_length);
        header_check(L, name, name_length, value, value_length);
        has_type = has_type || strcasecmp(name, "Content-Type") == 0;
        has_agent = has_agent || strcasecmp(name, "User-Agent") == 0;
        added = added && header_append(t, name, value);
        lua_pop(L, 1);
    }
    lua_settop(L, type == LUA_TTABLE ? lua_gettop(L) - 1 : lua_gettop(L) - 2);
    if (!added || !headers_default(t, has_type, has_agent)) {
        luaL_error(L, "not enough memory");
    }
}

/* Pushes the URL as people may see it: without user, password and the query's values. */
static void url_push(lua_State *L, CURLU *url) {
    char *text = NULL;
    CURLU *shown = curl_url_dup(url);
    bool has_query = false;
    if (shown != NULL) {
        has_query = curl_url_get(shown, CURLUPART_QUERY, &text, 0) == CURLUE_OK;
        curl_free(text);
        text = NULL;
        (void)curl_url_set(shown, CURLUPART_USER, NULL, 0);
        (void)curl_url_set(shown, CURLUPART_PASSWORD, NULL, 0);
        (void)curl_url_set(shown, CURLUPART_QUERY, NULL, 0);
        (void)curl_url_set(shown, CURLUPART_FRAGMENT, NULL, 0);
        (void)curl_url_get(shown, CURLUPART_URL, &text, 0);
        curl_url_cleanup(shown);
    }
    char shortened[1024];
    (void)snprintf(shortened, sizeof shortened, "%s%s", text != NULL ? text : "(a URL)",
                   has_query ? "?..." : "");
    curl_free(text);
    lua_pushstring(L, shortened);
}

static _Noreturn void scheme_refuse(lua_State *L, const char *method, const char *url,
                                    const char *why, const char *hint) {
    lig_error_push(L, LIG_KIND_NETWORK, "refused_scheme", "%s %s: %s", method, url, why);
    lig_error_string(L, "hint", hint);
    lig_error_string(L, "url", url);
    lig_error_string(L, "outcome", "not_sent");
    lig_error_raise(L);
}

/* Takes part of the parsed URL; "" when it has none. */
static void url_part(CURLU *url, CURLUPart part, char *out, size_t room) {
    char *text = NULL;
    out[0] = '\0';
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK) {
        (void)snprintf(out, room, "%s", text);
        curl_free(text);
    }
}

/* Parses the URL and says no where the way is not safe; pushes the URL to be shown. */
static void url_read(lua_State *L, int index, lig_http_transfer *t, const char *method,
                     bool has_proxy) {
    const char *text = option_text(L, index, "url", NULL);
    if (text == NULL) {
        lig_error_usage(L, "http: the request has no url");
    }
    CURLUcode bad = curl_url_set(t->url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (bad != CURLUE_OK) {
        lig_error_usage(L, "http: the URL cannot be read (%s)", curl_url_strerror(bad));
    }
    char scheme[16];
    char host[256];
    url_part(t->url, CURLUPART_SCHEME, scheme, sizeof scheme);
    url_part(t->url, CURLUPART_HOST, host, sizeof host);
    url_push(L, t->url);
    const char *shown = lua_tostring(L, -1);
    if (strcmp(scheme, "https") == 0) {
        return;
    }
    if (strcmp(scheme, "http") != 0) {
        scheme_refuse(L, method, shown, "only https:// and http:// are spoken here", NULL);
    }
    if (option_flag(L, index, "plain") == 1) {
        return;
    }
    if (has_proxy || !lig_http_host_is_loopback(host)) {
        scheme_refuse(L, method, shown, "http:// is refused: anybody on the way could read it",
                      "Use https://, or say plain = true where the network between is trusted");
    }
    t->loopback_only = true;
}

static void limits_read(lua_State *L, int index, lig_http_transfer *t, const char *method) {
    t->timeout_s = option_seconds(L, index, "timeout_s", TIMEOUT_S);
    t->connect_timeout_s = option_seconds(L, index, "connect_timeout_s", CONNECT_TIMEOUT_S);
    t->size_limit = SIZE_LIMIT_BYTES;
    if (lua_getfield(L, index, "size_limit_bytes") != LUA_TNIL) {
        lua_Number limit = lua_tonumber(L, -1);
        if (lua_type(L, -1) != LUA_TNUMBER || !(limit >= 0 && limit <= 0x1p53)) {
            lig_error_usage(L, "http: size_limit_bytes must be a number of bytes");
        }
        t->size_limit = (uint64_t)limit;
    }
    lua_pop(L, 1);
    bool is_repeatable = method_is_repeatable(method);
    int fresh = option_flag(L, index, "fresh");
    t->own_connection = fresh >= 0 ? fresh == 1 : !is_repeatable;
    t->once = option_flag(L, index, "resend") == 0 || !is_repeatable;
}

/* What becomes of the body of a 2xx; the entry at the top of the stack keeps it. */
static void sink_read(lua_State *L, int index, lig_http_transfer *t, int entry) {
    const char *path = option_text(L, index, "to", NULL);
    if (path != NULL) {
        t->path = strdup(path);
        if (t->path == NULL) {
            luaL_error(L, "not enough memory");
        }
        lua_getfield(L, index, "to");
        lua_setfield(L, entry, "to");
    }
    int type = lua_getfield(L, index, "on_chunk");
    if (type != LUA_TNIL && type != LUA_TFUNCTION) {
        lig_error_usage(L, "http: on_chunk must be a function, not a %s", luaL_typename(L, -1));
    }
    lua_setfield(L, entry, "on_chunk");
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
static request *request_read(lua_State *L, int index, pool *p) {
    luaL_checktype(L, index, LUA_TTABLE);
    lig_sys_check_options(L, index, "http", request_options);
    request *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (request){.transfer = NULL};
    luaL_setmetatable(L, REQUEST_CLASS);
    lua_createtable(L, 0, 6);
    int entry = lua_gettop(L);
    lig_http_transfer *t = r->transfer = lig_http_new();
    if (t == NULL) {
        luaL_error(L, "not enough memory");
    }
    const char *method = option_method(L, index);
    const char *proxy = option_text(L, index, "proxy", NULL);
    const char *ca_file = option_text(L, index, "ca_file", NULL);
    url_read(L, index, t, method, proxy != NULL); // box entry url
    lua_pushfstring(L, "%s %s", method, lua_tostring(L, -1));
    lua_setfield(L, entry, "what");
    lua_setfield(L, entry, "url");
    lua_pushstring(L, method);
    lua_setfield(L, entry, "method");
    t->body = option_text(L, index, "body", &t->body_length);
    if (t->body != NULL && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)) {
        lig_error_usage(L, "http: a %s has no body", method);
    }
    lua_getfield(L, index, "body");
    lua_setfield(L, entry, "body");
    limits_read(L, index, t, method);
    sink_read(L, index, t, entry);
    headers_read(L, index, t);
    if (lua_getfield(L, entry, "on_chunk") == LUA_TFUNCTION) {
        t->take = chunk_take;
        t->context = p;
    }
    lua_pop(L, 1);
    if (!lig_http_prepare(t, method, proxy, ca_file)) {
        luaL_error(L, "not enough memory");
    }
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

/* ---- answers ------------------------------------------------------------ */

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

static void response_push(lua_State *L, const lig_http_transfer *t, int entry) {
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

/* Pushes the response and returns true, or the failure. */
static bool outcome_push(lua_State *L, const lig_http_transfer *t, int entry) {
    if (lua_getfield(L, entry, "failure") != LUA_TNIL) {
        return false;
    }
    lua_pop(L, 1);
    if (lig_http_is_answered(t)) {
        response_push(L, t, entry);
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

/* ---- functions ---------------------------------------------------------- */

/* http.request{url=, method="GET", headers=, body=, timeout_s=60, connect_timeout_s=5,
 * size_limit_bytes=, to=, on_chunk=, fresh=, resend=, plain=, proxy=, ca_file=} -> response
 * {status, headers, body, url, method, seconds, bytes, path}.  Raises "network" when there
 * is no whole answer. */
static int http_request(lua_State *L) {
    lua_settop(L, 1);
    pool *p = pool_shared(L);           // request pool
    request *r = request_read(L, 1, p); // request pool box entry
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
    request *r = request_read(L, 2, p);           // pool request tag box entry
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
    static const luaL_Reg response_meta[] = {{"__tostring", response_tostring}, {NULL, NULL}};
    static const luaL_Reg response_methods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"request", http_request}, {"get", http_get},   {"head", http_head},
        {"delete", http_delete},   {"post", http_post}, {"put", http_put},
        {"patch", http_patch},     {"pool", http_pool}, {NULL, NULL}};
    lig_class_new(L, POOL_CLASS, pool_methods, pool_meta);
    lig_class_new(L, REQUEST_CLASS, NULL, request_meta);
    lig_class_new(L, RESPONSE_CLASS, response_methods, response_meta);
    luaL_newlib(L, functions);
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "version");
    luaL_getmetatable(L, RESPONSE_CLASS);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "response_methods"); // what answers can do besides is added in Lua
    lua_pop(L, 1);
    return 1;
}
