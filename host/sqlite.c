/* sqlite.c: the module "sqlite": reading SQLite files, over libsqlite3.
 *
 * A file is only ever read: it is opened read-only, its own views and triggers may call
 * nothing that has side effects, and no other file can be attached to it.  Which tables
 * and columns are read, and what they mean, is decided in Lua.
 *
 * A statement's rows are made as they are asked for, so a table of any size can be gone
 * through.  Waiting for a writer's lock and long statements heed SIGINT and SIGTERM.
 */
#include "lig.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DATABASE_CLASS "ligase.sqlite"
#define STATEMENT_CLASS "ligase.sqlite_statement"
#define BUSY_TIMEOUT_S 5.0
#define BUSY_SLICE_MS 20
#define STEPS_BETWEEN_LOOKS 100000 /* of SQLite's virtual machine: well below a second */

/* ---- boxes -------------------------------------------------------------- */

typedef struct database {
    sqlite3 *handle; /* NULL once closed */
    double busy_timeout_s;
    struct timespec busy_since;
} database;

/* The database closes its statements; a statement looks there before it believes in its
 * own handle.  Its user values keep the database's box alive. */
typedef struct statement {
    sqlite3_stmt *handle;
    database *db;
    lua_Integer turn; /* counts the loops over it: only the last one goes on */
} statement;

enum { VALUE_DATABASE = 1, VALUE_NAMES, VALUE_PATH = 1 };

static database *database_get(lua_State *L, int index) {
    return luaL_checkudata(L, index, DATABASE_CLASS);
}

static database *database_check(lua_State *L, int index) {
    database *db = database_get(L, index);
    if (db->handle == NULL) {
        lig_error_usage(L, "the SQLite file is closed");
    }
    return db;
}

static bool statement_is_open(const statement *s) {
    return s->handle != NULL && s->db != NULL && s->db->handle != NULL;
}

static statement *statement_check(lua_State *L, int index) {
    statement *s = luaL_checkudata(L, index, STATEMENT_CLASS);
    if (!statement_is_open(s)) {
        lig_error_usage(L, s->handle == NULL ? "the SQLite statement is closed"
                                             : "the SQLite file is closed");
    }
    return s;
}

static int database_release(lua_State *L) {
    database *db = database_get(L, 1);
    if (db->handle != NULL) {
        sqlite3_stmt *open;
        while ((open = sqlite3_next_stmt(db->handle, NULL)) != NULL) {
            (void)sqlite3_finalize(open);
        }
        (void)sqlite3_close(db->handle);
        db->handle = NULL;
    }
    return 0;
}

static int statement_release(lua_State *L) {
    statement *s = luaL_checkudata(L, 1, STATEMENT_CLASS);
    if (statement_is_open(s)) {
        (void)sqlite3_finalize(s->handle);
    }
    s->handle = NULL;
    return 0;
}

/* ---- failures ----------------------------------------------------------- */

struct failure {
    int code; /* SQLite's primary result code */
    const char *kind, *name, *hint;
};

static const struct failure failures[] = {
    {SQLITE_ERROR, LIG_KIND_USAGE, "sql", NULL},
    {SQLITE_BUSY, LIG_KIND_SYSTEM, "busy",
     "Another program is writing to it: wait until that is done, or read a copy"},
    {SQLITE_LOCKED, LIG_KIND_SYSTEM, "busy",
     "Another program is writing to it: wait until that is done, or read a copy"},
    {SQLITE_IOERR, LIG_KIND_SYSTEM, "io", "Look at the disk that the file is on"},
    {SQLITE_CORRUPT, LIG_KIND_INPUT, "corrupt",
     "The file is damaged: look for a backup, or try what `sqlite3 FILE .recover` saves"},
    {SQLITE_NOTADB, LIG_KIND_INPUT, "not_sqlite",
     "Is it another kind of file, or an encrypted one?"},
    {SQLITE_CANTOPEN, LIG_KIND_INPUT, "unreadable",
     "Copy the file, with those beside it that end in -wal and -journal, to a folder of yours"},
    {SQLITE_READONLY, LIG_KIND_INPUT, "unfinished",
     "A program died while writing to it: open it once with sqlite3, or copy it with its -journal"},
    {SQLITE_PERM, LIG_KIND_INPUT, "unreadable", "Look at the file's permissions"},
    {SQLITE_AUTH, LIG_KIND_USAGE, "read_only", "SQLite files are only read"},
    {SQLITE_TOOBIG, LIG_KIND_USAGE, "too_big", NULL},
    {SQLITE_RANGE, LIG_KIND_USAGE, "parameters", NULL},
};

