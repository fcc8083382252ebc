/* sys_file.c: what "sys" knows of the tree of files: looking, making, removing.
 *
 * The engines work on plain C values and report an errno; only the bindings know
 * Lua. Removing a tree never follows a link out of it. What is in a file is the
 * business of sys_content.c.
 */
#include "sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_CLASS "ligase.sys.scratch"
#define TREE_DEPTH_MAX 500 // one descriptor per level

/* ---- scratch: what a binding holds while Lua may raise ------------------- */

typedef struct scratch {
    struct dirent **entries;
    int entry_count;
    bool globbed;
    glob_t glob;
} scratch;

static void scratch_release(scratch *s) {
    for (int i = 0; i < s->entry_count; i++) {
        free(s->entries[i]);
    }
    free(s->entries);
    s->entries = NULL;
    s->entry_count = 0;
    if (s->globbed) {
        globfree(&s->glob);
        s->globbed = false;
    }
}

static int scratch_close(lua_State *L) {
    scratch_release(luaL_checkudata(L, 1, SCRATCH_CLASS));
    return 0;
}

static scratch *scratch_new(lua_State *L) {
    scratch *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (scratch){0};
    luaL_setmetatable(L, SCRATCH_CLASS);
    lua_toclose(L, -1);
    return s;
}

/* ---- looking ------------------------------------------------------------ */

static const char *stat_type(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "link";
    case S_IFSOCK:
        return "socket";
    case S_IFIFO:
        return "fifo";
    default:
        return "other";
    }
}

static void stat_field(lua_State *L, const char *name, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* sys.stat(path, {follow=true}) -> {type, size_bytes, modified_s, mode, uid, gid,
 * inode, device}, or nil when nothing is there. */
static int file_stat(lua_State *L) {
    static const char *const options[] = {"follow", NULL};
    const char *path = lig_sys_check_path(L, 1);
    lig_sys_check_options(L, 2, "sys.stat", options);
    bool follow = lig_sys_option(L, 2, "follow") == LUA_TNIL || lua_toboolean(L, -1);
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            lua_pushnil(L);
            return 1;
        }
        lig_error_errno(L, errno, "look at", path);
    }
    lua_createtable(L, 0, 8);
    lua_pushstring(L, stat_type(st.st_mode));
    lua_setfield(L, -2, "type");
    stat_field(L, "size_bytes", st.st_size);
    lua_pushnumber(L, (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9);
    lua_setfield(L, -2, "modified_s");
    stat_field(L, "mode", st.st_mode & 07777);
    stat_field(L, "uid", st.st_uid);
    stat_field(L, "gid", st.st_gid);
    stat_field(L, "inode", (lua_Integer)st.st_ino);
    stat_field(L, "device", (lua_Integer)st.st_dev);
    return 1;
}

static int entry_is_wanted(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int entry_compare(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* sys.list(folder) -> names in it, in byte order, without "." and "..". */
static int file_list(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    scratch *s = scratch_new(L);
    int count = scandir(path, &s->entries, entry_is_wanted, entry_compare);
    if (count < 0) {
        s->entries = NULL;
        lig_error_errno(L, errno, "list", path);
    }
    s->entry_count = count;
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, s->entries[i]->d_name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int path_compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int glob_failure(const char *path, int error) {
    (void)path;
    return error == EACCES || error == EIO; // a folder that cannot be read is not an empty one
}

/* sys.glob(pattern) -> paths that match *, ? and [...], in byte order. */
static int file_glob(lua_State *L) {
    const char *pattern = lig_sys_check_path(L, 1);
    scratch *s = scratch_new(L);
    errno = 0;
    int status = glob(pattern, GLOB_NOSORT, glob_failure, &s->glob);
    int saved_errno = errno;
    s->globbed = true;
    if (status != 0 && status != GLOB_NOMATCH) {
        lig_error_errno(L, status == GLOB_NOSPACE ? ENOMEM : saved_errno, "search", pattern);
    }
    size_t count = status == 0 ? s->glob.gl_pathc : 0;
    if (count > 1) {
        qsort(s->glob.gl_pathv, count, sizeof *s->glob.gl_pathv, path_compare);
    }
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, s->glob.gl_pathv[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* sys.real_path(path) -> absolute path without links; the path must exist. */
static int file_real_path(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    char out[PATH_MAX];
    if (realpath(path, out) == NULL) {
        lig_error_errno(L, errno, "find", path);
    }
    lua_pushstring(L, out);
    return 1;
}

/* sys.cwd() -> the current folder. */
static int file_cwd(lua_State *L) {
    char out[PATH_MAX];
    if (getcwd(out, sizeof out) == NULL) {
        lig_error_errno(L, errno, "find", "the current folder");
    }
    lua_pushstring(L, out);
    return 1;
}

/* sys.chdir(folder). */
static int file_chdir(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    if (chdir(path) != 0) {
        lig_error_errno(L, errno, "enter", path);
    }
    return 0;
}

/* ---- making and removing ------------------------------------------------ */

/* Makes the folders above path's last component. */
static int parents_make(const char *path) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part) {
        return ENAMETOOLONG;
    }
    memcpy(part, path, length + 1);
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p != '/' || p[1] == '/' || p[1] == '\0') {
            continue;
        }
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return errno;
        }
        *p = '/';
    }
    return 0;
}

