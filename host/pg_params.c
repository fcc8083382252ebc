/* pg_params.c: Lua values as parameters.
 *
 * Parameters travel as text with their type left to the server, which infers it
 * from the statement; the exceptions are pg.array with an element type,
 * pg.int8_array and pg.bytes.  Strings are not copied: libpq is handed Lua's own bytes.
 */
#include "pg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_CLASS "ligase.pg_array"
#define BYTES_CLASS "ligase.pg_bytes"
#define ARRAY_DEPTH_MAX 6 /* Postgres' own limit of dimensions */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_INT8_ARRAY 1016

/* ---- numbers ------------------------------------------------------------ */

/* Locale-independent, and several times as fast as printf. */
static int integer_format(char out[LIG_NUMBER_SIZE], lua_Integer value) {
    char digits[LIG_NUMBER_SIZE];
    lua_Unsigned rest = value < 0 ? 0U - (lua_Unsigned)value : (lua_Unsigned)value;
    int n = 0;
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    int length = 0;
    if (value < 0) {
        out[length++] = '-';
    }
    while (n > 0) {
        out[length++] = digits[--n];
    }
    out[length] = '\0';
    return length;
}

/* Most measured values have few decimals.  Where whole / 10^decimals, which is
 * rounded correctly, gives the value again, that decimal number is its text, at a
 * tenth of printf's price.  Returns 0 for all others. */
static int decimal_format(char out[LIG_NUMBER_SIZE], lua_Number value) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    for (int decimals = 0; decimals <= 6; decimals++) {
        double scaled = fabs(value) * powers[decimals];
        if (!(scaled < 1e15)) { // 15 digits are always enough to tell doubles apart
            break;
        }
        double whole = nearbyint(scaled);
        if (whole / powers[decimals] != fabs(value)) {
            continue;
        }
        char digits[LIG_NUMBER_SIZE];
        int n = integer_format(digits, (lua_Integer)whole);
        int length = 0;
        if (signbit(value)) {
            out[length++] = '-';
        }
        int zeros = decimals >= n ? decimals + 1 - n : 0; // 0.05 has the digits 5
        for (int i = -zeros; i < n; i++) {
            if (decimals > 0 && n - i == decimals) {
                out[length++] = '.';
            }
            out[length++] = i < 0 ? '0' : digits[i];
        }
        out[length] = '\0';
        return length;
    }
    return 0;
}

/* The shortest of 15, 16 or 17 digits that reads back as the same double: 0.1 must
 * not reach a numeric column as 0.10000000000000001. */
static int float_format(char out[LIG_NUMBER_SIZE], lua_Number value) {
    int length = decimal_format(out, value);
    if (length > 0) {
        return length;
    }
    if (isnan(value)) {
        strcpy(out, "NaN");
    } else if (isinf(value)) {
        strcpy(out, value < 0 ? "-Infinity" : "Infinity");
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(out, LIG_NUMBER_SIZE, "%.*g", digits, value);
            if (digits == 17 || strtod(out, NULL) == value) {
                break;
            }
        }
        char *comma = strchr(out, ','); // a script may have set a locale
        if (comma != NULL) {
            *comma = '.';
        }
    }
    return (int)strlen(out);
}

static int number_format(lua_State *L, int index, char out[LIG_NUMBER_SIZE]) {
    return lua_isinteger(L, index) ? integer_format(out, lua_tointeger(L, index))
                                   : float_format(out, lua_tonumber(L, index));
}

/* ---- pg.array ----------------------------------------------------------- */

/* The array as it is sent: its literal, NUL-terminated, or its binary form. */
typedef struct array_box {
    char *data;
    size_t size;
    size_t capacity;
    Oid type; /* of the whole array; 0: the server infers it */
    bool binary;
} array_box;

static int array_release(lua_State *L) {
    array_box *box = lua_touserdata(L, 1);
    free(box->data);
    box->data = NULL;
    return 0;
}

static int array_tostring(lua_State *L) {
    array_box *box = luaL_checkudata(L, 1, ARRAY_CLASS);
    if (box->binary) {
        lua_pushfstring(L, "binary array of %d bytes", (int)box->size);
    } else {
        lua_pushlstring(L, box->data, box->size);
    }
    return 1;
}

