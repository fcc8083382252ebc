/* csv_lines.c: a source as lines; see csv_lines.h. */
#include "csv_lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)256 * 1024)

/* ---- errors -------------------------------------------------------------- */

bool lig_csv_fail(struct lig_csv_error *error, const char *code, uint64_t line, uint64_t column,
                  uint64_t byte, const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    (void)snprintf(error->hint, sizeof error->hint, "%s", hint);
    error->code = code;
    error->line = line;
    error->column = column;
    error->byte = byte;
    return false;
}

bool lig_csv_fail_memory(struct lig_csv_error *error) {
    error->errno_value = ENOMEM;
    return lig_csv_fail(error, "memory", 0, 0, 0, "", "out of memory");
}

/* ---- making -------------------------------------------------------------- */

bool lig_lines_open(struct lig_lines *l, struct lig_source *source) {
    *l = (struct lig_lines){.source = source, .capacity = READ_BYTES};
    l->buffer = malloc(l->capacity);
    return l->buffer != NULL;
}

void lig_lines_close(struct lig_lines *l) {
    lig_source_close(l->source);
    free(l->buffer);
    *l = (struct lig_lines){0};
}

/* ---- lines --------------------------------------------------------------- */

static size_t find_from(const struct lig_lines *l, size_t from, char c) {
    const char *at = memchr(l->buffer + from, c, l->end - from);
    return at == NULL ? l->end : (size_t)(at - l->buffer);
}

static bool buffer_grow(struct lig_lines *l, struct lig_csv_error *error) {
    if (l->end - l->start > LIG_CSV_ROW_BYTES) {
        return lig_csv_fail(error, "line_length", l->line + 1, 0, l->byte + 1,
                            "Is this a table of text? Check the separator and the line ends",
                            "a line is longer than %zu MiB", LIG_CSV_ROW_BYTES >> 20);
    }
    char *larger = realloc(l->buffer, l->capacity * 2);
    if (larger == NULL) {
        return lig_csv_fail_memory(error);
    }
    l->buffer = larger;
    l->capacity *= 2;
    return true;
}

static bool source_fail(const struct lig_lines *l, const struct lig_source_error *why,
                        struct lig_csv_error *error) {
    size_t held = l->end - l->start;
    bool placed = strcmp(why->code, "encoding") == 0;
    // What is held is one unfinished line, or a line whose CR might be half of a CRLF.
    bool ended = held > 0 && l->buffer[l->end - 1] == '\r';
    error->errno_value = why->errno_value;
    return lig_csv_fail(error, why->code, placed ? l->line + 1 + ended : 0, 0,
                        placed ? l->byte + held + 1 : 0, why->hint, "%s", why->message);
}

/* Makes room and reads more; finds of line ends go on where they stopped. */
static bool buffer_fill(struct lig_lines *l, struct lig_csv_error *error) {
    if (l->start > 0) {
        memmove(l->buffer, l->buffer + l->start, l->end - l->start);
        l->next_lf -= l->start;
        l->next_cr -= l->start;
        l->end -= l->start;
        l->start = 0;
    }
    if (l->capacity - l->end < READ_BYTES / 2 && !buffer_grow(l, error)) {
        return false;
    }
    struct lig_source_error why = {0};
    ssize_t n = lig_source_read(l->source, l->buffer + l->end, l->capacity - l->end, &why);
    if (n < 0) {
        return source_fail(l, &why, error);
    }
    size_t old_end = l->end;
    l->end += (size_t)n;
    l->source_ended = n == 0;
    if (l->next_lf == old_end) {
        l->next_lf = find_from(l, old_end, '\n');
    }
    if (l->next_cr == old_end) {
        l->next_cr = find_from(l, old_end, '\r');
    }
    return true;
}

int lig_lines_next(struct lig_lines *l, struct lig_line *line, struct lig_csv_error *error) {
    size_t stop;
    for (;;) {
        stop = l->next_lf < l->next_cr ? l->next_lf : l->next_cr;
        // A CR as the last byte may be half of a CRLF.
        bool whole = stop < l->end && !(l->buffer[stop] == '\r' && stop + 1 == l->end);
        if (whole || l->source_ended) {
            break;
        }
        if (!buffer_fill(l, error)) {
            return -1;
        }
    }
    if (l->start == l->end) {
        return 0;
    }
    size_t after = stop;
    if (stop < l->end) {
        after = stop + 1;
        if (l->buffer[stop] == '\r' && after < l->end && l->buffer[after] == '\n') {
            after++;
        }
    }
    line->text = l->buffer + l->start;
    line->length = stop - l->start;
    line->terminated = after - l->start;
    l->line++;
    l->byte += line->terminated;
    l->start = after;
    if (l->next_lf < after) {
        l->next_lf = find_from(l, after, '\n');
    }
    if (l->next_cr < after) {
        l->next_cr = find_from(l, after, '\r');
    }
    return 1;
}

/* ---- what may stand in a line -------------------------------------------- */

static bool is_ascii(const char *text, size_t length) {
    uint64_t all = 0;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t eight;
        memcpy(&eight, text + i, 8);
        all |= eight;
    }
    for (; i < length; i++) {
        all |= (uint64_t)(unsigned char)text[i] << 56;
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

/* Length of the valid UTF-8 at the beginning (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF). */
static size_t utf8_valid(const char *text, size_t length) {
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0;
    while (i < length) {
        unsigned char c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : 3;
        if ((more == 3 && (c < 0xF0 || c > 0xF4)) || more > length - i - 1) {
            return i;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xC0) != 0x80) {
                return i;
            }
        }
        if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) ||
            (c == 0xF0 && s[i + 1] < 0x90) || (c == 0xF4 && s[i + 1] > 0x8F)) {
            return i;
        }
        i += more + 1;
    }
    return length;
}

/* In UTF-16 without a mark every other byte of plain letters is NUL; which one tells
 * the byte order. */
static bool nul_fail(const struct lig_lines *l, const struct lig_line *line, size_t at,
                     struct lig_csv_error *error) {
    const char *hint = "Postgres cannot store it. Export the table again as text";
    size_t look = line->length < 64 ? line->length : 64;
    size_t zeros = 0;
    for (size_t i = 0; i < look; i++) {
        zeros += line->text[i] == '\0';
    }
    uint64_t before = l->byte - line->terminated + at;
    if (zeros * 3 > look) {
        hint = before % 2 == 0
                   ? "It looks like UTF-16 without a byte order mark: try --encoding utf-16be"
                   : "It looks like UTF-16 without a byte order mark: try --encoding utf-16le";
    }
    return lig_csv_fail(error, "nul", l->line, 0, before + 1, hint, "a NUL byte in the text");
}

bool lig_line_is_text(const struct lig_lines *l, const struct lig_line *line,
                      struct lig_csv_error *error) {
    const char *nul = memchr(line->text, '\0', line->length);
    if (nul != NULL) {
        return nul_fail(l, line, (size_t)(nul - line->text), error);
    }
    if (!is_ascii(line->text, line->length)) {
        size_t valid = utf8_valid(line->text, line->length);
        if (valid < line->length) {
            return lig_csv_fail(
                error, "encoding", l->line, 0, l->byte - line->terminated + valid + 1,
                "If the file is Latin-1, say so with --encoding latin1",
                "byte 0x%02X is not valid UTF-8", (unsigned)(unsigned char)line->text[valid]);
        }
    }
    return true;
}
