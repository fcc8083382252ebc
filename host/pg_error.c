/* pg_error.c: what Postgres refused, as an error table.
 *
 * code is the SQLSTATE.  Passwords are masked wherever SQL text or libpq's own
 * messages are shown; parameters are never shown at all.
 */
#include "pg.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define STATEMENT_LIMIT 4000 /* bytes of SQL text kept in an error */
#define MASK "***"

/* ---- secrets ------------------------------------------------------------ */

static bool is_quote(char c) {
    return c == '\'' || c == '"';
}

/* The end of the quoted text that begins at p; backslashes escape in E'...'. */
static const char *quoted_end(const char *p, bool escapes) {
    char quote = *p++;
    while (*p != '\0') {
        if (escapes && *p == '\\' && p[1] != '\0') {
            p += 2;
        } else if (*p == quote && p[1] == quote) {
            p += 2;
        } else if (*p == quote) {
            return p + 1;
        } else {
            p++;
        }
    }
    return p;
}

/* After the word "password" at `word`: appends it with what introduces the secret,
 * then a mask in place of the secret if there is one; returns where to go on. */
static const char *password_mask(luaL_Buffer *b, const char *word) {
    const char *p = word + strlen("password");
    bool assigned = false;
    while (isspace((unsigned char)*p) || *p == '=') {
        assigned = assigned || *p == '=';
        p++;
    }
    bool prefixed = (*p == 'E' || *p == 'e') && p[1] == '\'';
    luaL_addlstring(b, word, (size_t)(p - word));
    if (is_quote(*p) || prefixed) {
        luaL_addstring(b, "'" MASK "'");
        return quoted_end(prefixed ? p + 1 : p, prefixed);
    }
    if (*p == '$' && !isdigit((unsigned char)p[1])) { // dollar quotes
        luaL_addstring(b, MASK);
        return p + strlen(p);
    }
    if (assigned && *p != '$' && *p != '\0') { // password=secret inside a connection string
        luaL_addstring(b, MASK);
        while (*p != '\0' && !isspace((unsigned char)*p) && !is_quote(*p) && *p != '&') {
            p++;
        }
    }
    return p;
}

/* After "://" at `p`: the same for user:password@. */
static const char *authority_mask(luaL_Buffer *b, const char *p) {
    const char *start = p + strlen("://");
    size_t span = strcspn(start, " \t\r\n'\"/");
    const char *at = memrchr(start, '@', span);
    const char *colon = memchr(start, ':', span);
    if (at == NULL || colon == NULL || colon > at) {
        luaL_addlstring(b, p, (size_t)(start - p));
        return start;
    }
    luaL_addlstring(b, p, (size_t)(colon + 1 - p));
    luaL_addstring(b, MASK);
    return at;
}

/* Cuts at the limit, never inside a UTF-8 sequence. */
static size_t text_cut(const char *text, size_t length, size_t limit) {
    if (length <= limit) {
        return length;
    }
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80) {
        limit--;
    }
    return limit;
}

void lig_sql_push_masked(lua_State *L, const char *sql, size_t limit) {
    bool suspicious = strcasestr(sql, "password") != NULL || strstr(sql, "://") != NULL;
    if (suspicious) {
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        for (const char *p = sql; *p != '\0';) {
            if (strncasecmp(p, "password", 8) == 0) {
                p = password_mask(&b, p);
            } else if (strncmp(p, "://", 3) == 0) {
                p = authority_mask(&b, p);
            } else {
                luaL_addchar(&b, *p);
                p++;
            }
        }
        luaL_pushresult(&b);
    } else {
        lua_pushlstring(L, sql, text_cut(sql, strlen(sql), limit));
    }
    size_t length = 0;
    const char *text = lua_tolstring(L, -1, &length);
    if (text_cut(text, length, limit) < length) {
        lua_pushlstring(L, text, text_cut(text, length, limit));
        lua_remove(L, -2);
    }
}

/* ---- messages ----------------------------------------------------------- */

void lig_pg_target_push(lua_State *L, const PGconn *pg) {
    const char *host = PQhost(pg);
    const char *port = PQport(pg);
    const char *db = PQdb(pg);
    const char *user = PQuser(pg);
    if (host == NULL || *host == '\0') {
        host = "the default host";
    }
    lua_pushfstring(L, "database \"%s\" at %s:%s as user \"%s\"", db != NULL ? db : "", host,
                    port != NULL ? port : "", user != NULL ? user : "");
}

