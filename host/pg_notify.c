/* pg_notify.c: LISTEN and NOTIFY.
 *
 * The server delivers a notification when the transaction that sent it has
 * committed, and only to a listener that is outside a transaction.
 */
#include "pg.h"

#include <poll.h>
#include <string.h>

void lig_identifier_push(lua_State *L, int index) {
    size_t length = 0;
    const char *name = luaL_checklstring(L, index, &length);
    if (length == 0 || memchr(name, '\0', length) != NULL) {
        lig_error_usage(L, "a name cannot be empty or contain a NUL byte");
    }
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addchar(&b, '"');
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '"') {
            luaL_addchar(&b, '"');
        }
        luaL_addchar(&b, name[i]);
    }
    luaL_addchar(&b, '"');
    luaL_pushresult(&b);
}

static int channel_command(lua_State *L, const char *command) {
    (void)lig_conn_get(L, 1);
    lua_settop(L, 2);
    lig_identifier_push(L, 2);
    lua_pushfstring(L, "%s %s", command, lua_tostring(L, 3));
    lig_conn_command(L, 1, lua_tostring(L, 4));
    return 0;
}

/* conn:listen(channel) */
int lig_conn_listen(lua_State *L) {
    return channel_command(L, "LISTEN");
}

/* conn:unlisten(channel) */
int lig_conn_unlisten(lua_State *L) {
    return channel_command(L, "UNLISTEN");
}

/* conn:notify(channel, payload) */
int lig_conn_notify(lua_State *L) {
    lua_settop(L, 3);
    (void)luaL_checkstring(L, 2);
    if (lua_isnil(L, 3)) {
        lua_pushliteral(L, "");
        lua_replace(L, 3);
    }
    lua_pushliteral(L, "SELECT pg_notify($1, $2)");
    lua_insert(L, 2);
    (void)lig_conn_query(L);
    return 0;
}

/* Pushes the next notification that has arrived; false when there is none. */
static bool notification_push(lua_State *L, lig_conn *conn) {
    if (conn->notification == NULL) { // else a raise kept it from being pushed before
        conn->notification = PQnotifies(conn->pg);
    }
    if (conn->notification == NULL) {
        return false;
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, conn->notification->relname);
    lua_setfield(L, -2, "channel");
    lua_pushstring(L, conn->notification->extra);
    lua_setfield(L, -2, "payload");
    lua_pushinteger(L, conn->notification->be_pid);
    lua_setfield(L, -2, "pid");
    PQfreemem(conn->notification);
    conn->notification = NULL;
    return true;
}

/* conn:wait_notification(timeout_s) -> {channel, payload, pid}, or nil when the time
 * is over; without a time limit waits for ever. */
int lig_conn_wait_notification(lua_State *L) {
    PGconn *pg = lig_conn_idle(L, 1);
    lig_conn *conn = lua_touserdata(L, 1);
    double until_s = 0;
    if (!lua_isnoneornil(L, 2)) {
        lua_Number timeout_s = luaL_checknumber(L, 2);
        if (!(timeout_s >= 0)) {
            lig_error_usage(L, "the time limit must be a number of seconds, 0 or more");
        }
        until_s = lig_pg_clock() + timeout_s;
    }
    for (;;) {
        if (!PQconsumeInput(pg)) {
            lig_pg_raise_conn(L, pg, NULL);
        }
        if (notification_push(L, conn)) {
            return 1;
        }
        switch (lig_pg_poll(pg, POLLIN, until_s)) {
        case LIG_PG_TIMEOUT:
            return 0;
        case LIG_PG_INTERRUPTED:
            lig_interrupt_check(L);
            break;
        default:
            break;
        }
    }
}
