/* sys.c: the module "sys": clocks, environment, terminal, users and signals.
 *
 * The operating system as a script needs it, and no more. Files are in
 * sys_file.c and sys_content.c, digests and ids in sys_hash.c, child processes in sys_process.c;
 * what any of it is used for is decided in Lua.
 */
#include "sys.h"

#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- arguments ---------------------------------------------------------- */

const char *lig_sys_check_text(lua_State *L, int idx) {
    size_t length;
    const char *text = luaL_checklstring(L, idx, &length);
    size_t nul = strlen(text);
    if (nul != length) {
        lig_error_usage(L, "argument %d holds a NUL byte at position %d", idx, (int)nul + 1);
    }
    return text;
}

const char *lig_sys_check_path(lua_State *L, int idx) {
    const char *path = lig_sys_check_text(L, idx);
    if (*path == '\0') {
        lig_error_usage(L, "argument %d is an empty path", idx);
    }
    return path;
}

mode_t lig_sys_check_mode(lua_State *L, int idx) {
    lua_Integer mode = -1;
    if (lua_type(L, idx) == LUA_TSTRING) {
        const char *digits = lua_tostring(L, idx);
        if (*digits != '\0' && strspn(digits, "01234567") == strlen(digits) && strlen(digits) < 8) {
            mode = strtol(digits, NULL, 8);
        }
    } else if (lua_isinteger(L, idx)) {
        mode = lua_tointeger(L, idx);
    }
    if (mode < 0 || mode > 07777) {
        lig_error_usage(L, "a file mode must be octal digits such as \"0640\" or an integer up to "
                           "4095 (07777 in octal)");
    }
    return (mode_t)mode;
}

void lig_sys_check_options(lua_State *L, int idx, const char *function, const char *const *names) {
    if (lua_isnoneornil(L, idx)) {
        return;
    }
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, idx) != 0) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        size_t i = 0;
        while (key != NULL && names[i] != NULL && strcmp(names[i], key) != 0) {
            i++;
        }
        if (key == NULL || names[i] == NULL) {
            luaL_Buffer list;
            luaL_buffinit(L, &list);
            for (i = 0; names[i] != NULL; i++) {
                luaL_addstring(&list, i == 0 ? "" : ", ");
                luaL_addstring(&list, names[i]);
            }
            luaL_pushresult(&list);
            lig_error_usage(L, "unknown option '%s' of %s; the options are: %s",
                            key != NULL ? key : "(not a name)", function, lua_tostring(L, -1));
        }
        lua_pop(L, 1);
    }
}

int lig_sys_option(lua_State *L, int idx, const char *name) {
    if (!lua_istable(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, idx, name);
}

/* ---- clocks ------------------------------------------------------------- */

double lig_sys_monotonic(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* sys.now() -> seconds since 1970 (UTC), a float. */
static int sys_now(lua_State *L) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec * 1e-9);
    return 1;
}

/* sys.monotonic() -> seconds on a clock that nobody sets, a float. */
static int sys_monotonic(lua_State *L) {
    lua_pushnumber(L, lig_sys_monotonic());
    return 1;
}

/* sys.timestamp([seconds]) -> "2026-01-02T03:04:05.678901Z"; now without one. */
static int sys_timestamp(lua_State *L) {
    struct timespec t;
    if (lua_isnoneornil(L, 1)) {
        (void)clock_gettime(CLOCK_REALTIME, &t);
    } else {
        double seconds = luaL_checknumber(L, 1);
        if (!(seconds >= -62135596800.0 && seconds < 253402300800.0)) {
            lig_error_usage(L, "sys.timestamp: the time is not within the years 1 to 9999");
        }
        t.tv_sec = (time_t)floor(seconds);
        t.tv_nsec = 1000 * lrint((seconds - floor(seconds)) * 1e6);
        if (t.tv_nsec >= 1000000000) {
            t.tv_nsec = 0;
            t.tv_sec++;
        }
    }
    struct tm day;
    (void)gmtime_r(&t.tv_sec, &day);
    char text[64];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", day.tm_year + 1900,
                   day.tm_mon + 1, day.tm_mday, day.tm_hour, day.tm_min, day.tm_sec,
                   t.tv_nsec / 1000);
    lua_pushstring(L, text);
    return 1;
}

