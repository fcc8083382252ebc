/* sys_process.c: the process functions of "sys": run, spawn and exec.
 *
 * A program is executed directly, never through a shell, with no descriptor of
 * ours but the three it is given, and with default signals. The binding reads the
 * wishes into a request; sys_child.c does the work.
 */
#include "sys.h"
#include "sys_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_CLASS "ligase.process"

/* ---- box ---------------------------------------------------------------- */

static process *process_new(lua_State *L) {
    process *p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = (process){.pid_fd = -1, .child_fds = {-1, -1, -1}, .captures = {{.fd = -1}, {.fd = -1}}};
    luaL_setmetatable(L, PROCESS_CLASS);
    return p;
}

static process *process_check(lua_State *L) {
    return luaL_checkudata(L, 1, PROCESS_CLASS);
}

/* process:close(): ends the process if it still runs. */
static int process_close(lua_State *L) {
    child_release(process_check(L));
    return 0;
}

/* ---- reading a request -------------------------------------------------- */

/* A NULL-terminated array of `count` strings, made of Lua's memory; it stays on
 * the stack, as do the strings put into it through strings_set. */
static const char **strings_new(lua_State *L, size_t count) {
    luaL_checkstack(L, 8, "command");
    const char **strings = lua_newuserdatauv(L, (count + 1) * sizeof *strings, 1);
    memset(strings, 0, (count + 1) * sizeof *strings);
    lua_createtable(L, (int)count, 0);
    lua_setiuservalue(L, -2, 1);
    return strings;
}

/* Pops the string on top into strings[i] of the array at idx. */
static void strings_set(lua_State *L, int idx, const char **strings, lua_Integer i) {
    strings[i] = lua_tostring(L, -1);
    lua_getiuservalue(L, idx, 1);
    lua_insert(L, -2);
    lua_rawseti(L, -2, i + 1);
    lua_pop(L, 1);
}

static void request_argv(lua_State *L, request *r) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 1);
    if (count < 1) {
        lig_error_usage(L, "a command needs at least the name of a program");
    }
    r->argv = strings_new(L, (size_t)count);
    int array = lua_gettop(L);
    for (lua_Integer i = 0; i < count; i++) {
        int type = lua_geti(L, 1, i + 1);
        size_t length = 0;
        const char *word =
            type == LUA_TSTRING || type == LUA_TNUMBER ? lua_tolstring(L, -1, &length) : NULL;
        if (word == NULL || strlen(word) != length || (i == 0 && length == 0)) {
            lig_error_usage(L, "word %d of the command is %s", (int)i + 1,
                            word == NULL  ? lua_typename(L, type)
                            : length == 0 ? "empty"
                                          : "text with a NUL byte");
        }
        strings_set(L, array, r->argv, i);
    }
}

