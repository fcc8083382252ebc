/* sys_content.c: what "sys" does with the content of files: read, replace, lock.
 *
 * A file is read whole or not at all, and replaced whole or not at all: a part of
 * a file passes too easily for the file.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_CLASS "ligase.sys.reader"
#define LOCK_CLASS "ligase.lock"

/* ---- box: one open file -------------------------------------------------- */

typedef struct descriptor {
    int fd;
} descriptor;

static descriptor *descriptor_new(lua_State *L, const char *class_name) {
    descriptor *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->fd = -1;
    luaL_setmetatable(L, class_name);
    return box;
}

static void descriptor_release(descriptor *box) {
    if (box->fd >= 0) {
        (void)close(box->fd); // which drops its flock, too
        box->fd = -1;
    }
}

/* Also when reading was cut short by an error. */
static int reader_close(lua_State *L) {
    descriptor_release(luaL_checkudata(L, 1, READER_CLASS));
    return 0;
}

/* lock:close(): lets the next one in. Idempotent. */
static int lock_close(lua_State *L) {
    descriptor_release(luaL_checkudata(L, 1, LOCK_CLASS));
    return 0;
}

/* ---- reading and writing ------------------------------------------------ */

/* sys.read_file(path[, limit_bytes]) -> content. A file larger than the limit is
 * refused: a part of it would pass for the whole. */
static int content_read(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    lua_Integer limit = luaL_optinteger(L, 2, LUA_MAXINTEGER);
    descriptor *box = descriptor_new(L, READER_CLASS);
    lua_toclose(L, -1);
    do {
        box->fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (box->fd < 0 && errno == EINTR && (lig_sys_signals_run(L), true));
    struct stat st;
    if (box->fd < 0 || fstat(box->fd, &st) != 0) {
        lig_error_errno(L, errno, "read", path);
    }
    luaL_Buffer content;
    luaL_buffinit(L, &content);
    // One byte more than the size: the read that finds the end needs no larger buffer.
    lua_Integer expected = S_ISREG(st.st_mode) && st.st_size < limit ? st.st_size + 1 : 0;
    lua_Integer size = 0;
    for (;;) {
        size_t room = expected > size ? (size_t)(expected - size) : BUFSIZ;
        ssize_t n = read(box->fd, luaL_prepbuffsize(&content, room), room);
        if (n < 0 && errno != EINTR) {
            lig_error_errno(L, errno, "read", path);
        }
        if (n == 0) {
            break;
        }
        lig_interrupt_check(L);
        if (n > 0) {
            luaL_addsize(&content, (size_t)n);
            size += n;
        }
        if (size > limit) {
            lig_error_push(L, LIG_KIND_INPUT, "EFBIG", "%s is larger than the %lld bytes allowed",
                           path, (long long)limit);
            lig_error_string(L, "path", path);
            lig_error_raise(L);
        }
    }
    luaL_pushresult(&content);
    return 1;
}

static int bytes_write(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Makes the rename durable; a file system that cannot sync a folder is no reason
 * to call the write a failure. */
static void folder_sync(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    memcpy(folder, slash == NULL ? "." : path, length);
    folder[length] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* Fills the new file beside the target and puts it in the target's place. The
 * target's mode and owner are kept unless a mode (not -1) is given. */
static int file_replace(const char *path, const char *data, size_t length, int mode) {
    struct stat old;
    bool existed = stat(path, &old) == 0;
    if (existed && !S_ISREG(old.st_mode)) {
        return S_ISDIR(old.st_mode) ? EISDIR : EINVAL; // a rename would replace a device by a file
    }
    char temporary[PATH_MAX];
    uint64_t word;
    if (getrandom(&word, sizeof word, 0) != sizeof word) {
        return errno;
    }
    int n = snprintf(temporary, sizeof temporary, "%s.%012llx.tmp", path,
                     (unsigned long long)(word >> 16));
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return ENAMETOOLONG;
    }
    mode_t initial = mode >= 0 ? (mode_t)mode & 0600 : existed ? 0600 : 0666;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, initial);
    if (fd < 0) {
        return errno;
    }
    int failure = bytes_write(fd, data, length);
    if (failure == 0 && existed && (old.st_uid != geteuid() || old.st_gid != getegid())) {
        failure = fchown(fd, old.st_uid, old.st_gid) != 0 && geteuid() == 0 ? errno : 0;
    }
    if (failure == 0 && (mode >= 0 || existed)) {
        failure = fchmod(fd, mode >= 0 ? (mode_t)mode : old.st_mode & 07777) != 0 ? errno : 0;
    }
    if (failure == 0 && fsync(fd) != 0) {
        failure = errno;
    }
    if (close(fd) != 0 && failure == 0) {
        failure = errno;
    }
    if (failure == 0 && rename(temporary, path) != 0) {
        failure = errno;
    }
    if (failure != 0) {
        (void)unlink(temporary);
        return failure;
    }
    folder_sync(path);
    return 0;
}

/* sys.write_file(path, content, {mode=}): readers see the old file or the new one,
 * also after a crash. */
static int content_write(lua_State *L) {
    static const char *const options[] = {"mode", NULL};
    const char *path = lig_sys_check_path(L, 1);
    size_t length;
    const char *data = luaL_checklstring(L, 2, &length);
    lig_sys_check_options(L, 3, "sys.write_file", options);
    int mode = -1;
    if (lig_sys_option(L, 3, "mode") != LUA_TNIL) {
        mode = (int)lig_sys_check_mode(L, lua_gettop(L));
    }
    char target[PATH_MAX]; // a link stays a link, and what it points to is replaced
    struct stat st;
    bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    int failure = 0;
    if (is_link && realpath(path, target) == NULL) {
        failure = errno;
    }
    if (failure == 0) {
        failure = file_replace(is_link ? target : path, data, length, mode);
    }
    if (failure != 0) {
        lig_error_errno(L, failure, "write", path);
    }
    return 0;
}

/* ---- locks -------------------------------------------------------------- */

/* Tries once: 0, EWOULDBLOCK or why not. The file may have been removed between
 * opening and locking it; then the lock protects nothing and is tried again. */
static int lock_try(descriptor *box, const char *path) {
    for (;;) {
        box->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (box->fd < 0 && (errno == EACCES || errno == EROFS)) {
            box->fd = open(path, O_RDONLY | O_CLOEXEC); // somebody else's file can be locked too
        }
        if (box->fd < 0) {
            return errno;
        }
        struct stat mine;
        struct stat there;
        int failure = flock(box->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (failure == 0 && fstat(box->fd, &mine) == 0 && stat(path, &there) == 0 &&
            mine.st_ino == there.st_ino && mine.st_dev == there.st_dev) {
            return 0;
        }
        descriptor_release(box);
        if (failure != 0 && failure != EINTR) {
            return failure;
        }
    }
}

/* Writes who holds the lock, for the message that the next one gets. */
static void lock_sign(const descriptor *box) {
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(box->fd, 0) == 0 && pwrite(box->fd, text, (size_t)length, 0) < 0) {
        return; // a lock on a full disk is still a lock
    }
}

static _Noreturn void lock_raise_held(lua_State *L, const char *path) {
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        (void)close(fd);
    }
    long holder = strtol(text, NULL, 10);
    lig_error_push(L, LIG_KIND_SYSTEM, "EAGAIN", "%s is locked by another process", path);
    if (holder > 0) {
        lua_pushfstring(L, "process %d", (int)holder);
        lua_setfield(L, -2, "detail");
        lig_error_integer(L, "holder_pid", holder);
    }
    lig_error_string(L, "path", path);
    lig_error_string(L, "hint", "Wait until that process has finished, or stop it");
    lig_error_raise(L);
}

