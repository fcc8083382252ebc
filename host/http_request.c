/* http_request.c: reads what a script asks for into a transfer.
 *
 * Whatever could surprise is refused here, before anything is sent: a way that others can
 * read, a header that ends early, an option that does not exist.
 */
#include "http.h"
#include "sys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TIMEOUT_S 60.0
#define CONNECT_TIMEOUT_S 5.0
#define TIMEOUT_MOST_S 1e6
#define SIZE_LIMIT_BYTES (64 << 20)

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

/* What every request says besides; libcurl's own additions are none of it. */
static bool headers_default(lig_http_transfer *t, bool has_type, bool has_agent, bool has_coding) {
    static const char *const none[] = {"Expect:", "Content-Type:"};
    for (size_t i = 0; i < (has_type ? 1 : 2); i++) {
        struct curl_slist *grown = curl_slist_append(t->headers, none[i]);
        if (grown == NULL) {
            return false;
        }
        t->headers = grown;
    }
    if (!has_coding && !header_append(t, "Accept-Encoding", "gzip")) {
        return false;
    }
    return has_agent || header_append(t, "User-Agent", "ligase/" LIG_VERSION);
}

static void headers_read(lua_State *L, int index, lig_http_transfer *t) {
    bool has_type = false;
    bool has_agent = false;
    bool has_coding = false;
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
        has_coding = has_coding || strcasecmp(name, "Accept-Encoding") == 0;
        added = added && header_append(t, name, value);
        lua_pop(L, 1);
    }
    lua_settop(L, type == LUA_TTABLE ? lua_gettop(L) - 1 : lua_gettop(L) - 2);
    if (!added || !headers_default(t, has_type, has_agent, has_coding)) {
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

void lig_http_request_read(lua_State *L, int index, lig_http_transfer *t, int entry) {
    luaL_checktype(L, index, LUA_TTABLE);
    lig_sys_check_options(L, index, "http.request", request_options);
    const char *method = option_method(L, index);
    const char *proxy = option_text(L, index, "proxy", NULL);
    const char *ca_file = option_text(L, index, "ca_file", NULL);
    url_read(L, index, t, method, proxy != NULL); // url
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
    if (!lig_http_prepare(t, method, proxy, ca_file)) {
        luaL_error(L, "not enough memory");
    }
}