static const struct failure failure_other = {0, LIG_KIND_INPUT, "sqlite", NULL};

static const struct failure *failure_of(int code) {
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (failures[i].code == (code & 0xff)) {
            return &failures[i];
        }
    }
    return &failure_other;
}

/* Raises what SQLite reported of the database whose path is at the top of the stack. */
static _Noreturn void database_raise(lua_State *L, sqlite3 *handle, int code) {
    if ((code & 0xff) == SQLITE_INTERRUPT) {
        lig_interrupt_check(L);
    }
    if ((code & 0xff) == SQLITE_NOMEM) {
        luaL_error(L, "not enough memory");
    }
    const struct failure *failure = failure_of(code);
    const char *said = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    const char *path = lua_tostring(L, -1);
    lig_error_push(L, failure->kind, failure->name, "SQLite: %s", said);
    lig_error_string(L, "file", path);
    lig_error_string(L, "hint", failure->hint);
    lig_error_integer(L, "sqlite_code", code);
    lig_error_raise(L);
}

static _Noreturn void statement_raise(lua_State *L, int index, const statement *s, int code) {
    lua_getiuservalue(L, index, VALUE_DATABASE);
    lua_getiuservalue(L, -1, VALUE_PATH);
    database_raise(L, s->db->handle, code);
}

/* ---- opening ------------------------------------------------------------ */

static double elapsed_s(const struct timespec *since) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) * 1e-9;
}

/* Called while somebody else holds the lock; 0 gives up. */
static int busy_wait(void *data, int calls) {
    database *db = data;
    if (calls == 0) {
        (void)clock_gettime(CLOCK_MONOTONIC, &db->busy_since);
    }
    if (lig_interrupted() || elapsed_s(&db->busy_since) >= db->busy_timeout_s) {
        return 0;
    }
    struct timespec nap = {.tv_sec = 0, .tv_nsec = BUSY_SLICE_MS * 1000000L};
    (void)nanosleep(&nap, NULL);
    return 1;
}

static int progress_look(void *data) {
    (void)data;
    return lig_interrupted();
}

static _Noreturn void path_refuse(lua_State *L, const char *path, const char *code,
                                  const char *message, const char *hint) {
    lig_error_push(L, LIG_KIND_INPUT, code, "%s", message);
    lig_error_string(L, "file", path);
    lig_error_string(L, "hint", hint);
    lig_error_raise(L);
}

/* SQLite itself says of all of these only that it cannot open the file. */
static void path_check(lua_State *L, const char *path) {
    struct stat found;
    if (stat(path, &found) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            path_refuse(L, path, "missing", "there is no such file",
                        "Check the path; relative paths start at the current folder");
        }
        lig_error_errno(L, errno, "look at", path);
    }
    if (!S_ISREG(found.st_mode)) {
        path_refuse(L, path, S_ISDIR(found.st_mode) ? "directory" : "unreadable",
                    S_ISDIR(found.st_mode) ? "it is a folder" : "it is no regular file",
                    "Name the SQLite file itself");
    }
}

static double option_busy_timeout(lua_State *L, int index) {
    double seconds = BUSY_TIMEOUT_S;
    if (lua_isnoneornil(L, index)) {
        return seconds;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)";
        if (strcmp(key, "busy_timeout_s") != 0) {
            lig_error_usage(L, "sqlite.open: unknown option '%s'; the option is busy_timeout_s",
                            key);
        }
        if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) >= 0)) {
            lig_error_usage(L, "sqlite.open: busy_timeout_s must be a number of seconds");
        }
        seconds = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return seconds;
}

/* What a file says of itself is not to be trusted, and nothing else is to be opened. */
static void database_secure(database *db) {
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_handler(db->handle, busy_wait, db);
    sqlite3_progress_handler(db->handle, STEPS_BETWEEN_LOOKS, progress_look, NULL);
}

