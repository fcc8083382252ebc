/* sys.h: what the files of the "sys" primitive share (sys.c,
 * sys_file.c, sys_content.c, sys_hash.c, sys_process.c). */
#ifndef LIG_SYS_H
#define LIG_SYS_H

#include "lig.h"

#include <sys/types.h>

/* Each adds its functions to the module table on top of the stack. */
void lig_sys_file_open(lua_State *L);
void lig_sys_content_open(lua_State *L);
void lig_sys_hash_open(lua_State *L);
void lig_sys_process_open(lua_State *L);

/* The string at idx, refused when it holds a NUL byte: the operating system
 * would silently cut it there and act on another name. */
const char *lig_sys_check_text(lua_State *L, int idx);

/* As lig_sys_check_text, and the empty path is refused too. */
const char *lig_sys_check_path(lua_State *L, int idx);

/* Permission bits at idx: an integer, or octal digits in a string ("0640"). */
mode_t lig_sys_check_mode(lua_State *L, int idx);

/* Refuses a key of the options table at idx (nil and none are fine) that is not
 * in the NULL-terminated list. */
void lig_sys_check_options(lua_State *L, int idx, const char *function, const char *const *names);

/* Pushes options[name] (nil without options) and returns its type. */
int lig_sys_option(lua_State *L, int idx, const char *name);

/* Seconds on the monotonic clock. */
double lig_sys_monotonic(void);

/* A signal by name ("TERM", "SIGTERM") or number at idx. */
int lig_sys_check_signal(lua_State *L, int idx);

/* Pushes the signal's name without SIG ("TERM"), or its number in digits. */
void lig_sys_push_signal(lua_State *L, int number);

/* What every wait does after at most LIG_SYS_SLICE_S and after EINTR: runs the
 * Lua handlers of signals that came in and raises "interrupted" when one of them
 * asks us to stop. Returns whether a handler ran. Waits are cut into slices because a
 * signal that arrives just before poll() does not wake it. */
bool lig_sys_signals_run(lua_State *L);
#define LIG_SYS_SLICE_S 0.25

#endif
