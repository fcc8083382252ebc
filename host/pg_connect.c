/* pg_connect.c: from a connection string to an open session.
 *
 * Connecting is done step by step so that a signal or the time limit can end it.
 * A password must not reach a message: libpq quotes the offending part of a
 * string that it cannot read, which may be one, so those quotes are not passed on.
 */
#include "pg.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_S 5.0
#define KEYWORDS_MAX 64

/* Exact floats, bytea and timestamps in the one form that is decoded, and string
 * literals that mean what they say, whatever the server's defaults are. */
#define SESSION_SETUP                                                                              \
    "SET standard_conforming_strings = on; SET extra_float_digits = 1; "                           \
    "SET bytea_output = hex; SET datestyle = ISO"

typedef struct keywords {
    const char *names[KEYWORDS_MAX + 1];
    const char *values[KEYWORDS_MAX + 1];
    int count;
} keywords;

static void keyword_add(lua_State *L, keywords *k, const char *name, const char *value) {
    if (k->count == KEYWORDS_MAX) {
        lig_error_usage(L, "too many connection settings");
    }
    k->names[k->count] = name;
    k->values[k->count] = value;
    k->count++;
    k->names[k->count] = NULL;
    k->values[k->count] = NULL;
}

/* ---- reading the connection string -------------------------------------- */

typedef struct conninfo_box {
    PQconninfoOption *options;
    char *problem;
} conninfo_box;

static int conninfo_release(lua_State *L) {
    conninfo_box *box = lua_touserdata(L, 1);
    PQconninfoFree(box->options);
    PQfreemem(box->problem);
    box->options = NULL;
    box->problem = NULL;
    return 0;
}

static conninfo_box *conninfo_new(lua_State *L) {
    conninfo_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->options = NULL;
    box->problem = NULL;
    if (luaL_newmetatable(L, "ligase.conninfo")) {
        lua_pushcfunction(L, conninfo_release);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return box;
}

/* Pushes the text with everything between double quotes left out. */
static void unquoted_push(lua_State *L, const char *text) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    bool inside = false;
    for (const char *p = text; *p != '\0' && *p != '\n'; p++) {
        if (*p == '"') {
            luaL_addstring(&b, inside ? "" : "\"...\"");
            inside = !inside;
        } else if (!inside) {
            luaL_addchar(&b, *p);
        }
    }
    luaL_pushresult(&b);
}

static _Noreturn void conninfo_refuse(lua_State *L, const char *why) {
    lig_error_push(L, LIG_KIND_USAGE, "conninfo", "the connection string cannot be read: %s", why);
    lig_error_string(L, "hint",
                     "Write postgresql://user:password@host:port/database with special characters "
                     "in the password percent-encoded (@ is %40, / is %2F, : is %3A), or "
                     "host=... dbname=...");
    lig_error_raise(L);
}

static bool is_port_list(const char *text) {
    return strspn(text, "0123456789,") == strlen(text);
}

/* A password with an unencoded @ or / spills into the host, the port or the
 * database; better refused here than shown in "could not translate host name". */
static void conninfo_check(lua_State *L, const char *text) {
    conninfo_box *box = conninfo_new(L);
    box->options = PQconninfoParse(text, &box->problem);
    if (box->options == NULL) {
        unquoted_push(L, box->problem != NULL ? box->problem : "out of memory");
        conninfo_refuse(L, lua_tostring(L, -1));
    }
    bool uri = strstr(text, "://") != NULL;
    for (const PQconninfoOption *o = box->options; o->keyword != NULL; o++) {
        if (o->val == NULL) {
            continue;
        }
        if (strcmp(o->keyword, "port") == 0 && !is_port_list(o->val)) {
            conninfo_refuse(L, "the port is not a number");
        }
        if (uri && strchr(o->val, '@') != NULL &&
            (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "dbname") == 0)) {
            conninfo_refuse(L, "there is more than one @");
        }
    }
    lua_pop(L, 1);
}

static void settings_from_string(lua_State *L, int index, keywords *k) {
    size_t length = 0;
    const char *text = lua_tolstring(L, index, &length);
    if (strlen(text) != length) {
        conninfo_refuse(L, "it contains a NUL byte");
    }
    if (strstr(text, "://") != NULL || strchr(text, '=') != NULL) {
        conninfo_check(L, text);
    }
    keyword_add(L, k, "dbname", text); // expanded by libpq when it is more than a name
}

