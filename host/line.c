/* line.c: the module "line": lines that a person types, with editing.
 *
 * On a terminal lines are edited by libedit, with history and completion; anywhere
 * else they are read as they come.  What completion offers is decided in Lua; that
 * function is called inside libedit, so nothing it raises may leave the call.  While
 * no line is being read the terminal is as it was found: Ctrl-C is then a signal.
 */
#include "lig.h"
#include "line_keys.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_CLASS "ligase.line"
#define HISTORY_SIZE 5000
#define PASTE_KEY 0x1E /* Ctrl-^, which no terminal has a use for */

enum outcome { OUTCOME_LINE, OUTCOME_INTERRUPTED, OUTCOME_END };

struct line {
    bool open;
    EditLine *edit; /* NULL: lines are read as they come */
    HistoryW *history;
    locale_t locale; /* libedit asks the locale what a character is */
    wchar_t *prompt;
    char *plain; /* getline's */
    size_t plain_room;
    int complete;      /* reference to the function, or LUA_NOREF */
    lua_State *reader; /* who reads just now, NULL otherwise */
    enum outcome outcome;
    struct lig_keys keys;
};

/* ---- text ---------------------------------------------------------------- */

/* A copy in wide characters, for free(); NULL when memory is short. */
static wchar_t *wide_copy(const char *text, size_t length) {
    wchar_t *wide = malloc((length + 1) * sizeof *wide);
    size_t count = 0;
    for (size_t at = 0; wide != NULL && at < length; count++) {
        at += lig_keys_decode((const unsigned char *)text + at, length - at, &wide[count]);
        if (wide[count] == L'\0') {
            wide[count] = 0xFFFD;
        }
    }
    if (wide != NULL) {
        wide[count] = L'\0';
    }
    return wide;
}

static void utf8_push(lua_State *L, const wchar_t *text, size_t length) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < length; i++) {
        unsigned code = (unsigned)text[i];
        if (code < 0x80) {
            luaL_addchar(&b, (char)code);
            continue;
        }
        int rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        luaL_addchar(&b, (char)((0xFF00U >> (rest + 1) & 0xFFU) | code >> (6 * rest)));
        while (rest-- > 0) {
            luaL_addchar(&b, (char)(0x80U | (code >> (6 * rest) & 0x3FU)));
        }
    }
    luaL_pushresult(&b);
}

/* ---- box ----------------------------------------------------------------- */

static struct line *line_box(lua_State *L) {
    struct line *line = lua_newuserdatauv(L, sizeof *line, 0);
    memset(line, 0, sizeof *line);
    line->complete = LUA_NOREF;
    luaL_setmetatable(L, LINE_CLASS);
    return line;
}

static struct line *line_check(lua_State *L) {
    struct line *line = luaL_checkudata(L, 1, LINE_CLASS);
    if (!line->open) {
        lig_error_usage(L, "this line reader was closed");
    }
    if (line->reader != NULL) {
        lig_error_usage(L, "a line is being read: completion cannot use its line reader");
    }
    return line;
}

static int line_release(lua_State *L) {
    struct line *line = luaL_checkudata(L, 1, LINE_CLASS);
    if (line->reader != NULL) {
        return 0;
    }
    if (line->edit != NULL) {
        el_end(line->edit);
    }
    if (line->history != NULL) {
        history_wend(line->history);
    }
    if (line->locale != (locale_t)0) {
        freelocale(line->locale);
    }
    free(line->prompt);
    free(line->plain);
    free(line->keys.paste);
    luaL_unref(L, LUA_REGISTRYINDEX, line->complete);
    memset(line, 0, sizeof *line);
    line->complete = LUA_NOREF;
    return 0;
}

/* line:close(): gives the terminal back; closing twice is fine. */
static int line_close(lua_State *L) {
    struct line *line = luaL_checkudata(L, 1, LINE_CLASS);
    return line->open ? (void)line_check(L), line_release(L) : 0;
}

/* ---- what libedit calls -------------------------------------------------- */

