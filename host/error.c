/* error.c: the one shape of a failure, and interruption.
 *
 * An error is a table with stable fields: kind and code for programs, message,
 * detail and hint for people, and where it happened (file, line, column, byte).
 * Its __tostring is the one line a person sees: what failed, where, what to do.
 */
#include "lig.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ERROR_CLASS "ligase.error"

/* ---- making errors ------------------------------------------------------ */

static void error_push_v(lua_State *L, const char *kind, const char *code, const char *format,
                         va_list args) {
    char small[1024];
    const char *message = small;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    lua_createtable(L, 0, 6);
    luaL_setmetatable(L, ERROR_CLASS);
    if (length >= (int)sizeof small) { // a long path, or what Postgres said
        char *large = lua_newuserdatauv(L, (size_t)length + 1, 0);
        (void)vsnprintf(large, (size_t)length + 1, format, again);
        message = large;
        lua_insert(L, -2);
    }
    va_end(again);
    lig_error_string(L, "kind", kind);
    lig_error_string(L, "code", code);
    lig_error_string(L, "message", message);
    if (message != small) {
        lua_remove(L, -2);
    }
}

void lig_error_push(lua_State *L, const char *kind, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_push_v(L, kind, code, format, args);
    va_end(args);
}

void lig_error_string(lua_State *L, const char *field, const char *value) {
    if (value != NULL) {
        lua_pushstring(L, value);
        lua_setfield(L, -2, field);
    }
}

void lig_error_integer(lua_State *L, const char *field, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, field);
}

_Noreturn void lig_error_raise(lua_State *L) {
    lua_error(L);
    __builtin_unreachable();
}

_Noreturn void lig_error_errno(lua_State *L, int saved_errno, const char *what, const char *path) {
    const char *name = strerrorname_np(saved_errno);
    lig_error_push(L, LIG_KIND_SYSTEM, name != NULL ? name : "EUNKNOWN", "cannot %s %s: %s", what,
                   path, strerror(saved_errno));
    lig_error_string(L, "path", path);
    lig_error_integer(L, "errno", saved_errno);
    lig_error_raise(L);
}

_Noreturn void lig_error_usage(lua_State *L, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_push_v(L, LIG_KIND_USAGE, "usage", format, args);
    va_end(args);
    luaL_where(L, 1);
    lua_setfield(L, -2, "where");
    lig_error_raise(L);
}

/* ---- the line a person sees --------------------------------------------- */

/* Appends the field's text with control characters folded to spaces (a file's content
 * may be in it, and must not steer the terminal); the field's value is read with
 * lua_rawget so that no metamethod runs inside an error report. */
static bool field_append(lua_State *L, luaL_Buffer *b, const char *field, const char *before,
                         const char *after) {
    lua_pushstring(L, field);
    lua_rawget(L, 1);
    size_t length = 0;
    const char *text = lua_tolstring(L, -1, &length);
    if (text == NULL || length == 0) {
        lua_pop(L, 1);
        return false;
    }
    luaL_Buffer piece; // built apart: the value must not lie above an open buffer
    luaL_buffinit(L, &piece);
    luaL_addstring(&piece, before);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        luaL_addchar(&piece, c < 0x20 || c == 0x7F ? ' ' : text[i]);
    }
    luaL_addstring(&piece, after);
    luaL_pushresult(&piece);
    lua_remove(L, -2);
    luaL_addvalue(b);
    return true;
}

static bool field_is(lua_State *L, const char *field, const char *value) {
    lua_pushstring(L, field);
    lua_rawget(L, 1);
    const char *text = lua_tostring(L, -1);
    bool same = text != NULL && strcmp(text, value) == 0;
    lua_pop(L, 1);
    return same;
}

/* file:line:column: message (detail) [SQLSTATE]. hint */
static int error_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    bool database = field_is(L, "kind", LIG_KIND_DATABASE);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    if (field_append(L, &b, "file", "", "")) {
        if (field_append(L, &b, "line", ":", "")) {
            (void)field_append(L, &b, "column", ":", "");
        }
        luaL_addstring(&b, ": ");
    } else {
        (void)field_append(L, &b, "where", "", "");
    }
    if (!field_append(L, &b, "message", "", "")) {
        luaL_addstring(&b, "unknown error");
    }
    (void)field_append(L, &b, "detail", " (", ")");
    if (database) {
        (void)field_append(L, &b, "sqlstate", " [", "]");
    }
    (void)field_append(L, &b, "hint", ". ", "");
    luaL_pushresult(&b);
    return 1;
}

void lig_class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    if (methods != NULL) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

void lig_error_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__tostring", error_tostring}, {NULL, NULL}};
    lig_class_new(L, ERROR_CLASS, NULL, meta);
}

/* ---- interruption ------------------------------------------------------- */

/* A signal handler has no argument to carry its state in, so these are the
 * host's only globals. */
static volatile sig_atomic_t interrupt_signal;
static volatile sig_atomic_t interrupt_since_s;
static lua_State *volatile interrupt_state; /* the Lua thread that runs */

bool lig_interrupted(void) {
    return interrupt_signal != 0;
}

int lig_interrupt_take(void) {
    int number = interrupt_signal;
    interrupt_signal = 0;
    if (number != 0) {
        (void)alarm(0);
    }
    return number;
}

void lig_interrupt_check(lua_State *L) {
    int number = lig_interrupt_take();
    if (number == 0) {
        return;
    }
    lig_error_push(L, LIG_KIND_INTERRUPTED, number == SIGTERM ? "SIGTERM" : "SIGINT",
                   "interrupted");
    lig_error_integer(L, "signal", number);
    lig_error_raise(L);
}

static void interrupt_hook(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    lig_interrupt_check(L);
}

static void interrupt_arm(lua_State *L) {
    lua_sethook(L, interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* A signal that came while the thread changed armed the other one. */
void lig_interrupt_move(lua_State *L) {
    interrupt_state = L;
    if (interrupt_signal != 0) {
        interrupt_arm(L);
    }
}

/* The first signal asks; a later one, while the first is still unheeded, ends.  Within a
 * second or two it is the same impatient wish, and a cancelled query needs that long. */
static void interrupt_handle(int number) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupt_signal != 0) {
        if (now.tv_sec - interrupt_since_s >= 2) {
            signal(number, SIG_DFL);
            raise(number);
        }
        return;
    }
    interrupt_signal = number;
    interrupt_since_s = (sig_atomic_t)now.tv_sec;
    interrupt_arm(interrupt_state);
    (void)alarm(1);
}

/* A signal that comes just before a call blocks (reading a pipe, in C's or Lua's own io)
 * does not end that call.  Until somebody heeds it, one comes every second. */
static void interrupt_remind(int number) {
    (void)number;
    if (interrupt_signal != 0) {
        (void)alarm(1);
    }
}

void lig_interrupt_open(lua_State *L) {
    interrupt_state = L;
    struct sigaction action = {0};
    action.sa_handler = interrupt_handle; // no SA_RESTART: blocking calls return EINTR
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = interrupt_remind;
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}
