/* pg_result.c: results as Lua values.
 *
 * A PGresult lives in a box until its values have been pushed: pushing allocates,
 * and a JSON decoder is Lua code, so either may raise at any point.
 */
#include "number.h"
#include "pg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_CLASS "ligase.pg_result"
#define ARRAY_DEPTH_MAX 6

/* The address is the registry key of the function given to pg.use_json. */
static const char json_key = 0;

/* ---- box ---------------------------------------------------------------- */

lig_result *lig_result_new(lua_State *L, int count) {
    size_t n = (size_t)count;
    lig_result *box = lua_newuserdatauv(L, sizeof *box + n * sizeof box->items[0], 0);
    box->count = count;
    for (size_t i = 0; i < n; i++) {
        box->items[i] = NULL;
    }
    luaL_setmetatable(L, RESULT_CLASS);
    return box;
}

void lig_result_clear(lig_result *box) {
    for (int i = 0; i < box->count; i++) {
        PQclear(box->items[i]);
        box->items[i] = NULL;
    }
}

static int result_release(lua_State *L) {
    lig_result_clear(lua_touserdata(L, 1));
    return 0;
}

/* ---- types -------------------------------------------------------------- */

/* The types of Postgres that have a Lua form of their own, and those that are
 * common as text; the rest is text too, with the name "other". */
static const lig_pg_type types[] = {
    {25, 1009, "text", NULL, LIG_SHAPE_TEXT},
    {20, 1016, "int8", "bigint", LIG_SHAPE_INTEGER},
    {23, 1007, "int4", "integer", LIG_SHAPE_INTEGER},
    {701, 1022, "float8", "double precision", LIG_SHAPE_FLOAT},
    {16, 1000, "bool", "boolean", LIG_SHAPE_BOOLEAN},
    {2950, 2951, "uuid", NULL, LIG_SHAPE_TEXT},
    {3802, 3807, "jsonb", NULL, LIG_SHAPE_JSON},
    {1184, 1185, "timestamptz", "timestamp with time zone", LIG_SHAPE_TEXT},
    {1043, 1015, "varchar", "character varying", LIG_SHAPE_TEXT},
    {114, 199, "json", NULL, LIG_SHAPE_JSON},
    {1700, 1231, "numeric", "decimal", LIG_SHAPE_TEXT},
    {17, 1001, "bytea", NULL, LIG_SHAPE_BYTES},
    {21, 1005, "int2", "smallint", LIG_SHAPE_INTEGER},
    {700, 1021, "float4", "real", LIG_SHAPE_FLOAT},
    {26, 1028, "oid", NULL, LIG_SHAPE_INTEGER},
    {19, 1003, "name", NULL, LIG_SHAPE_TEXT},
    {18, 1002, "char", NULL, LIG_SHAPE_TEXT},
    {1042, 1014, "bpchar", "character", LIG_SHAPE_TEXT},
    {1114, 1115, "timestamp", "timestamp without time zone", LIG_SHAPE_TEXT},
    {1082, 1182, "date", NULL, LIG_SHAPE_TEXT},
    {1083, 1183, "time", "time without time zone", LIG_SHAPE_TEXT},
    {1266, 1270, "timetz", "time with time zone", LIG_SHAPE_TEXT},
    {1186, 1187, "interval", NULL, LIG_SHAPE_TEXT},
    {869, 1041, "inet", NULL, LIG_SHAPE_TEXT},
    {650, 651, "cidr", NULL, LIG_SHAPE_TEXT},
    {142, 143, "xml", NULL, LIG_SHAPE_TEXT},
    {27, 1010, "tid", NULL, LIG_SHAPE_TEXT},
    {28, 1011, "xid", NULL, LIG_SHAPE_TEXT},
    {5069, 271, "xid8", NULL, LIG_SHAPE_TEXT},
    {3220, 3221, "pg_lsn", NULL, LIG_SHAPE_TEXT},
    {2205, 2210, "regclass", NULL, LIG_SHAPE_TEXT},
    {2206, 2211, "regtype", NULL, LIG_SHAPE_TEXT},
    {3904, 3905, "int4range", NULL, LIG_SHAPE_TEXT},
    {3926, 3927, "int8range", NULL, LIG_SHAPE_TEXT},
    {2278, 0, "void", NULL, LIG_SHAPE_TEXT},
    {705, 0, "unknown", NULL, LIG_SHAPE_TEXT},
};