static struct line *line_of(EditLine *edit) {
    void *line = NULL;
    (void)el_get(edit, EL_CLIENTDATA, &line);
    return line;
}

static wchar_t *prompt_get(EditLine *edit) {
    static wchar_t none[] = L"";
    struct line *line = line_of(edit);
    return line->prompt != NULL ? line->prompt : none;
}

static void suspend(EditLine *edit) {
    (void)el_wset(edit, EL_PREP_TERM, 0);
    (void)raise(SIGTSTP);
    (void)el_wset(edit, EL_PREP_TERM, 1);
    (void)el_wset(edit, EL_REFRESH);
}

static int key_get(EditLine *edit, wchar_t *character) {
    struct line *line = line_of(edit);
    for (;;) {
        switch (lig_keys_next(&line->keys, STDIN_FILENO, character)) {
        case LIG_KEY_CHARACTER:
            return 1;
        case LIG_KEY_PASTE:
            *character = PASTE_KEY;
            return 1;
        case LIG_KEY_RESIZED:
            el_resize(edit);
            break;
        case LIG_KEY_SUSPEND:
            suspend(edit);
            break;
        case LIG_KEY_INTERRUPT:
            line->outcome = OUTCOME_INTERRUPTED;
            return -1;
        case LIG_KEY_END:
            line->outcome = OUTCOME_END;
            return -1;
        }
    }
}

static unsigned char paste_insert(EditLine *edit, wint_t key) {
    (void)key;
    struct line *line = line_of(edit);
    if (line->keys.paste_length == 0 || el_winsertstr(edit, line->keys.paste) != 0) {
        return CC_ERROR;
    }
    line->keys.paste_length = 0;
    return CC_REFRESH;
}

/* ---- completion ---------------------------------------------------------- */

struct completion {
    struct line *line;
    const LineInfoW *typed;
};

/* Calls complete(text, cursor), which gives what to insert at the cursor and what to print
 * below the line; either may be nil. */
static int complete_protected(lua_State *L) {
    const struct completion *asked = lua_touserdata(L, 1);
    const LineInfoW *typed = asked->typed;
    lua_rawgeti(L, LUA_REGISTRYINDEX, asked->line->complete);
    utf8_push(L, typed->buffer, (size_t)(typed->cursor - typed->buffer));
    lua_Integer cursor = (lua_Integer)lua_rawlen(L, -1) + 1;
    utf8_push(L, typed->cursor, (size_t)(typed->lastchar - typed->cursor));
    lua_concat(L, 2);
    lua_pushinteger(L, cursor);
    lua_call(L, 2, 2);
    return 2;
}

/* A failed completion says so below the line: the error's message, or the error itself. */
static void failure_print(lua_State *L) {
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "message");
        lua_rawget(L, -2);
    }
    bool speaks = lua_type(L, -1) == LUA_TSTRING;
    (void)fprintf(stdout, "\n(no completion: %.200s)\n",
                  speaks ? lua_tostring(L, -1) : "it failed");
}

static bool text_insert(EditLine *edit, lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TSTRING || lua_rawlen(L, idx) == 0) {
        return false;
    }
    size_t length;
    const char *text = lua_tolstring(L, idx, &length);
    wchar_t *wide = wide_copy(text, length);
    bool inserted = wide != NULL && el_winsertstr(edit, wide) == 0;
    free(wide);
    return inserted;
}

static bool list_print(lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TSTRING) {
        return false;
    }
    size_t length;
    const char *list = lua_tolstring(L, idx, &length);
    (void)fputc('\n', stdout);
    (void)fwrite(list, 1, length, stdout);
    return true;
}