/* sys.mkdir(path, {parents=false, mode=}) -> true when made, false when it was
 * there already (only with parents; without, that raises). */
static int file_mkdir(lua_State *L) {
    static const char *const options[] = {"parents", "mode", NULL};
    const char *path = lig_sys_check_path(L, 1);
    lig_sys_check_options(L, 2, "sys.mkdir", options);
    bool parents = lig_sys_option(L, 2, "parents") != LUA_TNIL && lua_toboolean(L, -1);
    bool with_mode = lig_sys_option(L, 2, "mode") != LUA_TNIL;
    mode_t mode = with_mode ? lig_sys_check_mode(L, lua_gettop(L)) : 0777;
    int failure = parents ? parents_make(path) : 0;
    if (failure == 0 && mkdir(path, mode) != 0) {
        failure = errno;
        struct stat st;
        if (parents && failure == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            lua_pushboolean(L, false);
            return 1;
        }
    } else if (failure == 0 && with_mode && chmod(path, mode) != 0) {
        failure = errno; // the mode asked for is exact, whatever the umask
    }
    if (failure != 0) {
        lig_error_errno(L, failure, "make folder", path);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* sys.remove(path) -> true, or false when nothing was there. Files, links and
 * empty folders. */
static int file_remove(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    int failure = remove(path) == 0 ? 0 : errno;
    if (failure != 0 && failure != ENOENT) {
        lig_error_errno(L, failure, "remove", path);
    }
    lua_pushboolean(L, failure == 0);
    return 1;
}

static int tree_remove_at(int parent, const char *name, int depth);

/* Removes what is in an open folder, which it closes. Entries may be skipped by
 * readdir while others go, hence the second look. */
static int folder_empty(int fd, int depth) {
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        int failure = errno;
        (void)close(fd);
        return failure;
    }
    int failure = depth >= TREE_DEPTH_MAX ? ELOOP : 0;
    for (bool found = true; found && failure == 0;) {
        found = false;
        rewinddir(folder);
        for (struct dirent *entry; failure == 0 && (entry = readdir(folder)) != NULL;) {
            if (entry_is_wanted(entry)) {
                found = true;
                failure = tree_remove_at(dirfd(folder), entry->d_name, depth + 1);
            }
        }
    }
    (void)closedir(folder);
    return failure;
}

static int tree_remove_at(int parent, const char *name, int depth) {
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : errno; // somebody else removed it meanwhile
    }
    int flags = 0;
    if (S_ISDIR(st.st_mode)) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int failure = fd < 0 ? errno : folder_empty(fd, depth);
        if (failure != 0) {
            return failure;
        }
        flags = AT_REMOVEDIR;
    }
    return unlinkat(parent, name, flags) == 0 || errno == ENOENT ? 0 : errno;
}

