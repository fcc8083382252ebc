/* csv.c: the csv primitive: tables of text as frames or as plain rows.
 *
 * Checks options (csv_options.c), opens a source (source.c), reads it (csv_reader.c) and hands
 * frames to Lua (frame.c).  What a file's dialect is, is decided in Lua.
 */
#include "csv_options.h"
#include "frame.h"
#include "lig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READER_CLASS "ligase.csv"
#define LIVE_BYTES ((size_t)32 << 20)

struct reader {
    struct lig_csv *csv;       /* NULL once closed */
    bool rows;                 /* yields rows instead of frames */
    bool named;                /* the columns have names, from the header or given */
    bool busy;                 /* reading: a finalizer that closes it must wait */
    bool unwanted;             /* was closed meanwhile */
    struct lig_cells *current; /* rows: the frame being walked */
    size_t row;
};

/* User values of a reader: the source's name, the schema, the string read from, the
 * columns' names that were given. */
enum { VALUE_NAME = 1, VALUE_SCHEMA = 2, VALUE_STRING = 3, VALUE_ENCODING = 4, VALUE_NAMES = 5 };

/* ---- the state's account of frames --------------------------------------- */

#define ACCOUNT_CLASS "ligase.csv.account"

static int account_gc(lua_State *L) {
    struct lig_account **box = luaL_checkudata(L, 1, ACCOUNT_CLASS);
    lig_account_release(*box);
    *box = NULL;
    return 0;
}

/* The account of this state, made when it is first asked for. */
static struct lig_account *account_of(lua_State *L) {
    static const char key;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
        lua_pop(L, 1);
        struct lig_account **made = lua_newuserdatauv(L, sizeof *made, 0);
        *made = NULL;
        luaL_setmetatable(L, ACCOUNT_CLASS);
        *made = calloc(1, sizeof **made);
        if (*made == NULL) {
            luaL_error(L, "out of memory");
        }
        (*made)->references = 1;
        (*made)->limit_bytes = LIVE_BYTES;
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    struct lig_account *account = *(struct lig_account **)lua_touserdata(L, -1);
    lua_pop(L, 1);
    return account;
}

/* ---- box ----------------------------------------------------------------- */

static void reader_release(struct reader *r) {
    lig_csv_free(r->csv);
    lig_cells_release(r->current);
    r->csv = NULL;
    r->current = NULL;
}

static int reader_gc(lua_State *L) {
    reader_release(luaL_checkudata(L, 1, READER_CLASS));
    return 0;
}

/* reader:close(): closes the source; frames that were read stay.  Closing twice is fine. */
static int reader_close(lua_State *L) {
    struct reader *r = luaL_checkudata(L, 1, READER_CLASS);
    r->unwanted = true;
    if (!r->busy) {
        reader_release(r);
    }
    return 0;
}

static struct reader *reader_check(lua_State *L) {
    struct reader *r = luaL_checkudata(L, 1, READER_CLASS);
    if (r->csv == NULL || r->unwanted) {
        lig_error_usage(L, "this reader was closed");
    }
    return r;
}

/* ---- failures ------------------------------------------------------------ */

/* Pushes a failure of reading; the source's name is its "file". */
static void failure_push(lua_State *L, int reader_index, const char *code, int errno_value,
                         const char *message, const char *hint) {
    reader_index = lua_absindex(L, reader_index);
    if (errno_value == EINTR) {
        lig_interrupt_check(L);
    }
    if (errno_value == ENOMEM) {
        luaL_error(L, "out of memory");
    }
    bool misuse = strcmp(code, "encoding_name") == 0;
    lig_error_push(L, misuse ? LIG_KIND_USAGE : LIG_KIND_INPUT, code, "%s", message);
    lua_getiuservalue(L, reader_index, VALUE_NAME);
    lua_setfield(L, -2, "file");
    if (*hint != '\0') {
        lig_error_string(L, "hint", hint);
    }
}