/* sqlite.open(path [, {busy_timeout_s = 5}]) -> the file, for reading.  Raises "input" for
 * what is no SQLite file, "system" when others write to it for longer than the time-out. */
static int sqlite_open(lua_State *L) {
    size_t length = 0;
    const char *path = luaL_checklstring(L, 1, &length);
    if (length == 0 || strlen(path) != length) {
        lig_error_usage(L, "sqlite.open: the path is empty or holds a NUL byte");
    }
    double busy_timeout_s = option_busy_timeout(L, 2);
    path_check(L, path);
    lua_settop(L, 1);
    database *db = lua_newuserdatauv(L, sizeof *db, VALUE_PATH);
    *db = (database){.busy_timeout_s = busy_timeout_s};
    luaL_setmetatable(L, DATABASE_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, VALUE_PATH);
    int code = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        database_secure(db);
        // The file itself is only looked at by the first statement.
        code = sqlite3_exec(db->handle, "SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        lua_pushvalue(L, 1);
        database_raise(L, db->handle, code);
    }
    return 1;
}

/* ---- values ------------------------------------------------------------- */

static void column_push(lua_State *L, sqlite3_stmt *handle, int column) {
    switch (sqlite3_column_type(handle, column)) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, (lua_Integer)sqlite3_column_int64(handle, column));
        return;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_column_double(handle, column));
        return;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(handle, column);
        lua_pushlstring(L, text != NULL ? text : "", (size_t)sqlite3_column_bytes(handle, column));
        return;
    }
    case SQLITE_BLOB: {
        const char *bytes = sqlite3_column_blob(handle, column); // NULL when it is empty
        lua_createtable(L, 0, 1);
        lua_pushlstring(L, bytes != NULL ? bytes : "",
                        (size_t)sqlite3_column_bytes(handle, column));
        lua_setfield(L, -2, "blob");
        return;
    }
    default:
        lua_pushlightuserdata(L, NULL); // host.null
    }
}

/* Pushes the current row; `names` is the stack index of the columns' names. */
static void row_push(lua_State *L, sqlite3_stmt *handle, int names) {
    int width = sqlite3_column_count(handle);
    lua_createtable(L, 0, width);
    for (int c = 0; c < width; c++) {
        lua_rawgeti(L, names, c + 1); // row name
        column_push(L, handle, c);
        lua_rawset(L, -3);
    }
}

static int value_bind(lua_State *L, sqlite3_stmt *handle, int number, int index) {
    size_t length = 0;
    const char *text;
    int code;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return sqlite3_bind_null(handle, number);
    case LUA_TBOOLEAN:
        return sqlite3_bind_int(handle, number, lua_toboolean(L, index));
    case LUA_TNUMBER:
        return lua_isinteger(L, index)
                   ? sqlite3_bind_int64(handle, number, (sqlite3_int64)lua_tointeger(L, index))
                   : sqlite3_bind_double(handle, number, lua_tonumber(L, index));
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        return sqlite3_bind_text64(handle, number, text, length, SQLITE_TRANSIENT, SQLITE_UTF8);
    case LUA_TTABLE:
        if (lua_getfield(L, index, "blob") == LUA_TSTRING) {
            text = lua_tolstring(L, -1, &length);
            code = sqlite3_bind_blob64(handle, number, text, length, SQLITE_TRANSIENT);
            lua_pop(L, 1);
            return code;
        }
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            return sqlite3_bind_null(handle, number);
        }
        break;
    default:
        break;
    }
    lig_error_usage(L, "parameter ?%d is a %s; blobs are written {blob = bytes}", number,
                    luaL_typename(L, index));
}

/* Makes the statement at 1 ready for a run with the values that follow it. */
static void statement_begin(lua_State *L, statement *s) {
    int given = lua_gettop(L) - 1;
    int wanted = sqlite3_bind_parameter_count(s->handle);
    if (given != wanted) {
        lig_error_usage(L, "the statement takes %d values, not %d", wanted, given);
    }
    (void)sqlite3_reset(s->handle);
    s->turn++;
    for (int i = 1; i <= given; i++) {
        int code = value_bind(L, s->handle, i, i + 1);
        if (code != SQLITE_OK) {
            statement_raise(L, 1, s, code);
        }
    }
}