/* Pushes the child's variables: ours, those of its user, then options.env. */
static void environment_push(lua_State *L, const struct passwd *user) {
    lua_newtable(L);
    int variables = lua_gettop(L);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals != NULL) {
            lua_pushlstring(L, *entry, (size_t)(equals - *entry));
            lua_pushstring(L, equals + 1);
            lua_rawset(L, variables);
        }
    }
    if (user != NULL) {
        lua_pushstring(L, user->pw_dir);
        lua_setfield(L, variables, "HOME");
        lua_pushstring(L, user->pw_name);
        lua_pushvalue(L, -1);
        lua_setfield(L, variables, "USER");
        lua_setfield(L, variables, "LOGNAME");
    }
    if (lig_sys_option(L, 2, "env") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    luaL_argcheck(L, lua_istable(L, -1), 2, "env must be a table of variables");
    int wanted = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, wanted) != 0) { // name value
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        bool removed = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
        if (*name == '\0' || strlen(name) != lua_rawlen(L, -2) || strchr(name, '=') != NULL ||
            (!removed && !lua_isstring(L, -1))) {
            lig_error_usage(L,
                            "env: '%s' must be a variable's name with a string, or false to "
                            "leave it out",
                            name);
        }
        lua_pushvalue(L, -2); // name value name
        if (removed) {
            lua_pushnil(L);
        } else {
            lua_pushstring(L, lig_sys_check_text(L, lua_gettop(L) - 1));
        }
        lua_rawset(L, variables);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Makes envp and the paths to try out of the table of variables on top. */
static void request_environment(lua_State *L, request *r) {
    int variables = lua_gettop(L);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, variables) != 0; lua_pop(L, 1)) {
        count++;
    }
    r->environment = strings_new(L, count);
    int array = lua_gettop(L);
    lua_Integer i = 0;
    for (lua_pushnil(L); lua_next(L, variables) != 0; lua_pop(L, 1)) {
        lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
        strings_set(L, array, r->environment, i++);
    }
    const char *program = r->argv[0];
    const char *path = lua_getfield(L, variables, "PATH") == LUA_TSTRING
                           ? lua_tostring(L, -1)
                           : "/usr/local/bin:/usr/bin:/bin";
    size_t folders = 1;
    for (const char *p = path; *p != '\0'; p++) {
        folders += *p == ':';
    }
    r->candidates = strings_new(L, folders);
    array = lua_gettop(L);
    i = 0;
    if (strchr(program, '/') != NULL) {
        lua_pushstring(L, program);
        strings_set(L, array, r->candidates, i);
        return;
    }
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        if (length > 0) { // an empty entry means the current folder: a trap, left out
            lua_pushlstring(L, path, length);
            lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), program);
            strings_set(L, array, r->candidates, i++);
            lua_pop(L, 1);
        }
        path += length + (path[length] == ':');
    }
}

/* The passwd entry of options.user, or NULL when the child stays what we are. */
static const struct passwd *request_user(lua_State *L, request *r) {
    if (lig_sys_option(L, 2, "user") == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    errno = 0;
    const struct passwd *user = lua_isinteger(L, -1)
                                    ? getpwuid((uid_t)lua_tointeger(L, -1))
                                    : getpwnam(lig_sys_check_text(L, lua_gettop(L)));
    if (user == NULL) {
        lig_error_push(L, LIG_KIND_SYSTEM, "ENOENT", "cannot start %s: there is no user '%s'",
                       r->argv[0], luaL_tolstring(L, -1, NULL));
        lig_error_string(L, "hint", "Check the name; 'getent passwd' lists this machine's users");
        lig_error_raise(L);
    }
    if (user->pw_uid == geteuid() && user->pw_uid == getuid()) {
        lua_pop(L, 1);
        return NULL;
    }
    r->user = lua_pushstring(L, user->pw_name);
    r->uid = user->pw_uid;
    r->gid = user->pw_gid;
    r->group_count = 0;
    (void)getgrouplist(user->pw_name, user->pw_gid, NULL, &r->group_count);
    r->groups = lua_newuserdatauv(L, ((size_t)r->group_count + 1) * sizeof *r->groups, 0);
    if (getgrouplist(user->pw_name, user->pw_gid, r->groups, &r->group_count) < 0) {
        r->group_count = 1;
        r->groups[0] = user->pw_gid;
    }
    return user;
}

/* stdin: nil = nothing, true = ours, a string = its content. The content goes into
 * a file in memory, which no reader can make us wait on. */
static void request_stdin(lua_State *L, request *r, process *p) {
    size_t length = 0;
    const char *data = NULL;
    switch (lig_sys_option(L, 2, "stdin")) {
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, -1)) {
            r->streams[0] = STREAM_INHERIT;
            return;
        }
        break;
    case LUA_TSTRING:
        data = lua_tolstring(L, -1, &length);
        break;
    case LUA_TNIL:
        break;
    default:
        lig_error_usage(L, "stdin must be a string (its content) or true (ours)");
    }
    p->child_fds[0] = child_fd_lift(data == NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                                                 : memfd_create("stdin", MFD_CLOEXEC));
    if (p->child_fds[0] < 0) {
        lig_error_errno(L, errno, "prepare", "the input of a process");
    }
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(p->child_fds[0], data + done, length - done, (off_t)done);
        if (n < 0 && errno != EINTR) {
            lig_error_errno(L, errno, "prepare", "the input of a process");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    r->streams[0] = p->child_fds[0];
}