static char *array_reserve(lua_State *L, array_box *box, size_t more) {
    if (box->capacity - box->size < more) {
        size_t capacity = box->capacity * 2 + more;
        char *data = realloc(box->data, capacity);
        if (data == NULL) {
            luaL_error(L, "not enough memory");
        }
        box->data = data;
        box->capacity = capacity;
    }
    return box->data + box->size;
}

static void array_add(lua_State *L, array_box *box, const char *text, size_t length) {
    memcpy(array_reserve(L, box, length), text, length);
    box->size += length;
}

static void array_add_string(lua_State *L, array_box *box, const char *text, size_t length) {
    char *start = array_reserve(L, box, 2 * length + 2);
    char *p = start;
    *p++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            *p++ = '\\';
        }
        *p++ = text[i];
    }
    *p++ = '"';
    box->size += (size_t)(p - start);
}

/* bytea's hexadecimal form; its backslash is escaped once more by the array. */
static void array_add_bytes(lua_State *L, array_box *box, const char *bytes, size_t length) {
    static const char hex[] = "0123456789abcdef";
    char *start = array_reserve(L, box, 2 * length + 5);
    char *p = start;
    memcpy(p, "\"\\\\x", 4);
    p += 4;
    for (size_t i = 0; i < length; i++) {
        *p++ = hex[(unsigned char)bytes[i] >> 4];
        *p++ = hex[(unsigned char)bytes[i] & 15];
    }
    *p++ = '"';
    box->size += (size_t)(p - start);
}

/* The number of elements: the field n when there is one, else the border.  A list
 * with a hole or a stray key would lose elements without a word. */
static lua_Integer list_length(lua_State *L, int list, bool *has_n) {
    lua_pushliteral(L, "n");
    *has_n = lua_rawget(L, list) == LUA_TNUMBER && lua_isinteger(L, -1);
    lua_Integer n = *has_n ? lua_tointeger(L, -1) : (lua_Integer)lua_rawlen(L, list);
    lua_pop(L, 1);
    if (*has_n) {
        if (n < 0 || n > INT32_MAX) {
            lig_error_usage(L, "pg.array: the field n of a list must be its length");
        }
        return n;
    }
    // After the last element of a clean list comes nothing.  Should its elements lie
    // elsewhere in the table, the order is arbitrary and all keys are counted.
    if (n > 0) {
        lua_pushinteger(L, n);
    } else {
        lua_pushnil(L);
    }
    if (lua_next(L, list) == 0) {
        return n;
    }
    lua_pop(L, 2);
    lua_Integer keys = 0;
    lua_pushnil(L);
    while (lua_next(L, list) != 0) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1 || key > n) {
            lig_error_usage(L,
                            "pg.array wants a list without holes: %s is beyond its %d elements; "
                            "use pg.null for NULL",
                            luaL_tolstring(L, -1, NULL), (int)n);
        }
        keys++;
    }
    return keys;
}

static void array_add_list(lua_State *L, array_box *box, int list, int depth);

static void array_add_element(lua_State *L, array_box *box, bool nil_is_null, lua_Integer position,
                              int depth) {
    int index = lua_gettop(L);
    size_t length = 0;
    const char *text;
    char number[LIG_NUMBER_SIZE];
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        length = (size_t)number_format(L, index, number);
        array_add(L, box, number, length);
        return;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        if (box->type == 1001) {
            array_add_bytes(L, box, text, length);
            return;
        }
        if (memchr(text, '\0', length) != NULL) {
            lig_error_usage(L, "pg.array: element %d contains a NUL byte, which text cannot hold",
                            (int)position);
        }
        array_add_string(L, box, text, length);
        return;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, index) ? "true" : "false";
        array_add(L, box, text, strlen(text));
        return;
    case LUA_TTABLE:
        array_add_list(L, box, index, depth + 1);
        return;
    case LUA_TNIL:
        if (nil_is_null) {
            array_add(L, box, "NULL", 4);
            return;
        }
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            array_add(L, box, "NULL", 4);
            return;
        }
        break;
    case LUA_TUSERDATA:
        if (luaL_testudata(L, index, BYTES_CLASS) != NULL) {
            lua_getiuservalue(L, index, 1);
            text = lua_tolstring(L, -1, &length);
            array_add_bytes(L, box, text, length);
            lua_pop(L, 1);
            return;
        }
        break;
    default:
        break;
    }
    lig_error_usage(L, "pg.array: element %d is a %s%s", (int)position, luaL_typename(L, index),
                    lua_isnil(L, index) ? "; use pg.null for NULL" : "");
}