/* Whether there is a further row; the statement is at `index`. */
static bool statement_step(lua_State *L, int index, statement *s) {
    int code = sqlite3_step(s->handle);
    if (code == SQLITE_ROW) {
        return true;
    }
    if (code != SQLITE_DONE) {
        lig_interrupt_check(L); // that was why a wait was given up
        statement_raise(L, index, s, code);
    }
    (void)sqlite3_reset(s->handle);
    return false;
}

/* ---- statements --------------------------------------------------------- */

/* Pushes the list of the columns' names.  A row is a table by name, so no two may be the
 * same. */
static void names_push(lua_State *L, sqlite3_stmt *handle) {
    int width = sqlite3_column_count(handle);
    lua_createtable(L, width, 0);
    lua_createtable(L, 0, width); // names seen
    for (int c = 0; c < width; c++) {
        const char *name = sqlite3_column_name(handle, c);
        if (name == NULL) {
            luaL_error(L, "not enough memory");
        }
        if (lua_getfield(L, -1, name) != LUA_TNIL) {
            lig_error_usage(L,
                            "two columns of the statement are called '%s': name one of them "
                            "anew with AS",
                            name);
        }
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, name);
        lua_pushstring(L, name);
        lua_rawseti(L, -3, c + 1);
    }
    lua_pop(L, 1);
}

/* db:prepare(sql) -> a statement, to be run any number of times. */
static int database_prepare(lua_State *L) {
    database *db = database_check(L, 1);
    size_t length = 0;
    const char *sql = luaL_checklstring(L, 2, &length);
    if (length >= INT_MAX || strlen(sql) != length) {
        lig_error_usage(L, "the SQL is too long or holds a NUL byte");
    }
    lua_settop(L, 2);
    statement *s = lua_newuserdatauv(L, sizeof *s, VALUE_NAMES);
    *s = (statement){.db = db};
    luaL_setmetatable(L, STATEMENT_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, VALUE_DATABASE);
    const char *rest = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, (int)length + 1, &s->handle, &rest);
    if (code != SQLITE_OK) {
        lig_interrupt_check(L);
        statement_raise(L, 3, s, code);
    }
    if (s->handle == NULL) {
        lig_error_usage(L, "there is no statement in '%s'", sql);
    }
    if (rest[strspn(rest, " \t\r\n;")] != '\0') {
        lig_error_usage(L, "one statement at a time, please; there is more: '%s'", rest);
    }
    names_push(L, s->handle);
    lua_setiuservalue(L, 3, VALUE_NAMES);
    return 1;
}

/* The iterator of statement:rows: upvalues are the statement and its turn. */
static int rows_next(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    statement *s = statement_check(L, 1);
    if (lua_tointeger(L, lua_upvalueindex(2)) != s->turn) {
        lig_error_usage(L, "the statement was begun anew inside a loop over its rows");
    }
    if (!statement_step(L, 1, s)) {
        s->turn++; // the loop is over, and stays so
        if (lua_toboolean(L, lua_upvalueindex(3))) {
            (void)statement_release(L);
        }
        lua_pushnil(L);
        return 1;
    }
    lua_getiuservalue(L, 1, VALUE_NAMES);
    row_push(L, s->handle, 2);
    return 1;
}

/* Begins a loop over the statement at 1 with the values after it; the loop closes what is
 * at `closing` when it is left. */
static int rows_push(lua_State *L, bool once) {
    statement *s = statement_check(L, 1);
    statement_begin(L, s);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, s->turn);
    lua_pushboolean(L, once);
    lua_pushcclosure(L, rows_next, 3);
    lua_pushnil(L);
    lua_pushnil(L);
    if (once) {
        lua_pushvalue(L, 1);
    } else {
        lua_pushnil(L);
    }
    return 4;
}

/* statement:rows(...) -> an iterator over the rows for these values, each a table by
 * column: integers, floats, strings, {blob = bytes}, and host.null. */
static int statement_rows(lua_State *L) {
    return rows_push(L, false);
}