/* stdout, stderr: "capture", "inherit", "null", a path (emptied first, unless
 * append); stderr also "stdout". */
static void request_output(lua_State *L, request *r, process *p, int which, const char *standard) {
    const char *name = which == STDOUT_FILENO ? "stdout" : "stderr";
    bool append = lig_sys_option(L, 2, "append") != LUA_TNIL && lua_toboolean(L, -1);
    bool may_capture = strcmp(standard, "capture") == 0;
    const char *wish = standard;
    if (lig_sys_option(L, 2, name) != LUA_TNIL) {
        wish = lig_sys_check_path(L, lua_gettop(L));
    }
    r->streams[which] = STREAM_INHERIT;
    if (strcmp(wish, "inherit") == 0) {
        return;
    }
    if (which == STDERR_FILENO && strcmp(wish, "stdout") == 0) {
        r->streams[which] = STREAM_STDOUT;
        return;
    }
    int *fd = &p->child_fds[which];
    if (strcmp(wish, "capture") == 0) {
        if (!may_capture) {
            lig_error_usage(L,
                            "%s of a spawned process cannot be captured: give a path, or use "
                            "sys.run",
                            name);
        }
        int ends[2] = {-1, -1};
        int error = child_pipe(ends);
        p->captures[which - 1].fd = ends[0];
        *fd = ends[1];
        if (error != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
            lig_error_errno(L, error != 0 ? error : errno, "prepare", "the output of a process");
        }
    } else {
        const char *path = strcmp(wish, "null") == 0 ? "/dev/null" : wish;
        *fd = child_fd_lift(
            open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666));
        if (*fd < 0) {
            lig_error_errno(L, errno, "write", path);
        }
    }
    r->streams[which] = *fd;
}

/* Reads argv (1) and options (2); what it refers to stays on the stack. */
static request request_read(lua_State *L, process *p, const char *standard) {
    request r = {.streams = {STREAM_INHERIT, STREAM_INHERIT, STREAM_INHERIT}};
    request_argv(L, &r);
    const struct passwd *user = request_user(L, &r);
    environment_push(L, user);
    request_environment(L, &r);
    if (lig_sys_option(L, 2, "cwd") != LUA_TNIL) {
        r.folder = lig_sys_check_path(L, lua_gettop(L));
    }
    if (p != NULL) {
        request_stdin(L, &r, p);
        request_output(L, &r, p, STDOUT_FILENO, standard);
        request_output(L, &r, p, STDERR_FILENO, standard);
        // A child that reads our terminal must stay in our group to be allowed to.
        r.own_group = r.streams[0] != STREAM_INHERIT;
    }
    return r;
}

/* "cannot start initdb as user postgres: ..." with what to check. */
static _Noreturn void failure_raise(lua_State *L, const request *r, failure failed) {
    const char *program = r->argv[0];
    const char *who = r->user != NULL ? r->user : "this user";
    const char *code = strerrorname_np(failed.error);
    bool is_path = strchr(program, '/') != NULL;
    char where[512] = "";
    char hint[512] = "";
    switch (failed.stage) {
    case STAGE_USER:
        (void)snprintf(where, sizeof where, " as user %s", who);
        if (failed.error == EPERM) {
            (void)snprintf(hint, sizeof hint, "Only root can start programs as another user");
        }
        break;
    case STAGE_FOLDER:
        (void)snprintf(where, sizeof where, " in folder %s", r->folder != NULL ? r->folder : ".");
        (void)snprintf(hint, sizeof hint,
                       "Check that the folder exists and that %s may enter it and those above it",
                       who);
        break;
    case STAGE_EXEC:
        if (failed.error == ENOENT || failed.error == ENOTDIR) {
            (void)snprintf(hint, sizeof hint, "%s",
                           is_path ? "Check the path, and the interpreter that a script's first "
                                     "line names"
                                   : "Check that it is installed and that its folder is on PATH");
        } else if (failed.error == EACCES) {
            (void)snprintf(hint, sizeof hint, "Check that %s may execute it", who);
        } else if (failed.error == ENOEXEC) {
            (void)snprintf(hint, sizeof hint,
                           "It is neither a program for this machine nor a "
                           "script whose first line begins with #!");
        }
        break;
    case STAGE_STREAMS:
        break;
    }
    lig_error_push(L, LIG_KIND_SYSTEM, code != NULL ? code : "EUNKNOWN", "cannot start %s%s: %s",
                   program, where, strerror(failed.error));
    lig_error_string(L, "program", program);
    lig_error_string(L, "hint", *hint != '\0' ? hint : NULL);
    lig_error_raise(L);
}