static unsigned char key_complete(EditLine *edit, wint_t key) {
    (void)key;
    struct line *line = line_of(edit);
    struct completion asked = {.line = line, .typed = el_wline(edit)};
    bool blank = true;
    for (const wchar_t *c = asked.typed->buffer; c < asked.typed->cursor; c++) {
        blank = blank && (*c == L' ' || *c == L'\t' || *c == L'\n');
    }
    if (blank || line->complete == LUA_NOREF || lig_keys_waiting(&line->keys, STDIN_FILENO)) {
        return el_winsertstr(edit, L"\t") == 0 ? CC_REFRESH : CC_ERROR;
    }
    lua_State *L = line->reader;
    int top = lua_gettop(L);
    bool inserted = false;
    bool listed = true;
    (void)el_wset(edit, EL_PREP_TERM, 0); // Ctrl-C ends a query that takes long
    lua_pushcfunction(L, complete_protected);
    lua_pushlightuserdata(L, &asked);
    int status = lua_pcall(L, 1, 2, 0);
    (void)el_wset(edit, EL_PREP_TERM, 1);
    if (status != LUA_OK) {
        failure_print(L);
    } else {
        inserted = text_insert(edit, L, top + 1);
        listed = list_print(L, top + 2);
    }
    lua_settop(L, top);
    if (listed) {
        (void)el_wset(edit, EL_REFRESH);
        return CC_NORM;
    }
    return inserted ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* ---- opening ------------------------------------------------------------- */

static void keys_bind(EditLine *edit) {
    static const wchar_t *const keys[][2] = {
        {L"^I", L"ligase-complete"},         {L"^^", L"ligase-paste"},
        {L"^R", L"em-inc-search-prev"},      {L"^W", L"ed-delete-prev-word"},
        {L"\\e[3~", L"ed-delete-next-char"}, {L"\\e[1~", L"ed-move-to-beg"},
        {L"\\e[4~", L"ed-move-to-end"},      {L"\\e[H", L"ed-move-to-beg"},
        {L"\\e[F", L"ed-move-to-end"},       {L"\\e[1;5D", L"ed-prev-word"},
        {L"\\e[1;5C", L"em-next-word"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        (void)el_wset(edit, EL_BIND, keys[i][0], keys[i][1], NULL);
    }
}

static bool edit_open(struct line *line) {
    line->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    line->history = history_winit();
    if (line->locale == (locale_t)0 || line->history == NULL) {
        return false;
    }
    HistEventW event;
    (void)history_w(line->history, &event, H_SETSIZE, HISTORY_SIZE);
    (void)history_w(line->history, &event, H_SETUNIQUE, 1);
    locale_t before = uselocale(line->locale);
    EditLine *edit = el_init("ligase", stdin, stdout, stderr);
    if (edit != NULL) {
        line->edit = edit;
        (void)el_wset(edit, EL_CLIENTDATA, line);
        (void)el_wset(edit, EL_EDITOR, L"emacs");
        (void)el_source(edit, NULL); // ~/.editrc
        (void)el_wset(edit, EL_SIGNAL, 0);
        (void)el_wset(edit, EL_GETCFN, key_get);
        (void)el_wset(edit, EL_PROMPT, prompt_get);
        (void)el_wset(edit, EL_HIST, history_w, line->history);
        (void)el_wset(edit, EL_ADDFN, L"ligase-complete", L"Completes the word", key_complete);
        (void)el_wset(edit, EL_ADDFN, L"ligase-paste", L"Inserts what was pasted", paste_insert);
        // Ctrl-C and Ctrl-Z are keys while a line is edited (see key_get), and a pasted
        // CR LF must not become two line ends.
        (void)el_wset(edit, EL_SETTY, L"-d", L"-isig", L"-icrnl", L"-inlcr", NULL);
        keys_bind(edit);
    }
    (void)uselocale(before);
    return edit != NULL;
}

/* line.open([complete]) -> reader.  Lines are edited when standard input and output are a
 * terminal.  complete(text, cursor), called for the Tab key with the whole text and the
 * cursor's byte (from 1), gives what to insert there, and what to print below the line. */
static int line_open(lua_State *L) {
    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) {
        luaL_checktype(L, 1, LUA_TFUNCTION);
    }
    struct line *line = line_box(L);
    line->open = true;
    if (!lua_isnil(L, 1)) {
        lua_pushvalue(L, 1);
        line->complete = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !edit_open(line)) {
        return luaL_error(L, "cannot prepare the terminal: out of memory");
    }
    return 1;
}

/* ---- reading ------------------------------------------------------------- */

static int no_line(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

static int edited_read(lua_State *L, struct line *line) {
    int count = 0;
    line->outcome = OUTCOME_LINE;
    line->reader = L;
    locale_t before = uselocale(line->locale);
    lig_keys_begin(STDOUT_FILENO);
    (void)el_wset(line->edit, EL_PREP_TERM, 1); // before the prompt invites to type
    const wchar_t *text = el_wgets(line->edit, &count);
    lig_keys_end(STDOUT_FILENO);
    (void)uselocale(before);
    line->reader = NULL;
    if (line->outcome == OUTCOME_INTERRUPTED) {
        (void)fputs("^C\n", stdout);
        (void)fflush(stdout);
        int number = lig_interrupt_take();
        if (number == SIGTERM) {
            lig_error_push(L, LIG_KIND_INTERRUPTED, "SIGTERM", "interrupted");
            lig_error_integer(L, "signal", number);
            lig_error_raise(L);
        }
        return no_line(L, "interrupted");
    }
    if (line->outcome == OUTCOME_END || text == NULL || count <= 0) {
        (void)fputc('\n', stdout);
        (void)fflush(stdout);
        return no_line(L, "end");
    }
    utf8_push(L, text, (size_t)count - (text[count - 1] == L'\n' ? 1 : 0));
    return 1;
}

static int plain_read(lua_State *L, struct line *line) {
    ssize_t length;
    while ((length = getline(&line->plain, &line->plain_room, stdin)) < 0 && errno == EINTR &&
           ferror(stdin)) {
        clearerr(stdin);
        lig_interrupt_check(L);
    }
    if (length < 0) {
        return no_line(L, "end");
    }
    size_t end = (size_t)length;
    if (end > 0 && line->plain[end - 1] == '\n') {
        end--;
        end -= end > 0 && line->plain[end - 1] == '\r' ? 1 : 0;
    }
    lua_pushlstring(L, line->plain, end);
    return 1;
}

/* line:read([prompt]) -> the text without its line end; or nil and "end", or nil and
 * "interrupted" for Ctrl-C.  What was pasted may hold line ends.  Raises "interrupted" for
 * SIGTERM, and for SIGINT too where lines are not edited. */
static int line_read(lua_State *L) {
    struct line *line = line_check(L);
    size_t length;
    const char *prompt = luaL_optlstring(L, 2, "", &length);
    luaL_checkstack(L, LUA_MINSTACK, "completion");
    if (line->edit == NULL) {
        return plain_read(L, line);
    }
    free(line->prompt);
    line->prompt = wide_copy(prompt, length);
    return edited_read(L, line);
}

/* line:add(text): to the history, for the arrow keys. */
static int line_add(lua_State *L) {
    struct line *line = line_check(L);
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    wchar_t *wide = line->history != NULL ? wide_copy(text, length) : NULL;
    if (wide != NULL) {
        HistEventW event;
        (void)history_w(line->history, &event, H_ENTER, wide);
        free(wide);
    }
    return 0;
}

/* line:is_editing() -> whether a terminal is there, and lines are edited. */
static int line_is_editing(lua_State *L) {
    lua_pushboolean(L, line_check(L)->edit != NULL);
    return 1;
}

/* ---- module -------------------------------------------------------------- */

int luaopen_lig_line(lua_State *L) {
    static const luaL_Reg methods[] = {{"read", line_read},
                                       {"add", line_add},
                                       {"is_editing", line_is_editing},
                                       {"close", line_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", line_release}, {"__close", line_release}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", line_open}, {NULL, NULL}};
    lig_class_new(L, LINE_CLASS, methods, meta);
    luaL_newlib(L, functions);
    return 1;
}