/* sys.sleep(seconds) -> seconds not slept: 0.0, or more when a signal came whose
 * handler in Lua has run meanwhile. Raises "interrupted". */
static int sys_sleep(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    if (!(seconds >= 0)) {
        lig_error_usage(L, "sys.sleep needs a number of seconds that is not negative");
    }
    double end = lig_sys_monotonic() + seconds;
    for (;;) {
        double left = end - lig_sys_monotonic();
        if (lig_sys_signals_run(L)) {
            lua_pushnumber(L, left > 0 ? left : 0);
            return 1;
        }
        if (left <= 0) {
            lua_pushnumber(L, 0);
            return 1;
        }
        double nap = left < LIG_SYS_SLICE_S ? left : LIG_SYS_SLICE_S;
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)(nap * 1e9)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
}

/* ---- environment -------------------------------------------------------- */

/* sys.getenv(name) -> string or nil. */
static int sys_getenv(lua_State *L) {
    lua_pushstring(L, getenv(lig_sys_check_text(L, 1)));
    return 1;
}

/* sys.setenv(name, value): for this process and those it starts; nil removes. */
static int sys_setenv(lua_State *L) {
    const char *name = lig_sys_check_text(L, 1);
    if (*name == '\0' || strchr(name, '=') != NULL) {
        lig_error_usage(L, "'%s' cannot be the name of an environment variable", name);
    }
    luaL_checkany(L, 2);
    int failed = lua_isnil(L, 2) ? unsetenv(name) : setenv(name, lig_sys_check_text(L, 2), 1);
    if (failed) {
        lig_error_errno(L, errno, "set environment variable", name);
    }
    return 0;
}

/* sys.environ() -> table of all variables by name. */
static int sys_environ(lua_State *L) {
    lua_newtable(L);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals != NULL) {
            lua_pushlstring(L, *entry, (size_t)(equals - *entry));
            lua_pushstring(L, equals + 1);
            lua_rawset(L, -3);
        }
    }
    return 1;
}

/* sys.pid() -> integer. */
static int sys_pid(lua_State *L) {
    lua_pushinteger(L, getpid());
    return 1;
}

/* sys.parent() -> integer: the process that started this one, as long as that
 * lives; then the one that took its place. */
static int sys_parent(lua_State *L) {
    lua_pushinteger(L, getppid());
    return 1;
}

/* sys.hostname() -> string. */
static int sys_hostname(lua_State *L) {
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0) {
        lig_error_errno(L, errno, "ask for", "the host's name");
    }
    lua_pushstring(L, name);
    return 1;
}

/* sys.cpu_count() -> how many processors this process may use. */
static int sys_cpu_count(lua_State *L) {
    cpu_set_t set;
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = CPU_COUNT(&set);
    }
    lua_pushinteger(L, count > 0 ? count : 1);
    return 1;
}

/* sys.peak_memory() -> bytes: the most this process ever had in memory. */
static int sys_peak_memory(lua_State *L) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    lua_pushinteger(L, (lua_Integer)usage.ru_maxrss * 1024);
    return 1;
}

/* ---- terminal ----------------------------------------------------------- */

/* sys.is_terminal([fd=1]) -> boolean. */
static int sys_is_terminal(lua_State *L) {
    lua_pushboolean(L, isatty((int)luaL_optinteger(L, 1, STDOUT_FILENO)));
    return 1;
}

/* sys.terminal_width([fd=1]) -> columns: $COLUMNS, else what the terminal says,
 * else 80. */