static bool keyword_is_known(const PQconninfoOption *defaults, const char *name) {
    for (const PQconninfoOption *o = defaults; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Values that are no strings are written as text and stay on the stack. */
static void settings_from_table(lua_State *L, int index, keywords *k) {
    conninfo_box *box = conninfo_new(L);
    box->options = PQconndefaults();
    if (box->options == NULL) {
        luaL_error(L, "not enough memory");
    }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) { // ... key value
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (!keyword_is_known(box->options, name)) {
            lua_pushvalue(L, -2);
            lig_error_usage(L,
                            "unknown connection setting \"%s\"; known are host, port, dbname, "
                            "user, password, sslmode and the other names libpq knows",
                            luaL_tolstring(L, -1, NULL));
        }
        if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1)) {
            lig_error_usage(L, "connection setting \"%s\" must be a string or an integer", name);
        }
        luaL_checkstack(L, 8, "too many connection settings");
        size_t length = 0;
        const char *value = luaL_tolstring(L, -1, &length); // ... key value text
        if (strlen(value) != length) {
            lig_error_usage(L, "connection setting \"%s\" contains a NUL byte", name);
        }
        if (strcmp(name, "port") == 0 && !is_port_list(value)) {
            lig_error_usage(L, "connection setting \"port\" is not a number");
        }
        keyword_add(L, k, name, value);
        lua_replace(L, -2); // ... key text
        lua_insert(L, -2);  // ... text key
    }
}

/* ---- connecting --------------------------------------------------------- */

static const char *connect_hint(const char *message) {
    if (strstr(message, "Connection refused") != NULL || strstr(message, "No such file") != NULL) {
        return "Is the server running there? Check host and port";
    }
    if (strstr(message, "password") != NULL) {
        return "Check user and password";
    }
    if (strstr(message, "does not exist") != NULL) {
        return "Check the names of database and user";
    }
    if (strstr(message, "translate host name") != NULL) {
        return "Check the host's name";
    }
    return NULL;
}

/* The socket is closed at once rather than when the box is collected. */
static void connect_drop(lig_conn *conn) {
    PQfinish(conn->pg);
    conn->pg = NULL;
}

/* libpq repeats for every address where it tried; with one address that was said
 * already, and the reason is what comes after it. */
static void connect_reason_push(lua_State *L, PGconn *pg, const char *message) {
    static const char before[] = "connection to server";
    const char *failed = strstr(message, " failed: ");
    bool once = strncmp(message, before, strlen(before)) == 0 && failed != NULL &&
                strstr(message + 1, before) == NULL;
    if (!once) {
        lig_pg_message_push(L, pg, message);
        return;
    }
    const char *reason = failed + strlen(" failed: ");
    if (strncmp(reason, "FATAL:  ", 8) == 0) {
        reason += 8;
    }
    lua_pushlstring(L, reason, strcspn(reason, "\n"));
    lig_pg_message_push(L, pg, lua_tostring(L, -1));
    lua_remove(L, -2);
}

static _Noreturn void connect_fail(lua_State *L, lig_conn *conn, const char *message) {
    lig_pg_target_push(L, conn->pg);
    const char *hint = connect_hint(message);
    connect_reason_push(L, conn->pg, message); // target reason
    connect_drop(conn);
    lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_UNREACHABLE, "cannot connect to %s: %s",
                   lua_tostring(L, -2), lua_tostring(L, -1));
    lig_error_string(L, "sqlstate", LIG_STATE_UNREACHABLE);
    lig_error_string(L, "hint", hint);
    lig_error_raise(L);
}

/* Sends the first packet as far as that needs no waiting, so that the server sets out at
 * once.  What goes wrong is found by who completes it. */
static void connect_begin(const lig_conn *conn) {
    while (PQstatus(conn->pg) != CONNECTION_BAD &&
           PQstatus(conn->pg) != CONNECTION_AWAITING_RESPONSE &&
           lig_pg_poll(conn->pg, POLLOUT, lig_pg_clock()) == LIG_PG_WRITABLE) {
        (void)PQconnectPoll(conn->pg);
    }
}

static void connect_finish(lua_State *L, lig_conn *conn) {
    PGconn *pg = conn->pg;
    double until_s = conn->connect_by_s;
    PostgresPollingStatusType state = PQstatus(pg) == CONNECTION_AWAITING_RESPONSE
                                          ? PGRES_POLLING_READING
                                          : PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || PQstatus(pg) == CONNECTION_BAD) {
            connect_fail(L, conn, PQerrorMessage(pg));
        }
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        switch (lig_pg_poll(pg, events, until_s)) {
        case LIG_PG_READABLE:
        case LIG_PG_WRITABLE:
            state = PQconnectPoll(pg);
            break;
        case LIG_PG_INTERRUPTED:
            connect_drop(conn);
            lig_interrupt_check(L);
            luaL_error(L, "interrupted");
            break;
        case LIG_PG_TIMEOUT:
            lua_pushfstring(L, "no answer within %f s", (lua_Number)conn->connect_timeout_s);
            connect_fail(L, conn, lua_tostring(L, -1));
        }
    }
}

/* Notices may come at any time, even while libpq frees a connection: they are only
 * kept, and nothing here may raise.  Beyond the limit they are dropped. */
