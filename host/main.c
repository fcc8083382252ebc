/* main.c: the ligase executable.
 *
 * Makes a Lua state with the host's primitives, finds the Lua library that
 * belongs to this executable, and hands the command line to lua/ligase/boot.lua.
 * What the words on the command line mean is decided there, in Lua.
 */
#include "lig.h"

#include <errno.h>
#include <limits.h>
#include <lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- where things lie --------------------------------------------------- */

static bool home_at(const char *folder, char out[PATH_MAX]) {
    char probe[PATH_MAX];
    int n = snprintf(probe, sizeof probe, "%s/lua/ligase/boot.lua", folder);
    return n > 0 && (size_t)n < sizeof probe && access(probe, R_OK) == 0 &&
           realpath(folder, out) != NULL;
}

/* The folder that holds lua/, recipes/ and migrations/: $LIGASE_HOME, or beside
 * build/ligase, or PREFIX/share/ligase for PREFIX/bin/ligase. */
static bool home_find(const char *executable, char out[PATH_MAX]) {
    const char *wanted = getenv("LIGASE_HOME");
    if (wanted != NULL && *wanted != '\0') {
        return home_at(wanted, out);
    }
    static const char *const places[] = {"..", "../..", "../share/ligase"};
    char folder[PATH_MAX + 32];
    const char *slash = strrchr(executable, '/');
    int stem = slash == NULL ? 0 : (int)(slash - executable);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(folder, sizeof folder, "%.*s/%s", stem, executable, places[i]);
        if (home_at(folder, out)) {
            return true;
        }
    }
    return false;
}

/* ---- the "host" module -------------------------------------------------- */

/* host: version, executable, home, null (the one marker of NULL, shared with
 * lua-cjson and pg) and error_metatable. */
int luaopen_lig_host(lua_State *L) {
    char executable[PATH_MAX];
    char home[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    if (length < 0) {
        return luaL_error(L, "cannot read /proc/self/exe");
    }
    executable[length] = '\0';
    if (!home_find(executable, home)) {
        return luaL_error(L,
                          "cannot find the Lua library of %s; keep lua/ beside build/, run "
                          "'make install', or set LIGASE_HOME",
                          executable);
    }
    lua_createtable(L, 0, 5);
    lua_pushliteral(L, LIG_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, executable);
    lua_setfield(L, -2, "executable");
    lua_pushstring(L, home);
    lua_setfield(L, -2, "home");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    luaL_getmetatable(L, "ligase.error");
    lua_setfield(L, -2, "error_metatable");
    return 1;
}

/* ---- running ------------------------------------------------------------ */

static void modules_preload(lua_State *L) {
    static const luaL_Reg modules[] = {{"csv", luaopen_lig_csv},
                                       {"frame", luaopen_lig_frame},
                                       {"dictionary", luaopen_lig_dictionary},
                                       {"line", luaopen_lig_line},
                                       {"pg", luaopen_lig_pg},
                                       {"http", luaopen_lig_http},
                                       {"itemsets", luaopen_lig_itemsets},
                                       {"serve", luaopen_lig_serve},
                                       {"sets", luaopen_lig_sets},
                                       {"sys", luaopen_lig_sys},
                                       {"sqlite", luaopen_lig_sqlite},
                                       {"host", luaopen_lig_host},
                                       {NULL, NULL}};
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    lua_pop(L, 1);
}

/* Puts <home>/lua before the paths Lua knows by itself. */
static void path_set(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "host");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "home"); // host home
    const char *home = lua_tostring(L, -1);
    lua_getglobal(L, "package"); // host home package
    lua_getfield(L, -1, "path"); // host home package path
    lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s", home, home, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_settop(L, lua_gettop(L) - 4);
}

/* The traceback travels with errors that nobody meant to raise; an error table
 * with a kind speaks for itself. */
static int failure_trace(lua_State *L) {
    if (lua_type(L, 1) == LUA_TSTRING) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
        return 1;
    }
    if (luaL_callmeta(L, 1, "__tostring")) {
        return 1;
    }
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return 1;
}

static int main_protected(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_openlibs(L);
    lig_coroutine_open(L);
    lig_error_open(L);
    modules_preload(L);
    path_set(L);
    lig_interrupt_open(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "ligase.boot");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_createtable(L, argc, 0);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 2);
    return 2;
}

/* Frames are megabytes and short-lived: their memory is used again instead of being given
 * back to the kernel and faulted in anew.  On virtual machines a page fault costs
 * microseconds, so the kernel is asked for large pages in the part of the heap that most
 * work stays in; what is not touched costs nothing. */
static void heap_prepare(void) {
    enum { HEAP_BYTES = 32 << 20, LARGE_PAGE = 2 << 20 };
    (void)mallopt(M_MMAP_THRESHOLD, 8 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_BYTES + (16 << 20));
    (void)mallopt(M_TOP_PAD, HEAP_BYTES);
    const char *before = sbrk(0);
    void *volatile room = malloc(1 << 20); // more than is free yet: the heap grows by HEAP_BYTES
    free(room);
    const char *after = sbrk(0);
    (void)mallopt(M_TOP_PAD, 1 << 20);
    if (after - before > HEAP_BYTES) { // not under a sanitizer, whose heap lies elsewhere
        uintptr_t start = ((uintptr_t)before + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
        (void)madvise((void *)start, (size_t)((uintptr_t)after - start), MADV_HUGEPAGE);
    }
}

int main(int argc, char **argv) {
    heap_prepare();
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        (void)fputs("ligase: out of memory\n", stderr);
        return 1;
    }
    lua_pushcfunction(L, failure_trace);
    lua_pushcfunction(L, main_protected);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = 1;
    bool closed = false;
    if (lua_pcall(L, 2, 2, 1) == LUA_OK) {
        status = (int)lua_tointeger(L, -2);
        closed = lua_toboolean(L, -1);
    } else {
        (void)fprintf(stderr, "ligase: %s\n", lua_tostring(L, -1));
    }
    if (!closed) { // freeing tens of thousands of names one by one takes milliseconds
        lua_close(L);
    }
    // A reader that has had enough (`| head -1`) is no failure.
    if (fflush(stdout) != 0 && errno != EPIPE && status == 0) {
        (void)fputs("ligase: cannot write to standard output\n", stderr);
        status = 1;
    }
    return status;
}