static int sys_terminal_width(lua_State *L) {
    int fd = (int)luaL_optinteger(L, 1, STDOUT_FILENO);
    const char *columns = getenv("COLUMNS");
    if (columns != NULL) {
        char *end;
        long wanted = strtol(columns, &end, 10);
        if (end != columns && *end == '\0' && wanted > 0 && wanted <= 10000) {
            lua_pushinteger(L, wanted);
            return 1;
        }
    }
    struct winsize size;
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    lua_pushinteger(L, known ? size.ws_col : 80);
    return 1;
}

/* ---- users -------------------------------------------------------------- */

/* sys.user([name or uid]) -> {name, uid, gid, home} or nil; without argument the
 * user this process acts as. */
static int sys_user(lua_State *L) {
    struct passwd entry;
    struct passwd *found = NULL;
    size_t room = 16384;
    int status = ERANGE;
    lua_settop(L, 1);
    while (status == ERANGE && room <= (1U << 20)) {
        char *buffer = lua_newuserdatauv(L, room, 0);
        if (lua_type(L, 1) == LUA_TSTRING) {
            status = getpwnam_r(lig_sys_check_text(L, 1), &entry, buffer, room, &found);
        } else {
            uid_t uid = lua_isnil(L, 1) ? geteuid() : (uid_t)luaL_checkinteger(L, 1);
            status = getpwuid_r(uid, &entry, buffer, room, &found);
        }
        room *= 4;
    }
    if (found == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 4);
    lua_pushstring(L, found->pw_name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, found->pw_uid);
    lua_setfield(L, -2, "uid");
    lua_pushinteger(L, found->pw_gid);
    lua_setfield(L, -2, "gid");
    lua_pushstring(L, found->pw_dir);
    lua_setfield(L, -2, "home");
    return 1;
}

/* ---- signals ------------------------------------------------------------ */

/* Signal handlers have no argument to carry their state in: these are the only
 * globals of the primitive. `replaced` keeps what "default" goes back to, which
 * for SIGINT and SIGTERM is the host's own handler. */
static lua_State *signal_state;
static volatile sig_atomic_t signal_pending[NSIG];
static volatile sig_atomic_t signal_any;
static struct {
    bool saved;
    struct sigaction action;
} signal_replaced[NSIG];

static const char signal_functions; // its address is the registry key: number -> function

int lig_sys_check_signal(lua_State *L, int idx) {
    if (lua_isinteger(L, idx)) {
        lua_Integer number = lua_tointeger(L, idx);
        if (number >= 0 && number < NSIG) {
            return (int)number;
        }
    } else if (lua_type(L, idx) == LUA_TSTRING) {
        const char *name = lua_tostring(L, idx);
        name += strncmp(name, "SIG", 3) == 0 ? 3 : 0;
        for (int number = 1; number < NSIG; number++) {
            const char *known = sigabbrev_np(number);
            if (known != NULL && strcmp(known, name) == 0) {
                return number;
            }
        }
    }
    lig_error_usage(L, "there is no signal '%s'; use a name such as \"TERM\", \"INT\" or \"HUP\"",
                    luaL_tolstring(L, idx, NULL));
}

void lig_sys_push_signal(lua_State *L, int number) {
    const char *name = sigabbrev_np(number);
    if (name != NULL) {
        lua_pushstring(L, name);
    } else {
        lua_pushfstring(L, "%d", number);
    }
}

/* Calls the Lua functions of the signals that came in; an error of theirs goes
 * on from wherever the program was, which is how a handler stops it. */
static bool signals_dispatch(lua_State *L) {
    if (!signal_any) {
        return false;
    }
    bool ran = false;
    signal_any = 0;
    for (int number = 1; number < NSIG; number++) {
        if (!signal_pending[number]) {
            continue;
        }
        signal_pending[number] = 0;
        luaL_checkstack(L, 4, "signal handler");
        lua_rawgetp(L, LUA_REGISTRYINDEX, &signal_functions); // functions
        if (lua_rawgeti(L, -1, number) == LUA_TFUNCTION) {    // functions function
            lig_sys_push_signal(L, number);
            lua_call(L, 1, 0);
            ran = true;
            lua_pop(L, 1);
        } else {
            lua_pop(L, 2);
        }
    }
    return ran;
}