/* ---- functions ---------------------------------------------------------- */

/* options.timeout_s as a point on the monotonic clock; for ever without one. */
static double deadline_read(lua_State *L, int idx) {
    double seconds = HUGE_VAL;
    if (!lua_isnoneornil(L, idx)) {
        seconds = luaL_checknumber(L, idx);
        if (!(seconds >= 0)) {
            lig_error_usage(L, "a timeout must be a number of seconds that is not negative");
        }
    }
    return lig_sys_monotonic() + seconds;
}

/* Sets code, or signal, in the table on top. */
static void status_set(lua_State *L, const process *p) {
    if (WIFSIGNALED(p->status)) {
        lig_sys_push_signal(L, WTERMSIG(p->status));
        lua_setfield(L, -2, "signal");
    } else {
        lua_pushinteger(L, WEXITSTATUS(p->status));
        lua_setfield(L, -2, "code");
    }
}

static _Noreturn void timeout_raise(lua_State *L, const request *r, const process *p,
                                    double seconds) {
    const capture *errors = &p->captures[1];
    size_t length = errors->length;
    while (length > 0 && errors->data[length - 1] == '\n') {
        length--;
    }
    size_t shown = length < 300 ? length : 300;
    char limit[32];
    (void)snprintf(limit, sizeof limit, "%g", seconds);
    lig_error_push(L, LIG_KIND_SYSTEM, "ETIMEDOUT", "%s did not finish within %s s and was stopped",
                   r->argv[0], limit);
    if (shown > 0) {
        lua_pushlstring(L, errors->data + length - shown, shown);
        lua_setfield(L, -2, "detail");
    }
    lig_error_string(L, "program", r->argv[0]);
    lig_error_raise(L);
}

static void captures_read(lua_State *L, process *p) {
    for (int i = 0; i < 2; i++) {
        int error = child_capture(&p->captures[i]);
        if (error != 0) {
            lig_error_errno(L, error, "read the output of", "a process");
        }
    }
}

static const char *const run_options[] = {"user",   "cwd",    "env",       "stdin", "stdout",
                                          "stderr", "append", "timeout_s", NULL};

/* sys.run(argv, {user=, cwd=, env=, stdin=, stdout="capture", stderr="capture",
 * append=, timeout_s=}) -> {code or signal, stdout, stderr}. Ends when the program
 * itself ends: what it left running in the background is not waited for. */