static void notice_keep(void *data, const char *message) {
    enum { LIMIT = 64 * 1024 };
    lig_conn *conn = data;
    size_t size = strlen(message) + 1;
    if (conn->notices == NULL) {
        conn->notices = malloc(LIMIT);
        conn->notices_size = 0;
    }
    if (conn->notices != NULL && size <= LIMIT - conn->notices_size) {
        memcpy(conn->notices + conn->notices_size, message, size);
        conn->notices_size += size;
    }
}

static void session_setup(lua_State *L, lig_conn *conn) {
    lig_result *box = lig_result_new(L, 1);
    struct lig_pg_patience patience = {0};
    box->items[0] = lig_pg_command(conn->pg, SESSION_SETUP, &patience);
    if (patience.interrupted) {
        lig_interrupt_check(L);
    }
    if (PQresultStatus(box->items[0]) != PGRES_COMMAND_OK) {
        lig_pg_raise_result(L, conn->pg, box->items[0], SESSION_SETUP);
    }
    lua_pop(L, 1);
}

void lig_conn_complete(lua_State *L, lig_conn *conn) {
    connect_finish(L, conn);
    conn->connect_by_s = 0;
    if (PQsetnonblocking(conn->pg, 1) != 0) {
        lig_pg_raise_conn(L, conn->pg, NULL);
    }
    session_setup(L, conn);
}

/* Reads {echo=, connect_timeout_s=, later=}; leaves nothing on the stack. */
static double options_read(lua_State *L, int index, bool *later) {
    double timeout_s = CONNECT_TIMEOUT_S;
    *later = false;
    if (lua_isnoneornil(L, index)) {
        return timeout_s;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "connect_timeout_s") == 0) {
            timeout_s = lua_tonumber(L, -1);
            if (!(timeout_s > 0 && timeout_s <= 86400)) {
                lig_error_usage(L, "connect_timeout_s must be a number of seconds above 0");
            }
        } else if (strcmp(name, "later") == 0) {
            *later = lua_toboolean(L, -1);
        } else if (strcmp(name, "echo") != 0) {
            lua_pushvalue(L, -2);
            lig_error_usage(L, "unknown option \"%s\"; known are echo, connect_timeout_s and later",
                            luaL_tolstring(L, -1, NULL));
        }
        lua_pop(L, 1);
    }
    return timeout_s;
}

static lig_conn *conn_new(lua_State *L) {
    lig_conn *conn = lua_newuserdatauv(L, sizeof *conn, 2);
    memset(conn, 0, sizeof *conn);
    luaL_setmetatable(L, LIG_CONN_CLASS);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    return conn;
}

/* pg.connect(conninfo, options): conninfo is a URI, a "key=value" string, a database
 * name, a table of settings, or nil for libpq's defaults.  With {later = true} the
 * connection is only begun; the first use of it waits for the rest, and raises what went
 * wrong. */
int lig_pg_connect(lua_State *L) {
    lua_settop(L, 2);
    bool later = false;
    double timeout_s = options_read(L, 2, &later);
    keywords k = {.count = 0};
    lig_conn *conn = conn_new(L);
    if (!lua_isnil(L, 2)) {
        lua_pushcfunction(L, lig_conn_set_echo);
        lua_pushvalue(L, 3);
        lua_getfield(L, 2, "echo");
        lua_call(L, 2, 0);
    }
    // A server that vanished is noticed within a minute; the caller's own settings, which
    // follow, win.  A unix socket knows nothing of it.
    keyword_add(L, &k, "keepalives_idle", "20");
    keyword_add(L, &k, "keepalives_interval", "10");
    keyword_add(L, &k, "keepalives_count", "3");
    keyword_add(L, &k, "tcp_user_timeout", "60000");
    switch (lua_type(L, 1)) {
    case LUA_TSTRING:
        settings_from_string(L, 1, &k);
        break;
    case LUA_TTABLE:
        settings_from_table(L, 1, &k);
        break;
    case LUA_TNIL:
        break;
    default:
        lig_error_usage(L, "pg.connect wants a connection string or a table, not a %s",
                        luaL_typename(L, 1));
    }
    keyword_add(L, &k, "client_encoding", "UTF8");
    keyword_add(L, &k, "fallback_application_name", "ligase");
    conn->pg = PQconnectStartParams(k.names, k.values, 1);
    if (conn->pg == NULL) {
        luaL_error(L, "not enough memory");
    }
    PQsetNoticeProcessor(conn->pg, notice_keep, conn);
    conn->connect_timeout_s = timeout_s;
    conn->connect_by_s = lig_pg_clock() + timeout_s;
    if (later) {
        connect_begin(conn);
    } else {
        lig_conn_complete(L, conn);
    }
    lua_settop(L, 3);
    return 1;
}