static const lig_pg_type type_other = {0, 0, "other", NULL, LIG_SHAPE_TEXT};

const lig_pg_type *lig_pg_type_named(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool same = strcmp(types[i].name, name) == 0 ||
                    (types[i].alias != NULL && strcmp(types[i].alias, name) == 0);
        if (same && types[i].array != 0) {
            return &types[i];
        }
    }
    return NULL;
}

/* A column: its type, or its elements' type. */
typedef struct column {
    const lig_pg_type *type;
    bool is_array;
} column;

static column column_of(Oid oid) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].oid == oid) {
            return (column){&types[i], false};
        }
        if (types[i].array == oid && oid != 0) {
            return (column){&types[i], true};
        }
    }
    return (column){&type_other, false};
}

/* ---- values ------------------------------------------------------------- */

static _Noreturn void value_refuse(lua_State *L, const lig_pg_type *type) {
    lig_error_push(L, LIG_KIND_DATABASE, "XX000", "the server sent a %s that cannot be read",
                   type->name);
    lig_error_raise(L);
}

static void integer_push(lua_State *L, const lig_pg_type *type, const char *text, size_t length) {
    size_t i = 0;
    bool negative = length > 0 && text[0] == '-';
    if (negative) {
        i = 1;
    }
    if (i == length || length > 20) {
        value_refuse(L, type);
    }
    lua_Unsigned value = 0;
    for (; i < length; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9) {
            value_refuse(L, type);
        }
        value = value * 10 + digit;
    }
    lua_pushinteger(L, (lua_Integer)(negative ? 0U - value : value));
}

static void float_push(lua_State *L, const lig_pg_type *type, const char *text, size_t length) {
    double value = 0;
    if (length == 3 && memcmp(text, "NaN", 3) == 0) {
        value = (double)NAN;
    } else if (lig_number_read(text, length, '.', &value) == LIG_NUMBER_NONE) {
        value_refuse(L, type);
    }
    lua_pushnumber(L, value);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The session is set to the hexadecimal form; a script may have changed that. */
static void bytes_push(lua_State *L, const lig_pg_type *type, const char *text, size_t length) {
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, length + 1);
    size_t n = 0;
    if (length >= 2 && text[0] == '\\' && text[1] == 'x') {
        for (size_t i = 2; i + 1 < length; i += 2) {
            int high = hex_digit(text[i]);
            int low = hex_digit(text[i + 1]);
            if (high < 0 || low < 0) {
                value_refuse(L, type);
            }
            out[n++] = (char)(high << 4 | low);
        }
    } else {
        for (size_t i = 0; i < length; i++) {
            if (text[i] != '\\') {
                out[n++] = text[i];
            } else if (i + 1 < length && text[i + 1] == '\\') {
                out[n++] = '\\';
                i++;
            } else if (i + 3 < length) {
                out[n++] = (char)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
                                  (text[i + 3] - '0'));
                i += 3;
            } else {
                value_refuse(L, type);
            }
        }
    }
    luaL_pushresultsize(&b, n);
}

/* `json` is the stack index of the decoder, 0 without one. */
static void value_push(lua_State *L, const lig_pg_type *type, const char *text, size_t length,
                       int json) {
    switch (type->shape) {
    case LIG_SHAPE_INTEGER:
        integer_push(L, type, text, length);
        return;
    case LIG_SHAPE_FLOAT:
        float_push(L, type, text, length);
        return;
    case LIG_SHAPE_BOOLEAN:
        lua_pushboolean(L, length > 0 && text[0] == 't');
        return;
    case LIG_SHAPE_BYTES:
        bytes_push(L, type, text, length);
        return;
    case LIG_SHAPE_JSON:
        if (json != 0) {
            lua_pushvalue(L, json);
            lua_pushlstring(L, text, length);
            lua_call(L, 1, 1);
            return;
        }
        break;
    case LIG_SHAPE_TEXT:
        break;
    }
    lua_pushlstring(L, text, length);
}