static int rows_collect(lua_State *L) {
    statement *s = statement_check(L, 1);
    statement_begin(L, s);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, VALUE_NAMES);
    lua_newtable(L); // statement names rows
    for (lua_Integer n = 1; statement_step(L, 1, s); n++) {
        row_push(L, s->handle, 2);
        lua_rawseti(L, 3, n);
    }
    return 1;
}

/* statement:query(...) -> list of all rows for these values. */
static int statement_query(lua_State *L) {
    return rows_collect(L);
}

/* statement:columns() -> list of {name =, declared =}: the type that the table declares,
 * nil for what is computed.  Values may be of any type, whatever is declared. */
static int statement_columns(lua_State *L) {
    const statement *s = statement_check(L, 1);
    int width = sqlite3_column_count(s->handle);
    lua_createtable(L, width, 0);
    for (int c = 0; c < width; c++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, sqlite3_column_name(s->handle, c));
        lua_setfield(L, -2, "name");
        lua_pushstring(L, sqlite3_column_decltype(s->handle, c));
        lua_setfield(L, -2, "declared");
        lua_rawseti(L, -2, c + 1);
    }
    return 1;
}

/* statement:close(); may be called again. */
static int statement_close(lua_State *L) {
    return statement_release(L);
}

/* ---- databases ---------------------------------------------------------- */

/* Puts a statement for the SQL at 2 in the place of database and SQL. */
static void prepare_in_place(lua_State *L) {
    lua_pushcfunction(L, database_prepare);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    lua_replace(L, 1);
    lua_remove(L, 2);
}

/* db:query(sql, ...) -> list of all rows. */
static int database_query(lua_State *L) {
    prepare_in_place(L);
    (void)rows_collect(L);
    lua_pushcfunction(L, statement_release);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    return 1;
}

/* db:rows(sql, ...) -> an iterator over the rows; leaving the loop ends the statement. */
static int database_rows(lua_State *L) {
    prepare_in_place(L);
    return rows_push(L, true);
}

/* db:quote_identifier(name) -> the name in double quotes, for SQL. */
static int database_quote_identifier(lua_State *L) {
    (void)database_get(L, 1);
    size_t length = 0;
    const char *name = luaL_checklstring(L, 2, &length);
    if (strlen(name) != length) {
        lig_error_usage(L, "the name holds a NUL byte");
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
    return 1;
}

/* db:is_open() -> boolean. */
static int database_is_open(lua_State *L) {
    lua_pushboolean(L, database_get(L, 1)->handle != NULL);
    return 1;
}

/* db:close(): with its statements; may be called again. */
static int database_close(lua_State *L) {
    return database_release(L);
}

static int database_tostring(lua_State *L) {
    const database *db = database_get(L, 1);
    lua_getiuservalue(L, 1, VALUE_PATH);
    lua_pushfstring(L, DATABASE_CLASS " (%s)", db->handle != NULL ? lua_tostring(L, -1) : "closed");
    return 1;
}

/* ---- registration ------------------------------------------------------- */

int luaopen_lig_sqlite(lua_State *L) {
    static const luaL_Reg database_methods[] = {{"prepare", database_prepare},
                                                {"query", database_query},
                                                {"rows", database_rows},
                                                {"quote_identifier", database_quote_identifier},
                                                {"is_open", database_is_open},
                                                {"close", database_close},
                                                {NULL, NULL}};
    static const luaL_Reg database_meta[] = {{"__gc", database_release},
                                             {"__close", database_release},
                                             {"__tostring", database_tostring},
                                             {NULL, NULL}};
    static const luaL_Reg statement_methods[] = {{"rows", statement_rows},
                                                 {"query", statement_query},
                                                 {"columns", statement_columns},
                                                 {"close", statement_close},
                                                 {NULL, NULL}};
    static const luaL_Reg statement_meta[] = {
        {"__gc", statement_release}, {"__close", statement_release}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", sqlite_open}, {NULL, NULL}};
    lig_class_new(L, DATABASE_CLASS, database_methods, database_meta);
    lig_class_new(L, STATEMENT_CLASS, statement_methods, statement_meta);
    luaL_newlib(L, functions);
    lua_pushstring(L, sqlite3_libversion());
    lua_setfield(L, -2, "version");
    return 1;
}