void lig_pg_message_push(lua_State *L, PGconn *pg, const char *message) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    size_t length = strlen(message);
    while (length > 0 && isspace((unsigned char)message[length - 1])) {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        if (message[i] == '\n') {
            luaL_addstring(&b, "; ");
            while (i + 1 < length && isspace((unsigned char)message[i + 1])) {
                i++;
            }
        } else {
            luaL_addchar(&b, message[i]);
        }
    }
    luaL_pushresult(&b);
    // libpq never prints it; a server's message might.  Very short ones would only
    // riddle the text.
    const char *password = PQpass(pg);
    if (password != NULL && strlen(password) >= 4) {
        luaL_gsub(L, lua_tostring(L, -1), password, MASK);
        lua_remove(L, -2);
    }
}

/* libpq explains a lost connection in three lines; the first one says it. */
static void first_line_push(lua_State *L, PGconn *pg, const char *message) {
    lua_pushlstring(L, message, strcspn(message, "\n"));
    lig_pg_message_push(L, pg, lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* ---- error tables ------------------------------------------------------- */

static void field_copy(lua_State *L, const PGresult *result, int code, const char *field) {
    const char *value = PQresultErrorField(result, code);
    if (value != NULL) {
        lig_error_string(L, field, value);
    }
}

static void statement_set(lua_State *L, const char *sql) {
    if (sql != NULL) {
        lig_sql_push_masked(L, sql, STATEMENT_LIMIT);
        lua_setfield(L, -2, "statement");
    }
}

/* What the server said. */
static void server_error_push(lua_State *L, const PGresult *result, const char *sqlstate) {
    lig_error_push(L, LIG_KIND_DATABASE, sqlstate, "%s", "");
    field_copy(L, result, PG_DIAG_MESSAGE_PRIMARY, "message"); // of any length
    field_copy(L, result, PG_DIAG_MESSAGE_DETAIL, "detail");
    field_copy(L, result, PG_DIAG_MESSAGE_HINT, "hint");
    field_copy(L, result, PG_DIAG_CONTEXT, "context");
    field_copy(L, result, PG_DIAG_CONSTRAINT_NAME, "constraint");
    field_copy(L, result, PG_DIAG_TABLE_NAME, "table_name");
    field_copy(L, result, PG_DIAG_COLUMN_NAME, "column_name");
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    if (position != NULL && lua_stringtonumber(L, position) != 0) {
        lua_setfield(L, -2, "position");
    }
}

/* What libpq said: the connection was lost, or it ran out of memory. */
static void client_error_push(lua_State *L, PGconn *pg, const PGresult *result) {
    const char *said = result != NULL ? PQresultErrorMessage(result) : "";
    if (*said == '\0') {
        said = PQerrorMessage(pg);
    }
    first_line_push(L, pg, *said != '\0' ? said : "no reply"); // said
    lig_pg_target_push(L, pg);                                 // said target
    if (PQstatus(pg) == CONNECTION_BAD) {
        lig_error_push(L, LIG_KIND_DATABASE, LIG_STATE_LOST, "the connection to %s was lost: %s",
                       lua_tostring(L, -1), lua_tostring(L, -2)); // said target error
        lig_error_string(L, "hint", "Connect again; what was not committed is gone");
    } else {
        lig_error_push(L, LIG_KIND_DATABASE, "XX000", "libpq: %s",
                       lua_tostring(L, -2)); // said target error
    }
    lua_replace(L, -3); // error target
    lua_pop(L, 1);
}

void lig_pg_error_push(lua_State *L, PGconn *pg, const PGresult *result, const char *sql) {
    luaL_checkstack(L, 8, "no room for an error");
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate != NULL) {
        server_error_push(L, result, sqlstate);
    } else {
        client_error_push(L, pg, result);
        lua_getfield(L, -1, "code");
        sqlstate = lua_tostring(L, -1); // stays anchored in the error table
        lua_pop(L, 1);
    }
    lig_error_string(L, "sqlstate", sqlstate);
    statement_set(L, sql);
}

_Noreturn void lig_pg_raise_result(lua_State *L, PGconn *pg, const PGresult *result,
                                   const char *sql) {
    lig_pg_error_push(L, pg, result, sql);
    lig_error_raise(L);
}

_Noreturn void lig_pg_raise_conn(lua_State *L, PGconn *pg, const char *sql) {
    lig_pg_raise_result(L, pg, NULL, sql);
}
