/* coroutine.c: coroutines that an interruption reaches.
 *
 * The handler of a signal arms a hook in the Lua thread that runs.  Which one that is
 * nobody says in Lua 5.4, so resume and wrap of the library "coroutine" are taken over
 * by functions that tell, and otherwise do the same.
 */
#include "lig.h"

#include <lualib.h>

/* Calls the function below its `count` arguments while `thread` is the one that runs.
 * The thread lies on our stack, or is an upvalue of the caller, for as long. */
static int call_in(lua_State *L, lua_State *thread, int count) {
    int base = lua_gettop(L) - count;
    lig_interrupt_move(thread);
    int status = lua_pcall(L, count, LUA_MULTRET, 0);
    lig_interrupt_move(L);
    if (status != LUA_OK) {
        lua_error(L);
    }
    return lua_gettop(L) - base + 1;
}

/* coroutine.resume(thread, ...): as Lua's own. */
static int coroutine_resume(lua_State *L) {
    lua_State *thread = lua_tothread(L, 1);
    int count = lua_gettop(L);
    luaL_checkstack(L, count + 1, "too many arguments to resume");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i); // the thread below them keeps it alive
    }
    return call_in(L, thread != NULL ? thread : L, count);
}

/* What coroutine.wrap gives: Lua's own function, and its thread. */
static int wrapped_call(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    return call_in(L, lua_tothread(L, lua_upvalueindex(2)), lua_gettop(L) - 1);
}

/* coroutine.wrap(fn): as Lua's own. */
static int coroutine_wrap(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    const char *found = lua_getupvalue(L, -1, 1);
    if (found != NULL && lua_type(L, -1) == LUA_TTHREAD) { // so it is in Lua 5.4
        lua_pushcclosure(L, wrapped_call, 2);
    } else if (found != NULL) {
        lua_pop(L, 1);
    }
    return 1;
}

static void take_over(lua_State *L, const char *name, lua_CFunction ours) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, ours, 1);
    lua_setfield(L, -2, name);
}

void lig_coroutine_open(lua_State *L) {
    lua_getglobal(L, LUA_COLIBNAME);
    take_over(L, "resume", coroutine_resume);
    take_over(L, "wrap", coroutine_wrap);
    lua_pop(L, 1);
}