static int process_run(lua_State *L) {
    lua_settop(L, 2);
    lig_sys_check_options(L, 2, "sys.run", run_options);
    process *p = process_new(L);
    lua_toclose(L, -1);
    request r = request_read(L, p, "capture");
    (void)lig_sys_option(L, 2, "timeout_s");
    double end = deadline_read(L, lua_gettop(L));
    bool captured[] = {p->captures[0].fd >= 0, p->captures[1].fd >= 0};
    failure failed = child_start(p, &r);
    if (failed.error != 0) {
        failure_raise(L, &r, failed);
    }
    for (;;) {
        bool ended = child_reap(p); // asked first: what it wrote before its end is then there
        captures_read(L, p);
        if (ended) {
            break;
        }
        double left = end - lig_sys_monotonic();
        if (left <= 0) {
            child_terminate(p);
            captures_read(L, p);
            timeout_raise(L, &r, p, luaL_checknumber(L, -1));
        }
        child_poll(p, left < LIG_SYS_SLICE_S ? left : LIG_SYS_SLICE_S);
        (void)lig_sys_signals_run(L);
    }
    lua_createtable(L, 0, 3);
    status_set(L, p);
    static const char *const names[] = {"stdout", "stderr"};
    for (int i = 0; i < 2; i++) {
        if (captured[i]) {
            lua_pushlstring(L, p->captures[i].data, p->captures[i].length);
            lua_setfield(L, -2, names[i]);
        }
    }
    return 1;
}

/* sys.spawn(argv, {user=, cwd=, env=, stdin=, stdout="inherit", stderr="inherit",
 * append=}) -> process. */
static int process_spawn(lua_State *L) {
    static const char *const options[] = {"user",   "cwd",    "env",    "stdin",
                                          "stdout", "stderr", "append", NULL};
    lua_settop(L, 2);
    lig_sys_check_options(L, 2, "sys.spawn", options);
    process *p = process_new(L);
    int box = lua_gettop(L);
    request r = request_read(L, p, "inherit");
    failure failed = child_start(p, &r);
    if (failed.error != 0) {
        failure_raise(L, &r, failed);
    }
    lua_settop(L, box);
    return 1;
}

/* sys.exec(argv, {user=, cwd=, env=}): this process becomes the program. Returns
 * never; what was open is closed. */
static int process_exec(lua_State *L) {
    static const char *const options[] = {"user", "cwd", "env", NULL};
    lua_settop(L, 2);
    lig_sys_check_options(L, 2, "sys.exec", options);
    request r = request_read(L, NULL, NULL);
    (void)fflush(NULL);
    struct sigaction pipes;
    (void)sigaction(SIGPIPE, NULL, &pipes);
    (void)signal(SIGPIPE, SIG_DFL); // exec itself resets what is handled, not what is ignored
    failure failed = child_become(&r);
    (void)sigaction(SIGPIPE, &pipes, NULL);
    failure_raise(L, &r, failed);
}

/* process:pid() -> integer. */
static int process_pid(lua_State *L) {
    lua_pushinteger(L, process_check(L)->pid);
    return 1;
}

/* process:wait([timeout_s]) -> {code or signal}; nil when the time is up or, with
 * a timeout, when a signal's Lua handler ran meanwhile. */
static int process_wait(lua_State *L) {
    process *p = process_check(L);
    bool forever = lua_isnoneornil(L, 2);
    double end = deadline_read(L, 2);
    while (!child_reap(p)) {
        double left = end - lig_sys_monotonic();
        if (left <= 0) {
            lua_pushnil(L);
            return 1;
        }
        child_poll(p, left < LIG_SYS_SLICE_S ? left : LIG_SYS_SLICE_S);
        if (lig_sys_signals_run(L) && !forever) {
            end = 0;
        }
    }
    lua_createtable(L, 0, 1);
    status_set(L, p);
    return 1;
}

/* process:kill([signal="TERM"]) -> whether it was still there; its whole group
 * gets the signal. */
static int process_kill(lua_State *L) {
    process *p = process_check(L);
    int number = lua_isnoneornil(L, 2) ? SIGTERM : lig_sys_check_signal(L, 2);
    lua_pushboolean(L, !child_reap(p) && child_signal(p, number));
    return 1;
}

/* ---- module ------------------------------------------------------------- */

void lig_sys_process_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"pid", process_pid},
                                       {"wait", process_wait},
                                       {"kill", process_kill},
                                       {"close", process_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", process_close}, {"__close", process_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"run", process_run}, {"spawn", process_spawn}, {"exec", process_exec}, {NULL, NULL}};
    lig_class_new(L, PROCESS_CLASS, methods, meta);
    luaL_setfuncs(L, functions, 0);
}