/* ---- arrays ------------------------------------------------------------- */

/* Pushes the quoted element that begins at p; returns what follows it. */
static const char *quoted_push(lua_State *L, const lig_pg_type *type, const char *p,
                               const char *end, int json) {
    const char *start = ++p;
    bool escaped = false;
    while (p < end && *p != '"') {
        if (*p == '\\') {
            escaped = true;
            p++;
        }
        p++;
    }
    if (p >= end) {
        value_refuse(L, type);
    }
    if (!escaped) {
        value_push(L, type, start, (size_t)(p - start), json);
        return p + 1;
    }
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, (size_t)(p - start));
    size_t n = 0;
    for (const char *q = start; q < p; q++) {
        if (*q == '\\') {
            q++;
        }
        out[n++] = *q;
    }
    luaL_pushresultsize(&b, n); // text
    if (type->shape != LIG_SHAPE_TEXT) {
        size_t length = 0;
        const char *text = lua_tolstring(L, -1, &length);
        value_push(L, type, text, length, json); // text value
        lua_remove(L, -2);
    }
    return p + 1;
}

static const char *plain_push(lua_State *L, const lig_pg_type *type, const char *p, const char *end,
                              int json) {
    const char *start = p;
    while (p < end && *p != ',' && *p != '}') {
        p++;
    }
    size_t length = (size_t)(p - start);
    if (length == 4 && memcmp(start, "NULL", 4) == 0) {
        lua_pushlightuserdata(L, NULL);
    } else {
        value_push(L, type, start, length, json);
    }
    return p;
}

/* An upper bound of the elements, so that a long list is not grown step by step;
 * lists of lists are short at the top. */
static int elements_guess(const char *p, const char *end) {
    enum { LIMIT = 1 << 20 };
    if (p + 1 < end && p[1] == '{') {
        return 0;
    }
    int n = 1;
    while (n < LIMIT && (p = memchr(p, ',', (size_t)(end - p))) != NULL) {
        p++;
        n++;
    }
    return n;
}

/* Pushes the list that begins with the brace at p; returns what follows it. */
static const char *list_push(lua_State *L, const lig_pg_type *type, const char *p, const char *end,
                             int depth, int json) {
    if (depth > ARRAY_DEPTH_MAX) {
        value_refuse(L, type);
    }
    luaL_checkstack(L, 8, "array too deep");
    p++;
    if (p < end && *p == '}') {
        lua_newtable(L);
        return p + 1;
    }
    lua_createtable(L, depth == 1 ? elements_guess(p - 1, end) : 0, 0);
    for (lua_Integer n = 1; p < end; n++) {
        if (*p == '{') {
            p = list_push(L, type, p, end, depth + 1, json);
        } else if (*p == '"') {
            p = quoted_push(L, type, p, end, json);
        } else {
            p = plain_push(L, type, p, end, json);
        }
        lua_rawseti(L, -2, n);
        if (p < end && *p == '}') {
            return p + 1;
        }
        if (p >= end || *p != ',') {
            break;
        }
        p++;
    }
    value_refuse(L, type);
}

static void array_push(lua_State *L, const lig_pg_type *type, const char *text, size_t length,
                       int json) {
    const char *end = text + length;
    const char *p = text;
    if (length > 0 && *p == '[') { // bounds other than 1, as in [0:2]={...}
        p = memchr(p, '=', length);
        p = p != NULL ? p + 1 : end;
    }
    if (p >= end || *p != '{') {
        value_refuse(L, type);
    }
    (void)list_push(L, type, p, end, 1, json);
}

/* ---- results ------------------------------------------------------------ */