/* Whether removing path would take the floor from under this process. */
static bool path_holds_cwd(const char *path) {
    char target[PATH_MAX];
    char here[PATH_MAX];
    if (realpath(path, target) == NULL || getcwd(here, sizeof here) == NULL) {
        return false;
    }
    size_t length = strlen(target);
    return strcmp(target, "/") == 0 ||
           (strncmp(here, target, length) == 0 && (here[length] == '/' || here[length] == '\0'));
}

/* sys.remove_tree(path) -> true, or false when nothing was there. A link is
 * removed, never followed; the current folder and those above it are refused. */
static int file_remove_tree(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) {
            lig_error_errno(L, errno, "remove", path);
        }
        lua_pushboolean(L, false);
        return 1;
    }
    if (S_ISDIR(st.st_mode) && path_holds_cwd(path)) {
        lig_error_usage(L, "refusing to remove %s: the current folder lies in it", path);
    }
    int failure = tree_remove_at(AT_FDCWD, path, 0);
    if (failure != 0) {
        lig_error_errno(L, failure, "remove everything in", path);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* sys.rename(from, to): within one file system, replacing what is there. */
static int file_rename(lua_State *L) {
    const char *from = lig_sys_check_path(L, 1);
    const char *to = lig_sys_check_path(L, 2);
    if (rename(from, to) != 0) {
        int failure = errno;
        lig_error_errno(L, failure, "rename", lua_pushfstring(L, "%s to %s", from, to));
    }
    return 0;
}

/* sys.temp_dir([prefix="ligase-"]) -> path of a new private folder, in $TMPDIR
 * or /tmp unless the prefix is itself a path. */
static int file_temp_dir(lua_State *L) {
    const char *prefix = lua_isnoneornil(L, 1) ? "ligase-" : lig_sys_check_path(L, 1);
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    base = base != NULL && *base != '\0' ? base : "/tmp";
    int length = strchr(prefix, '/') != NULL
                     ? snprintf(path, sizeof path, "%sXXXXXX", prefix)
                     : snprintf(path, sizeof path, "%s/%sXXXXXX", base, prefix);
    if (length < 0 || (size_t)length >= sizeof path) {
        lig_error_errno(L, ENAMETOOLONG, "make a temporary folder", prefix);
    }
    if (mkdtemp(path) == NULL) {
        lig_error_errno(L, errno, "make a temporary folder in",
                        strchr(prefix, '/') != NULL ? prefix : base);
    }
    lua_pushstring(L, path);
    return 1;
}

static lua_Integer check_owner(lua_State *L, int idx) {
    lua_Integer id = luaL_optinteger(L, idx, -1);
    if (id < -1 || id >= UINT32_MAX) {
        lig_error_usage(L, "sys.chown: %lld is no user or group id", (long long)id);
    }
    return id;
}

/* sys.chown(path, uid, gid): nil leaves that one as it is. */
static int file_chown(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    uid_t uid = (uid_t)check_owner(L, 2);
    gid_t gid = (gid_t)check_owner(L, 3);
    if (chown(path, uid, gid) != 0) {
        lig_error_errno(L, errno, "change the owner of", path);
    }
    return 0;
}

/* sys.chmod(path, mode). */
static int file_chmod(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    if (chmod(path, lig_sys_check_mode(L, 2)) != 0) {
        lig_error_errno(L, errno, "change the mode of", path);
    }
    return 0;
}

/* ---- module ------------------------------------------------------------- */

static const luaL_Reg file_functions[] = {
    {"stat", file_stat},
    {"list", file_list},
    {"glob", file_glob},
    {"real_path", file_real_path},
    {"cwd", file_cwd},
    {"chdir", file_chdir},
    {"mkdir", file_mkdir},
    {"remove", file_remove},
    {"remove_tree", file_remove_tree},
    {"rename", file_rename},
    {"temp_dir", file_temp_dir},
    {"chown", file_chown},
    {"chmod", file_chmod},
    {NULL, NULL},
};

void lig_sys_file_open(lua_State *L) {
    static const luaL_Reg meta[] = {
        {"__gc", scratch_close}, {"__close", scratch_close}, {NULL, NULL}};
    lig_class_new(L, SCRATCH_CLASS, NULL, meta);
    luaL_setfuncs(L, file_functions, 0);
}