static void array_add_list(lua_State *L, array_box *box, int list, int depth) {
    if (depth > ARRAY_DEPTH_MAX) {
        lig_error_usage(L, "pg.array: more than %d levels of lists", ARRAY_DEPTH_MAX);
    }
    luaL_checkstack(L, 8, "array too deep");
    bool has_n = false;
    lua_Integer n = list_length(L, list, &has_n);
    array_add(L, box, "{", 1);
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1) {
            array_add(L, box, ",", 1);
        }
        lua_rawgeti(L, list, i);
        array_add_element(L, box, has_n, i, depth);
        lua_pop(L, 1);
    }
    array_add(L, box, "}", 1);
}

/* pg.array(list, element_type): the literal is built here, so that a value that does
 * not fit is reported where the array is made, and so that it can be sent often. */
int lig_pg_array(lua_State *L) {
    lua_settop(L, 2);
    if (!lua_istable(L, 1)) {
        lig_error_usage(L, "pg.array wants a list, not a %s", luaL_typename(L, 1));
    }
    Oid oid = 0;
    if (!lua_isnil(L, 2)) {
        const lig_pg_type *type = lig_pg_type_named(luaL_checkstring(L, 2));
        if (type == NULL) {
            lig_error_usage(L,
                            "pg.array: unknown element type \"%s\"; leave it out and write the "
                            "cast in the SQL text: $1::%s[]",
                            lua_tostring(L, 2), lua_tostring(L, 2));
        }
        oid = type->array;
    }
    array_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = (array_box){.type = oid};
    luaL_setmetatable(L, ARRAY_CLASS);
    array_add_list(L, box, 1, 1);
    *array_reserve(L, box, 1) = '\0';
    return 1;
}

/* Writes the low `size` bytes of a value, most significant first. */
static void big_endian_put(char *at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(value >> 8 * (size - 1 - i) & 0xff);
    }
}

/* pg.int8_array(list): an int8[] in the form in which the server keeps it (array_recv in
 * its sources), for long lists of integers: neither side prints or parses a digit. */
int lig_pg_int8_array(lua_State *L) {
    enum { HEADER = 20, ELEMENT = 12 };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t count = lua_rawlen(L, 1);
    if (count > (INT32_MAX - HEADER) / ELEMENT) {
        lig_error_usage(L, "pg.int8_array: more elements than a statement can hold");
    }
    array_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = (array_box){.type = OID_INT8_ARRAY, .binary = true};
    luaL_setmetatable(L, ARRAY_CLASS);
    char *at = array_reserve(L, box, HEADER + count * ELEMENT);
    big_endian_put(at, count > 0, 4);    // dimensions
    big_endian_put(at + 4, 0, 4);        // no NULLs
    big_endian_put(at + 8, OID_INT8, 4); // of the elements
    big_endian_put(at + 12, count, 4);
    big_endian_put(at + 16, 1, 4); // the first one's index
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        if (!lua_isinteger(L, -1)) {
            lig_error_usage(L, "pg.int8_array: element %d is a %s, not an integer", (int)i + 1,
                            luaL_typename(L, -1));
        }
        char *element = at + HEADER + i * ELEMENT;
        big_endian_put(element, 8, 4);
        big_endian_put(element + 4, (uint64_t)lua_tointeger(L, -1), 8);
        lua_pop(L, 1);
    }
    box->size = count > 0 ? HEADER + count * ELEMENT : 12;
    return 1;
}

/* ---- pg.bytes ----------------------------------------------------------- */

/* pg.bytes(string): any bytes, for a bytea parameter. */
int lig_pg_bytes(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 1);
    (void)lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, BYTES_CLASS);
    return 1;
}