/* Pushes what stopped the reader. */
static void reader_error_push(lua_State *L, int reader_index) {
    struct reader *r = lua_touserdata(L, reader_index);
    const struct lig_csv_error *e = lig_csv_last_error(r->csv);
    failure_push(L, reader_index, e->code, e->errno_value, e->message, e->hint);
    if (e->line > 0) {
        lig_error_integer(L, "line", (lua_Integer)e->line);
    }
    if (e->column > 0) {
        lig_error_integer(L, "column", (lua_Integer)e->column);
    }
    if (e->byte > 0) {
        lig_error_integer(L, "byte", (lua_Integer)e->byte);
        lua_pushfstring(L, "byte %I", (LUAI_UACINT)e->byte);
        lua_setfield(L, -2, "detail");
    }
}

_Noreturn static void reader_fail(lua_State *L, int reader_index) {
    reader_error_push(L, reader_index);
    lig_error_raise(L);
}

_Noreturn static void source_fail(lua_State *L, int reader_index,
                                  const struct lig_source_error *e) {
    failure_push(L, reader_index, e->code, e->errno_value, e->message, e->hint);
    lig_error_raise(L);
}

/* ---- opening ------------------------------------------------------------- */

/* Keeps the source's name, and the string it is read from, in the reader at 3;
 * returns its path, or NULL for a string. */
static const char *source_keep(lua_State *L, const char **text, size_t *length) {
    const char *path = NULL;
    if (lua_type(L, 1) == LUA_TTABLE) {
        if (lua_getfield(L, 1, "text") != LUA_TSTRING) {
            lig_error_usage(L, "a source is a path, \"-\" for standard input, or {text = string}");
        }
        *text = lua_tolstring(L, -1, length);
        lua_setiuservalue(L, 3, VALUE_STRING);
        if (lua_getfield(L, 1, "name") != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushliteral(L, "(text)");
        }
    } else {
        path = luaL_checkstring(L, 1);
        if (strlen(path) != lua_rawlen(L, 1)) {
            lig_error_usage(L, "a path cannot hold a NUL byte");
        }
        lua_pushstring(L, strcmp(path, "-") == 0 ? "(standard input)" : path);
    }
    lua_setiuservalue(L, 3, VALUE_NAME);
    return path;
}

