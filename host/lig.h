/* lig.h: what every file of the host shares.
 *
 * The host opens doors (files, Postgres, processes) to Lua and decides nothing.
 * The engine part of a primitive knows nothing of Lua; its binding checks
 * arguments, calls the engine and pushes results.  A binding creates its box (a
 * userdata that holds nothing yet, with its metatable), and only then acquires
 * the resource, so that a raise in between cannot leak it.
 *
 * Failures are raised as error tables (see error.c); a recipe that forgets to
 * look at a returned nil would go on with half the data.
 */
#ifndef LIG_H
#define LIG_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIG_VERSION "0.1.0"

/* Error kinds, the stable first word a program may test.  They decide the
 * process's exit status too: usage 2, interrupted 130, all others 1. */
#define LIG_KIND_USAGE "usage"             /* the caller's mistake */
#define LIG_KIND_INPUT "input"             /* a file or its content */
#define LIG_KIND_DATABASE "database"       /* Postgres; code is the SQLSTATE */
#define LIG_KIND_SYSTEM "system"           /* the operating system; code is the errno name */
#define LIG_KIND_NETWORK "network"         /* an HTTP request without a whole answer */
#define LIG_KIND_INTERRUPTED "interrupted" /* a signal asked us to stop */

/* Pushes a new error table {kind, code, message} with the metatable
 * "ligase.error".  Further fields are set with lig_error_string/_integer, which
 * leave the table on top; lig_error_raise throws it. */
void lig_error_push(lua_State *L, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void lig_error_string(lua_State *L, const char *field, const char *value);
void lig_error_integer(lua_State *L, const char *field, lua_Integer value);
_Noreturn void lig_error_raise(lua_State *L);

/* Raises a "system" error from an errno that the caller saved before any Lua
 * call: "cannot <what> <path>: <strerror>". */
_Noreturn void lig_error_errno(lua_State *L, int saved_errno, const char *what, const char *path);

/* Raises a "usage" error (the caller's mistake). */
_Noreturn void lig_error_usage(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes the error class; called once, before any primitive is opened. */
void lig_error_open(lua_State *L);

/* Installs the handlers of SIGINT and SIGTERM and ignores SIGPIPE. */
void lig_interrupt_open(lua_State *L);

/* Interruption.  A signal handler only sets a flag and arms a hook; code that
 * blocks in poll() asks lig_interrupted() after EINTR and calls
 * lig_interrupt_check(), which raises the "interrupted" error; where a signal is an
 * answer and no failure, lig_interrupt_take() gives its number (0 for none). */
bool lig_interrupted(void);
void lig_interrupt_check(lua_State *L);
int lig_interrupt_take(void);

/* Says which Lua thread runs from here on: the one that a signal has to stop. */
void lig_interrupt_move(lua_State *L);

/* Makes coroutines say so; called once, when Lua's libraries are open. */
void lig_coroutine_open(lua_State *L);

/* One class: makes the metatable `name` with methods as __index and metamethods
 * beside it; leaves nothing on the stack. */
void lig_class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/* Openers of the primitives; each pushes its module table. */
int luaopen_lig_csv(lua_State *L);
int luaopen_lig_frame(lua_State *L);
int luaopen_lig_dictionary(lua_State *L);
int luaopen_lig_line(lua_State *L);
int luaopen_lig_pg(lua_State *L);
int luaopen_lig_http(lua_State *L);
int luaopen_lig_itemsets(lua_State *L);
int luaopen_lig_serve(lua_State *L);
int luaopen_lig_sets(lua_State *L);
int luaopen_lig_sqlite(lua_State *L);
int luaopen_lig_sys(lua_State *L);
int luaopen_lig_host(lua_State *L);

#endif