/* sys.lock(path, {wait_s=0}) -> lock; raises "system"/EAGAIN when another holds it
 * longer than wait_s. Released by :close(), at scope end of a <close> variable,
 * by the collector, and by the kernel when the process ends. */
static int content_lock(lua_State *L) {
    static const char *const options[] = {"wait_s", NULL};
    const char *path = lig_sys_check_path(L, 1);
    lig_sys_check_options(L, 2, "sys.lock", options);
    double wait_s = lig_sys_option(L, 2, "wait_s") == LUA_TNIL ? 0 : luaL_checknumber(L, -1);
    descriptor *box = descriptor_new(L, LOCK_CLASS);
    double end = lig_sys_monotonic() + wait_s;
    for (useconds_t nap_us = 2000;; nap_us = nap_us < 100000 ? nap_us * 2 : nap_us) {
        int failure = lock_try(box, path);
        if (failure == 0) {
            break;
        }
        if (failure != EWOULDBLOCK) {
            lig_error_errno(L, failure, "lock", path);
        }
        if (!(lig_sys_monotonic() < end)) {
            lock_raise_held(L, path);
        }
        (void)usleep(nap_us);
        (void)lig_sys_signals_run(L);
    }
    lock_sign(box);
    return 1;
}

/* ---- module ------------------------------------------------------------- */

void lig_sys_content_open(lua_State *L) {
    static const luaL_Reg reader_meta[] = {
        {"__gc", reader_close}, {"__close", reader_close}, {NULL, NULL}};
    static const luaL_Reg lock_methods[] = {{"close", lock_close}, {NULL, NULL}};
    static const luaL_Reg lock_meta[] = {
        {"__gc", lock_close}, {"__close", lock_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"read_file", content_read},
                                         {"write_file", content_write},
                                         {"lock", content_lock},
                                         {NULL, NULL}};
    lig_class_new(L, READER_CLASS, NULL, reader_meta);
    lig_class_new(L, LOCK_CLASS, lock_methods, lock_meta);
    luaL_setfuncs(L, functions, 0);
}