/* The names of the columns, when they were given: a list of strings. */
static void names_keep(lua_State *L) {
    int type = lua_getfield(L, 2, "names");
    if (type != LUA_TNIL && type != LUA_TTABLE) {
        lig_error_usage(L, "names must be a list of strings, not %s", luaL_tolstring(L, -1, NULL));
    }
    for (lua_Integer i = 1; type == LUA_TTABLE && i <= (lua_Integer)lua_rawlen(L, -1); i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING) {
            lig_error_usage(L, "names must be a list of strings, not of %s", luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    lua_setiuservalue(L, 3, VALUE_NAMES);
}

/* Opens the source at stack index 1 with the options at 2; leaves the reader on
 * top.  Source: a path, "-" for standard input, or {text = "..."[, name = "..."]}. */
static struct reader *reader_open(lua_State *L) {
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct lig_csv_options options;
    lig_csv_options_read(L, 2, &options);

    struct reader *r = lua_newuserdatauv(L, sizeof *r, 5);
    memset(r, 0, sizeof *r);
    luaL_setmetatable(L, READER_CLASS);
    int type = lua_getfield(L, 2, "encoding");
    if (type != LUA_TNIL && type != LUA_TSTRING) {
        lig_error_usage(L, "encoding must be a string, not %s", luaL_tolstring(L, -1, NULL));
    }
    const char *encoding = lua_tostring(L, -1);
    lua_setiuservalue(L, 3, VALUE_ENCODING); // kept alive: the source refers to it
    names_keep(L);
    const char *text = NULL;
    size_t length = 0;
    const char *path = source_keep(L, &text, &length);
    struct lig_account *account = account_of(L);

    // The cells of a throw-away frame own the format while it may still raise.
    struct lig_format *format = lig_format_new();
    struct lig_cells *holder = format == NULL ? NULL : lig_cells_new(format);
    lig_format_release(format);
    if (holder == NULL) {
        luaL_error(L, "out of memory");
    }
    r->current = holder;
    holder->format->account = account;
    account->references++;
    lig_format_fill(L, holder->format, 2);

    struct lig_source_error error = {0};
    struct lig_source *source = path != NULL ? lig_source_open(path, encoding, &error)
                                             : lig_source_of_string(text, length, encoding, &error);
    if (source == NULL) {
        source_fail(L, 3, &error);
    }
    holder->format->references++;
    r->csv = lig_csv_new(&options, source, holder->format);
    lig_cells_release(r->current);
    r->current = NULL;
    if (r->csv == NULL) {
        luaL_error(L, "out of memory");
    }
    lua_settop(L, 3);
    return r;
}

/* Pushes the names of the columns of the reader at 3: those given, those of the header,
 * or V1, V2, ... */
static void names_push(lua_State *L, const struct lig_csv *csv, size_t columns) {
    const struct lig_cells *header = lig_csv_header(csv);
    bool given = lua_getiuservalue(L, 3, VALUE_NAMES) == LUA_TTABLE;
    lua_createtable(L, (int)columns, 0);
    for (size_t i = 0; i < columns; i++) {
        if (given) {
            lua_rawgeti(L, -2, (lua_Integer)i + 1);
        } else if (header != NULL) {
            struct lig_text cell = lig_cell(header, 0, i);
            lua_pushlstring(L, cell.at, cell.length);
        } else {
            lua_pushfstring(L, "V%d", (int)i + 1);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* Whether names were given; they must be as many as there are columns. An empty table
 * without a header has any number of columns. */
static bool names_check(lua_State *L, struct reader *r) {
    size_t columns = lig_csv_columns(r->csv);
    bool given = lua_getiuservalue(L, 3, VALUE_NAMES) == LUA_TTABLE;
    if (given && columns > 0 && lua_rawlen(L, -1) != columns) {
        lua_pushfstring(L, "%I names were given for %I columns", (LUAI_UACINT)lua_rawlen(L, -1),
                        (LUAI_UACINT)columns);
        failure_push(L, 3, "ragged", 0, lua_tostring(L, -1), "Give each column one name");
        reader_release(r);
        lig_error_raise(L);
    }
    lua_pop(L, 1);
    return given;
}

/* Reads header and first frame, and makes the schema its frames share. */
static void reader_start(lua_State *L, struct reader *r) {
    if (!lig_csv_start(r->csv)) {
        reader_error_push(L, 3);
        reader_release(r); // the collector may come by much later
        lig_error_raise(L);
    }
    r->named = names_check(L, r) || lig_csv_header(r->csv) != NULL;
    names_push(L, r->csv, lig_csv_columns(r->csv));
    lig_frame_schema_push(L, -1);
    lua_setiuservalue(L, 3, VALUE_SCHEMA);
    lua_settop(L, 3);
}

/* The four values of a generic for: the reader is its own iterator and is closed
 * when the loop is left. */
static int reader_return(lua_State *L) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 3);
    return 4;
}

/* csv.frames(source[, options]) -> reader that yields frames. */
static int csv_frames(lua_State *L) {
    reader_start(L, reader_open(L));
    return reader_return(L);
}

/* csv.rows(source[, options]) -> reader that yields one table per row, keyed by the
 * columns' names (by position without a header, or where names repeat). */
static int csv_rows(lua_State *L) {
    struct reader *r = reader_open(L);
    r->rows = true;
    reader_start(L, r);
    return reader_return(L);
}

/* csv.widths(source[, options[, limit]]) -> list of the number of fields of each
 * record, header included, of at most `limit` records (1,000), and the error that
 * stopped it, if one did.  Ragged rows are fine. */
static int csv_widths(lua_State *L) {
    lua_Integer limit = luaL_optinteger(L, 3, 1000);
    struct reader *r = reader_open(L);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= limit; i++) {
        int64_t width = lig_csv_width(r->csv);
        if (width < 0) {
            reader_error_push(L, 3);
            break;
        }
        if (width == 0) {
            break;
        }
        lua_pushinteger(L, (lua_Integer)width);
        lua_rawseti(L, -2, i);
    }
    reader_release(r);
    lua_settop(L, 5); // source options reader widths failure
    return 2;
}

/* csv.head(source[, options[, bytes]]) -> the first bytes (64 KiB) as UTF-8, and
 * {encoding, byte_order_mark, gzip, complete (these bytes are all there is)}. */
static int csv_head(lua_State *L) {
    lua_Integer bytes = luaL_optinteger(L, 3, 65536);
    if (bytes < 16 || bytes > (64 << 20)) {
        lig_error_usage(L, "the number of bytes must be from 16 to 64 MiB");
    }
    size_t wanted = (size_t)bytes;
    struct reader *r = reader_open(L);
    struct lig_source *source = lig_csv_source(r->csv);
    // One byte too many tells whether there are more; a source wants room for 16.
    size_t capacity = wanted + 17;
    char *buffer = lua_newuserdatauv(L, capacity, 0);
    size_t got = 0;
    bool ended = false;
    while (got <= wanted && !ended) {
        struct lig_source_error error = {0};
        ssize_t n = lig_source_read(source, buffer + got, capacity - got, &error);
        if (n < 0) {
            source_fail(L, 3, &error);
        }
        got += (size_t)n;
        ended = n == 0;
    }
    bool complete = ended && got <= wanted;
    got = got < wanted ? got : wanted;
    struct lig_source_info info;
    lig_source_info(source, &info);
    lua_pushlstring(L, buffer, got);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, info.encoding);
    lua_setfield(L, -2, "encoding");
    lua_pushboolean(L, info.byte_order_mark);
    lua_setfield(L, -2, "byte_order_mark");
    lua_pushboolean(L, info.gzip);
    lua_setfield(L, -2, "gzip");
    lua_pushboolean(L, complete);
    lua_setfield(L, -2, "complete");
    reader_release(r);
    return 2;
}

/* ---- reading ------------------------------------------------------------- */

/* Frames hold memory that Lua's collector cannot see.  When much of it lives, in
 * whatever readers' frames, let the collector look, so that a loop which never closes
 * its frames stays small. */
static void frame_account(lua_State *L, struct lig_cells *cells) {
    struct lig_account *account = cells->format->account;
    cells->accounted = cells->text_capacity + cells->end_capacity * sizeof *cells->ends +
                       cells->line_capacity * sizeof *cells->lines;
    account->live_bytes += cells->accounted;
    if (account->live_bytes > account->limit_bytes) {
        (void)lua_gc(L, LUA_GCCOLLECT);
        size_t kept = account->live_bytes * 2; // what still lives is kept on purpose
        account->limit_bytes = kept > LIVE_BYTES ? kept : LIVE_BYTES;
    }
}

static int next_frame(lua_State *L, struct reader *r) {
    bool stopped = false;
    lig_cells_release(r->current); // of a call that ran out of memory
    r->current = lig_csv_next(r->csv, &stopped);
    if (stopped) {
        reader_fail(L, 1);
    }
    if (r->current == NULL) {
        lua_pushnil(L);
        return 1;
    }
    frame_account(L, r->current);
    lua_getiuservalue(L, 1, VALUE_SCHEMA);
    lig_frame_push(L, &r->current, -1);
    return 1;
}

static int next_row(lua_State *L, struct reader *r) {
    while (r->current == NULL || r->row == r->current->rows) {
        bool stopped = false;
        lig_cells_release(r->current);
        r->current = lig_csv_next(r->csv, &stopped);
        r->row = 0;
        if (stopped) {
            reader_fail(L, 1);
        }
        if (r->current == NULL) {
            lua_pushnil(L);
            return 1;
        }
    }
    const struct lig_cells *c = r->current;
    bool named = r->named;
    lua_getiuservalue(L, 1, VALUE_SCHEMA);
    lua_getfield(L, -1, "index");
    lua_getfield(L, -2, "names");
    lua_createtable(L, named ? 0 : (int)c->columns, named ? (int)c->columns : 0);
    for (size_t i = 0; i < c->columns; i++) {
        struct lig_text cell = lig_cell(c, r->row, i);
        if (named) {
            lua_rawgeti(L, -2, (lua_Integer)i + 1); // .. index names row name
            lua_pushvalue(L, -1);
            lua_rawget(L, -5);
            bool repeated = lua_tointeger(L, -1) == 0;
            lua_pop(L, 1);
            if (repeated) {
                lua_pop(L, 1);
                lua_pushinteger(L, (lua_Integer)i + 1);
            }
            lua_pushlstring(L, cell.at, cell.length);
            lua_rawset(L, -3);
        } else {
            lua_pushlstring(L, cell.at, cell.length);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
    }
    r->row++;
    return 1;
}

static int reader_read(lua_State *L) {
    struct reader *r = lua_touserdata(L, 1);
    return r->rows ? next_row(L, r) : next_frame(L, r);
}

/* reader:next() -> the next frame (or row), or nil at the end. */
static int reader_next(lua_State *L) {
    struct reader *r = reader_check(L);
    lua_settop(L, 1);
    r->busy = true;
    lua_pushcfunction(L, reader_read);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    r->busy = false;
    if (r->unwanted) {
        reader_release(r);
    }
    return status == LUA_OK ? 1 : lua_error(L);
}

/* reader:names() -> list of the columns' names. */
static int reader_names(lua_State *L) {
    (void)reader_check(L);
    lua_getiuservalue(L, 1, VALUE_SCHEMA);
    lua_getfield(L, -1, "names");
    return 1;
}

/* reader:info() -> {name, encoding, byte_order_mark, gzip, bytes (read so far, as
 * stored), sha256 (of those; nil before the end), lines, rows, header_line,
 * header_short (the header had no cell for the first column)}. */
static int reader_info(lua_State *L) {
    struct reader *r = reader_check(L);
    struct lig_source_info info;
    lig_source_info(lig_csv_source(r->csv), &info);
    lua_createtable(L, 0, 10);
    lua_getiuservalue(L, 1, VALUE_NAME);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, info.encoding);
    lua_setfield(L, -2, "encoding");
    lua_pushboolean(L, info.byte_order_mark);
    lua_setfield(L, -2, "byte_order_mark");
    lua_pushboolean(L, info.gzip);
    lua_setfield(L, -2, "gzip");
    lua_pushinteger(L, (lua_Integer)info.raw_bytes);
    lua_setfield(L, -2, "bytes");
    if (*info.sha256 != '\0') {
        lua_pushstring(L, info.sha256);
        lua_setfield(L, -2, "sha256");
    }
    lua_pushinteger(L, (lua_Integer)lig_csv_lines(r->csv));
    lua_setfield(L, -2, "lines");
    lua_pushinteger(L, (lua_Integer)lig_csv_rows(r->csv));
    lua_setfield(L, -2, "rows");
    lua_pushinteger(L, (lua_Integer)lig_csv_header_line(r->csv));
    lua_setfield(L, -2, "header_line");
    lua_pushboolean(L, lig_csv_header_short(r->csv));
    lua_setfield(L, -2, "header_short");
    return 1;
}

int luaopen_lig_csv(lua_State *L) {
    static const luaL_Reg methods[] = {{"next", reader_next},
                                       {"names", reader_names},
                                       {"info", reader_info},
                                       {"close", reader_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__call", reader_next}, {"__gc", reader_gc}, {"__close", reader_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"frames", csv_frames},
                                         {"rows", csv_rows},
                                         {"widths", csv_widths},
                                         {"head", csv_head},
                                         {NULL, NULL}};
    luaL_requiref(L, "frame", luaopen_lig_frame, 0);
    lua_pop(L, 1);
    static const luaL_Reg account_meta[] = {{"__gc", account_gc}, {NULL, NULL}};
    lig_class_new(L, ACCOUNT_CLASS, NULL, account_meta);
    lig_class_new(L, READER_CLASS, methods, meta);
    luaL_newlib(L, functions);
    lua_newtable(L);
    for (size_t i = 0; lig_usual_marks[i] != NULL; i++) {
        lua_pushstring(L, lig_usual_marks[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "usual_missing");
    return 1;
}