bool lig_sys_signals_run(lua_State *L) {
    bool ran = signals_dispatch(L);
    lig_interrupt_check(L);
    return ran;
}

/* The hook serves the host's interruption too: whichever of the two handlers
 * armed it last, both kinds of signal are looked at. */
static void signal_hook(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    (void)lig_sys_signals_run(L);
}

static void signal_handle(int number) {
    signal_pending[number] = 1;
    signal_any = 1;
    lua_sethook(signal_state, signal_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* sys.on_signal(name, function | "ignore" | "default"): the function is called
 * with the signal's name, between two instructions of the main thread or while
 * sys.sleep and other waits last. */
static int sys_on_signal(lua_State *L) {
    static const char *const choices[] = {"ignore", "default", NULL};
    int number = lig_sys_check_signal(L, 1);
    struct sigaction action = {.sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    if (lua_isfunction(L, 2)) {
        action.sa_handler = signal_handle;
    } else if (luaL_checkoption(L, 2, NULL, choices) == 0) {
        action.sa_handler = SIG_IGN;
    } else if (signal_replaced[number].saved) {
        action = signal_replaced[number].action;
    } else {
        return 0; // never replaced: it is the default already
    }
    struct sigaction before;
    lua_settop(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &signal_functions); // name choice functions
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, number); // before the handler can run
    if (number == 0 || sigaction(number, &action, &before) != 0) {
        lig_error_usage(L, "signal '%s' cannot be handled", luaL_tolstring(L, 1, NULL));
    }
    if (!signal_replaced[number].saved) {
        signal_replaced[number].saved = true;
        signal_replaced[number].action = before;
    }
    return 0;
}

/* sys.kill(pid, signal) -> true, or false when there is no such process; signal
 * 0 only asks. A pid below -1 means the process group of that number. */
static int sys_kill(lua_State *L) {
    lua_Integer pid = luaL_checkinteger(L, 1);
    int number = lig_sys_check_signal(L, 2);
    if (pid == 0 || pid == -1 || pid > INT32_MAX || pid < -INT32_MAX) {
        lig_error_usage(L, "sys.kill: %lld is not the id of one process or group", (long long)pid);
    }
    int status = kill((pid_t)pid, number);
    if (status != 0 && errno != ESRCH) {
        char name[32];
        int saved_errno = errno;
        (void)snprintf(name, sizeof name, "%lld", (long long)pid);
        lig_error_errno(L, saved_errno, "send a signal to process", name);
    }
    lua_pushboolean(L, status == 0);
    return 1;
}

static void signals_open(lua_State *L) {
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &signal_functions);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    signal_state = lua_tothread(L, -1);
    lua_pop(L, 1);
}

/* ---- module ------------------------------------------------------------- */

static const luaL_Reg sys_functions[] = {
    {"now", sys_now},
    {"monotonic", sys_monotonic},
    {"timestamp", sys_timestamp},
    {"sleep", sys_sleep},
    {"getenv", sys_getenv},
    {"setenv", sys_setenv},
    {"environ", sys_environ},
    {"pid", sys_pid},
    {"parent", sys_parent},
    {"hostname", sys_hostname},
    {"cpu_count", sys_cpu_count},
    {"peak_memory", sys_peak_memory},
    {"is_terminal", sys_is_terminal},
    {"terminal_width", sys_terminal_width},
    {"user", sys_user},
    {"on_signal", sys_on_signal},
    {"kill", sys_kill},
    {NULL, NULL},
};

int luaopen_lig_sys(lua_State *L) {
    signals_open(L);
    luaL_newlib(L, sys_functions);
    lig_sys_file_open(L);
    lig_sys_content_open(L);
    lig_sys_hash_open(L);
    lig_sys_process_open(L);
    return 1;
}
