/* csv_options.c: the options of a reader from a Lua table.
 *
 * An option of another name, type or range is refused by name: a table read with options
 * that were meant otherwise would be wrong without a word.
 */
#include "csv_options.h"
#include "lig.h"

#include <string.h>

static const char *const option_names[] = {"separator",   "quote",        "header",
                                           "comment",     "encoding",     "decimal",
                                           "missing",     "frame_bytes",  "first_frame_bytes",
                                           "field_bytes", "column_limit", "skip_lines",
                                           "ragged",      "engine",       "names",
                                           NULL};

static void option_names_check(lua_State *L, int options) {
    lua_pushnil(L);
    while (lua_next(L, options) != 0) {
        lua_pop(L, 1);
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        bool known = false;
        for (size_t i = 0; option_names[i] != NULL; i++) {
            known = known || strcmp(option_names[i], name) == 0;
        }
        if (!known) {
            luaL_Buffer b;
            luaL_buffinit(L, &b);
            for (size_t i = 0; option_names[i] != NULL; i++) {
                luaL_addstring(&b, i == 0 ? "" : ", ");
                luaL_addstring(&b, option_names[i]);
            }
            luaL_pushresult(&b);
            lig_error_usage(L, "unknown option '%s'; the options are: %s", name,
                            lua_tostring(L, -1));
        }
    }
}

/* One ASCII character, or 0 when the option is false, or `absent` when it is not there. */
static char option_character(lua_State *L, int options, const char *name, char absent) {
    int type = lua_getfield(L, options, name);
    char result = absent;
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        result = 0;
    } else if (type != LUA_TNIL) {
        size_t length = 0;
        const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
        if (length != 1 || (unsigned char)*text >= 0x80 || *text == '\n' || *text == '\r' ||
            *text == '\0') {
            lig_error_usage(L, "%s must be one ASCII character that is no line end, not \"%s\"",
                            name, luaL_tolstring(L, -1, NULL));
        }
        result = *text;
    }
    lua_pop(L, 1);
    return result;
}

static size_t option_size(lua_State *L, int options, const char *name, size_t absent, size_t least,
                          size_t most) {
    size_t result = absent;
    if (lua_getfield(L, options, name) != LUA_TNIL) {
        int whole = 0;
        lua_Integer value = lua_isnumber(L, -1) ? lua_tointegerx(L, -1, &whole) : 0;
        if (!whole || value < 0 || (size_t)value < least || (size_t)value > most) {
            lig_error_usage(L, "%s must be from %zu to %zu, not %s", name, least, most,
                            luaL_tolstring(L, -1, NULL));
        }
        result = (size_t)value;
    }
    lua_pop(L, 1);
    return result;
}

static bool option_is(lua_State *L, int options, const char *name, const char *word,
                      const char *other) {
    bool result = false;
    if (lua_getfield(L, options, name) != LUA_TNIL) {
        const char *text = luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        result = strcmp(text, word) == 0;
        if (!result && strcmp(text, other) != 0) {
            lig_error_usage(L, "%s must be \"%s\" or \"%s\", not \"%s\"", name, other, word, text);
        }
    }
    lua_pop(L, 1);
    return result;
}

void lig_csv_options_read(lua_State *L, int options, struct lig_csv_options *o) {
    option_names_check(L, options);
    o->separator = option_character(L, options, "separator", ',');
    o->quote = option_character(L, options, "quote", '"');
    o->comment = option_character(L, options, "comment", 0);
    if (o->separator == 0 || o->separator == o->quote) {
        lig_error_usage(L, "the separator must be a character other than the quote mark");
    }
    if (o->comment != 0 && (o->comment == o->separator || o->comment == o->quote)) {
        lig_error_usage(L, "the comment mark must be a character other than separator and quote");
    }
    int header = lua_getfield(L, options, "header");
    if (header != LUA_TNIL && header != LUA_TBOOLEAN) {
        lig_error_usage(L, "header must be true or false, not %s", luaL_tolstring(L, -1, NULL));
    }
    o->header = header == LUA_TNIL || lua_toboolean(L, -1);
    lua_pop(L, 1);
    o->frame_bytes = option_size(L, options, "frame_bytes", (size_t)1 << 20, 1, (size_t)256 << 20);
    o->first_frame_bytes =
        option_size(L, options, "first_frame_bytes", o->frame_bytes, 1, (size_t)256 << 20);
    o->field_bytes = option_size(L, options, "field_bytes", (size_t)1 << 20, 1, LIG_CSV_ROW_BYTES);
    o->column_limit = option_size(L, options, "column_limit", 10000, 1, 1000000);
    o->skip_lines = option_size(L, options, "skip_lines", 0, 0, SIZE_MAX / 2);
    o->pad = option_is(L, options, "ragged", "pad", "error");
    o->libcsv_only = option_is(L, options, "engine", "libcsv", "fast");
}