/* Sets columns, affected and command on the table at the top. */
static void summary_set(lua_State *L, const PGresult *result, const column *columns, int names) {
    int n = PQnfields(result);
    lua_createtable(L, n, 0); // rows columns
    for (int c = 0; c < n; c++) {
        lua_createtable(L, 0, 3); // rows columns column
        lua_pushvalue(L, names + c);
        lua_setfield(L, -2, "name");
        lua_pushfstring(L, columns[c].is_array ? "%s[]" : "%s", columns[c].type->name);
        lua_setfield(L, -2, "type");
        lua_pushinteger(L, (lua_Integer)PQftype(result, c));
        lua_setfield(L, -2, "oid");
        lua_rawseti(L, -2, c + 1);
    }
    lua_setfield(L, -2, "columns");
    // libpq's own accessors want a result that they could write to; they do not.
    PGresult *readable = (PGresult *)(uintptr_t)result;
    lua_pushinteger(L, (lua_Integer)strtoll(PQcmdTuples(readable), NULL, 10));
    lua_setfield(L, -2, "affected");
    lua_pushstring(L, PQcmdStatus(readable));
    lua_setfield(L, -2, "command");
}

static void typed_row_push(lua_State *L, const PGresult *result, int row, const column *columns,
                           int names, int json) {
    int n = PQnfields(result);
    lua_createtable(L, 0, n);
    for (int c = 0; c < n; c++) {
        if (PQgetisnull(result, row, c)) {
            lua_pushvalue(L, names + c);
            lua_pushlightuserdata(L, NULL); // pg.null
            lua_rawset(L, -3);
            continue;
        }
        const char *text = PQgetvalue(result, row, c);
        size_t length = (size_t)PQgetlength(result, row, c);
        lua_pushvalue(L, names + c); // row name
        if (columns[c].is_array) {
            array_push(L, columns[c].type, text, length, json);
        } else {
            value_push(L, columns[c].type, text, length, json);
        }
        lua_rawset(L, -3);
    }
}

static void text_row_push(lua_State *L, const PGresult *result, int row) {
    int n = PQnfields(result);
    lua_createtable(L, n, 0);
    for (int c = 0; c < n; c++) {
        if (PQgetisnull(result, row, c)) {
            lua_pushlightuserdata(L, NULL);
        } else {
            lua_pushlstring(L, PQgetvalue(result, row, c), (size_t)PQgetlength(result, row, c));
        }
        lua_rawseti(L, -2, c + 1);
    }
}

void lig_result_push(lua_State *L, const PGresult *result, bool typed) {
    enum { FEW = 32 };
    int base = lua_gettop(L);
    int n = PQnfields(result);
    int rows = PQntuples(result);
    luaL_checkstack(L, n + 16, "too many columns");

    column few[FEW];
    column *columns = few;
    if (n > FEW) {
        columns = lua_newuserdatauv(L, (size_t)n * sizeof *columns, 0);
    }
    int json = 0;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &json_key) == LUA_TFUNCTION) {
        json = lua_gettop(L);
    }
    int names = lua_gettop(L) + 1; // one slot per column from here on
    for (int c = 0; c < n; c++) {
        columns[c] = column_of(PQftype(result, c));
        lua_pushstring(L, PQfname(result, c));
    }
    lua_createtable(L, rows, 4);
    summary_set(L, result, columns, names);
    for (int r = 0; r < rows; r++) {
        if (typed) {
            typed_row_push(L, result, r, columns, names, json);
        } else {
            text_row_push(L, result, r);
        }
        lua_rawseti(L, -2, r + 1);
    }
    lua_replace(L, base + 1); // never the table itself: the decoder's slot is there
    lua_settop(L, base + 1);
}

/* pg.use_json(decode) -> the decoder before: decode(text) -> value for json and
 * jsonb; nil for text. */
int lig_pg_use_json(lua_State *L) {
    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) {
        luaL_checktype(L, 1, LUA_TFUNCTION);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &json_key);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &json_key);
    return 1;
}

void lig_pg_result_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__gc", result_release}, {NULL, NULL}};
    lig_class_new(L, RESULT_CLASS, NULL, meta);
}