static int bytes_tostring(lua_State *L) {
    luaL_checkudata(L, 1, BYTES_CLASS);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* ---- parameters --------------------------------------------------------- */

void lig_params_new(lua_State *L, lig_params *params, int count) {
    if (count <= LIG_PARAMS_INLINE) {
        params->values = params->inline_values;
        params->lengths = params->inline_lengths;
        params->formats = params->inline_formats;
        params->types = params->inline_types;
        params->numbers = params->inline_numbers;
        lua_pushnil(L);
        return;
    }
    size_t n = (size_t)count;
    size_t each = sizeof(char *) + sizeof(int) * 2 + sizeof(Oid) + LIG_NUMBER_SIZE;
    char *room = lua_newuserdatauv(L, n * each, 0);
    params->values = (const char **)(void *)room;
    room += n * sizeof(char *);
    params->lengths = (int *)(void *)room;
    room += n * sizeof(int);
    params->formats = (int *)(void *)room;
    room += n * sizeof(int);
    params->types = (Oid *)(void *)room;
    room += n * sizeof(Oid);
    params->numbers = (char(*)[LIG_NUMBER_SIZE])(void *)room;
}

static _Noreturn void param_refuse(lua_State *L, int index, int number) {
    const char *advice = "";
    if (lua_istable(L, index)) {
        advice = "; use pg.array(list) for an array, or text for json";
    }
    lig_error_usage(L, "parameter $%d is a %s%s", number, luaL_typename(L, index), advice);
}

static size_t param_set_text(lua_State *L, lig_params *params, int slot, const char *text,
                             size_t length, int number) {
    if (length > INT32_MAX) {
        lig_error_usage(L, "parameter $%d is larger than a statement can hold", number);
    }
    params->values[slot] = text;
    params->lengths[slot] = (int)length;
    return length;
}

static size_t param_set_userdata(lua_State *L, lig_params *params, int slot, int index,
                                 int number) {
    array_box *array = luaL_testudata(L, index, ARRAY_CLASS);
    if (array != NULL) {
        params->types[slot] = array->type;
        params->formats[slot] = array->binary;
        return param_set_text(L, params, slot, array->data, array->size, number);
    }
    if (luaL_testudata(L, index, BYTES_CLASS) == NULL) {
        param_refuse(L, index, number);
    }
    lua_getiuservalue(L, index, 1);
    size_t length = 0;
    const char *bytes = lua_tolstring(L, -1, &length); // anchored by the box
    lua_pop(L, 1);
    params->types[slot] = OID_BYTEA;
    params->formats[slot] = 1; // binary: as it is
    return param_set_text(L, params, slot, bytes, length, number);
}

size_t lig_params_set(lua_State *L, lig_params *params, int slot, int index, int number) {
    params->types[slot] = 0;
    params->formats[slot] = 0;
    params->lengths[slot] = 0;
    params->values[slot] = NULL;
    size_t length = 0;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return 0;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, index) ? "true" : "false";
        return param_set_text(L, params, slot, text, strlen(text), number);
    case LUA_TNUMBER:
        length = (size_t)number_format(L, index, params->numbers[slot]);
        return param_set_text(L, params, slot, params->numbers[slot], length, number);
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        const char *nul = memchr(text, '\0', length);
        if (nul != NULL) {
            lig_error_usage(L,
                            "parameter $%d contains a NUL byte (byte %d), which text cannot hold; "
                            "use pg.bytes(...) for bytea",
                            number, (int)(nul - text) + 1);
        }
        return param_set_text(L, params, slot, text, length, number);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            return 0;
        }
        break;
    case LUA_TUSERDATA:
        return param_set_userdata(L, params, slot, index, number);
    default:
        break;
    }
    param_refuse(L, index, number);
}

void lig_pg_params_open(lua_State *L) {
    static const luaL_Reg array_meta[] = {
        {"__gc", array_release}, {"__tostring", array_tostring}, {NULL, NULL}};
    static const luaL_Reg bytes_meta[] = {{"__tostring", bytes_tostring}, {NULL, NULL}};
    lig_class_new(L, ARRAY_CLASS, NULL, array_meta);
    lig_class_new(L, BYTES_CLASS, NULL, bytes_meta);
}
