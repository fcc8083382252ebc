/* csv_reader.c: separated text to cells; see csv_reader.h. */
#include "csv_reader.h"

#include <csv.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)256 * 1024)
#define PIECE_BYTES ((size_t)64 * 1024) /* libcsv is fed at most this much between two checks */

struct lig_csv {
    struct lig_csv_options options;
    struct lig_source *source;
    struct lig_format *format;
    struct csv_parser parser;
    bool parser_made;

    char *buffer;
    size_t start, end, capacity; /* bytes not yet consumed */
    size_t next_lf, next_cr;     /* where the next ones are, at or after start; end: none */
    bool source_ended;
    uint64_t byte; /* bytes consumed before `start` */
    uint64_t line; /* lines consumed */

    struct lig_cells *cells; /* the frame being filled */
    size_t record_end_index; /* cells->end_count where the open record began */
    uint64_t record_line, record_byte;
    bool record_open; /* inside a record that goes on over line ends */
    bool record_done; /* libcsv reported the end of a record */
    bool cell_failed; /* a callback could not store its cell */

    struct lig_cells *header;
    bool header_short;
    uint64_t header_line;
    struct lig_cells *first; /* the first frame, read by lig_csv_start */
    size_t columns;          /* of every row; 0: not known yet */
    size_t cells_seen;       /* the size of the last frame, to plan the next */
    uint64_t rows;
    bool ended, failed;
    struct lig_csv_error error;
};

/* ---- errors -------------------------------------------------------------- */

static void fail(struct lig_csv *r, const char *code, uint64_t line, uint64_t column, uint64_t byte,
                 const char *hint, const char *format, ...) __attribute__((format(printf, 7, 8)));

static void fail(struct lig_csv *r, const char *code, uint64_t line, uint64_t column, uint64_t byte,
                 const char *hint, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->error.message, sizeof r->error.message, format, args);
    va_end(args);
    (void)snprintf(r->error.hint, sizeof r->error.hint, "%s", hint);
    r->error.code = code;
    r->error.line = line;
    r->error.column = column;
    r->error.byte = byte;
    r->failed = true;
}

static void fail_memory(struct lig_csv *r) {
    fail(r, "memory", 0, 0, 0, "", "out of memory");
    r->error.errno_value = ENOMEM;
}

/* ---- storing cells ------------------------------------------------------- */

/* Splits a line that holds no quote mark.  The whole line is copied at once; its
 * separators become the bytes between the cells. */
static bool line_split(struct lig_csv *r, const char *line, size_t length) {
    struct lig_cells *c = r->cells;
    // Every byte might be a separator, so the ends are reserved piece by piece.
    if (!lig_cells_reserve_text(c, length + 1)) {
        return false;
    }
    char *out = c->text + c->text_used;
    memcpy(out, line, length);
    uint32_t base = (uint32_t)c->text_used + 1;
    const char separator = r->options.separator;
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < 4096 ? length - done : 4096;
        if (!lig_cells_reserve_ends(c, piece + 1)) {
            return false;
        }
        uint32_t *ends = c->ends;
        size_t n = c->end_count;
        for (size_t i = done; i < done + piece; i++) {
            ends[n] = base + (uint32_t)i; // kept only when this byte is a separator
            n += out[i] == separator;
        }
        c->end_count = n;
        done += piece;
    }
    if (!lig_cells_reserve_ends(c, 1)) {
        return false;
    }
    out[length] = '\n';
    c->text_used += length + 1;
    c->ends[c->end_count++] = (uint32_t)c->text_used;
    return true;
}

/* ---- libcsv's callbacks: they only append -------------------------------- */

static int never_space(unsigned char c) {
    (void)c;
    return 0;
}

static void field_ended(void *text, size_t length, void *reader) {
    struct lig_csv *r = reader;
    if (!r->cell_failed && !lig_cells_append(r->cells, text, length)) {
        r->cell_failed = true;
    }
}

static void record_ended(int terminator, void *reader) {
    (void)terminator;
    ((struct lig_csv *)reader)->record_done = true;
}

/* ---- making -------------------------------------------------------------- */

struct lig_csv *lig_csv_new(const struct lig_csv_options *options, struct lig_source *source,
                            struct lig_format *format) {
    struct lig_csv *r = calloc(1, sizeof *r);
    if (r == NULL) {
        lig_source_close(source);
        lig_format_release(format);
        return NULL;
    }
    r->options = *options;
    r->source = source;
    r->format = format;
    r->capacity = READ_BYTES;
    r->buffer = malloc(r->capacity);
    r->parser_made = csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) == 0;
    if (r->buffer == NULL || !r->parser_made) {
        lig_csv_free(r);
        return NULL;
    }
    csv_set_delim(&r->parser, (unsigned char)options->separator);
    csv_set_quote(&r->parser, (unsigned char)(options->quote != 0 ? options->quote : '"'));
    csv_set_space_func(&r->parser, never_space);
    return r;
}

void lig_csv_free(struct lig_csv *r) {
    if (r == NULL) {
        return;
    }
    if (r->parser_made) {
        csv_free(&r->parser);
    }
    lig_source_close(r->source);
    lig_cells_release(r->cells);
    lig_cells_release(r->header);
    lig_cells_release(r->first);
    lig_format_release(r->format);
    free(r->buffer);
    free(r);
}

static bool cells_begin(struct lig_csv *r) {
    r->cells = lig_cells_new(r->format);
    if (r->cells == NULL || !lig_cells_reserve_text(r->cells, r->options.frame_bytes / 8) ||
        !lig_cells_reserve_ends(r->cells, r->cells_seen + 1)) {
        fail_memory(r);
        return false;
    }
    r->cells->first_row = r->rows + 1;
    r->record_end_index = 0;
    return true;
}

/* ---- lines --------------------------------------------------------------- */

static size_t find_from(const struct lig_csv *r, size_t from, char c) {
    const char *at = memchr(r->buffer + from, c, r->end - from);
    return at == NULL ? r->end : (size_t)(at - r->buffer);
}

/* Makes room and reads more; finds of line ends go on where they stopped. */
static bool buffer_fill(struct lig_csv *r) {
    size_t held = r->end - r->start;
    if (r->start > 0) {
        memmove(r->buffer, r->buffer + r->start, held);
        r->next_lf -= r->start;
        r->next_cr -= r->start;
        r->start = 0;
        r->end = held;
    }
    if (r->capacity - r->end < READ_BYTES / 2) {
        if (held > LIG_CSV_ROW_BYTES) {
            fail(r, "line_length", r->line + 1, 0, r->byte + 1,
                 "Is this a table of text? Check the separator and the line ends",
                 "a line is longer than %zu MiB", LIG_CSV_ROW_BYTES >> 20);
            return false;
        }
        char *larger = realloc(r->buffer, r->capacity * 2);
        if (larger == NULL) {
            fail_memory(r);
            return false;
        }
        r->buffer = larger;
        r->capacity *= 2;
    }
    struct lig_source_error error = {0};
    ssize_t n = lig_source_read(r->source, r->buffer + r->end, r->capacity - r->end, &error);
    if (n < 0) {
        bool placed = strcmp(error.code, "encoding") == 0;
        fail(r, error.code, placed ? r->line + 1 : 0, 0, placed ? r->byte + held + 1 : 0,
             error.hint, "%s", error.message);
        r->error.errno_value = error.errno_value;
        return false;
    }
    size_t old_end = r->end;
    r->end += (size_t)n;
    r->source_ended = n == 0;
    if (r->next_lf == old_end) {
        r->next_lf = find_from(r, old_end, '\n');
    }
    if (r->next_cr == old_end) {
        r->next_cr = find_from(r, old_end, '\r');
    }
    return true;
}

struct line {
    const char *text;
    size_t length;     /* without the line end */
    size_t terminated; /* with it: 0, 1 or 2 bytes more */
};

/* The next line, valid until the next call.  1, 0 at the end, -1 on failure. */
static int line_next(struct lig_csv *r, struct line *line) {
    size_t stop;
    for (;;) {
        stop = r->next_lf < r->next_cr ? r->next_lf : r->next_cr;
        // A CR as the last byte may be half of a CRLF.
        bool whole = stop < r->end && !(r->buffer[stop] == '\r' && stop + 1 == r->end);
        if (whole || r->source_ended) {
            break;
        }
        if (!buffer_fill(r)) {
            return -1;
        }
    }
    if (r->start == r->end) {
        return 0;
    }
    size_t after = stop;
    if (stop < r->end) {
        after = stop + 1;
        if (r->buffer[stop] == '\r' && after < r->end && r->buffer[after] == '\n') {
            after++;
        }
    }
    line->text = r->buffer + r->start;
    line->length = stop - r->start;
    line->terminated = after - r->start;
    r->line++;
    r->byte += line->terminated;
    r->start = after;
    if (r->next_lf < after) {
        r->next_lf = find_from(r, after, '\n');
    }
    if (r->next_cr < after) {
        r->next_cr = find_from(r, after, '\r');
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

static bool line_is_text(struct lig_csv *r, const struct line *line) {
    uint64_t before = r->byte - line->terminated;
    const char *nul = memchr(line->text, '\0', line->length);
    if (nul != NULL) {
        size_t at = (size_t)(nul - line->text);
        size_t look = line->length < 64 ? line->length : 64;
        size_t zeros = 0;
        for (size_t i = 0; i < look; i++) {
            zeros += line->text[i] == '\0';
        }
        bool utf16 = zeros * 3 > look;
        fail(r, "nul", r->line, 0, before + at + 1,
             utf16 ? "It looks like UTF-16 without a byte order mark: try --encoding utf-16le"
                   : "Postgres cannot store it. Export the table again as text",
             "a NUL byte in the text");
        return false;
    }
    if (!is_ascii(line->text, line->length)) {
        size_t valid = utf8_valid(line->text, line->length);
        if (valid < line->length) {
            fail(r, "encoding", r->line, 0, before + valid + 1,
                 "If the file is Latin-1, say so with --encoding latin1",
                 "byte 0x%02X is not valid UTF-8", (unsigned)(unsigned char)line->text[valid]);
            return false;
        }
    }
    return true;
}

/* ---- records ------------------------------------------------------------- */

static bool fields_checked(struct lig_csv *r) {
    const struct lig_cells *c = r->cells;
    size_t width = c->end_count - r->record_end_index;
    if (width > r->options.column_limit) {
        fail(r, "columns", r->record_line, r->options.column_limit + 1, r->record_byte,
             "Check the separator, or raise the limit of columns",
             "a row has %zu fields, more than %zu", width, r->options.column_limit);
        return false;
    }
    uint32_t begin = r->record_end_index == 0 ? 0 : c->ends[r->record_end_index - 1];
    if (c->text_used - begin <= r->options.field_bytes) {
        return true;
    }
    for (size_t i = 0; i < width; i++) {
        uint32_t end = c->ends[r->record_end_index + i];
        if (end - begin - 1 > r->options.field_bytes) {
            fail(r, "field_length", r->record_line, i + 1, r->record_byte,
                 "Is a quote never closed? Otherwise raise the limit of field bytes",
                 "a field has %u bytes, more than %zu", end - begin - 1, r->options.field_bytes);
            return false;
        }
        begin = end;
    }
    return true;
}

static bool quote_fail(struct lig_csv *r, uint64_t line, uint64_t byte) {
    size_t field = r->cells->end_count - r->record_end_index + 1;
    fail(r, "quote", line, field, byte,
         "Double every quote mark inside a quoted field and quote the whole field, or read the "
         "file without quoting: --quote none",
         "a quote mark stands where none may be");
    return false;
}

/* Gives libcsv one line with its line end as it stands. */
static bool line_feed(struct lig_csv *r, const char *text, size_t length) {
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < PIECE_BYTES ? length - done : PIECE_BYTES;
        size_t n = csv_parse(&r->parser, text + done, piece, field_ended, record_ended, r);
        if (r->cell_failed || csv_error(&r->parser) == CSV_ENOMEM) {
            fail_memory(r);
            return false;
        }
        if (n != piece) {
            return quote_fail(r, r->line, r->byte - length + done + n + 1);
        }
        if (r->parser.entry_pos > r->options.field_bytes) {
            fail(r, "field_length", r->record_line, r->cells->end_count - r->record_end_index + 1,
                 r->record_byte,
                 "A quote that is never closed does this. Close it, or raise the limit of field "
                 "bytes",
                 "a field that begins in the row of this line is longer than %zu bytes",
                 r->options.field_bytes);
            return false;
        }
        done += piece;
    }
    return true;
}

static bool record_finish(struct lig_csv *r) {
    r->record_done = false;
    r->record_open = false;
    return fields_checked(r);
}

static bool records_end(struct lig_csv *r) {
    r->ended = true;
    if (!r->record_open) {
        return true;
    }
    if (csv_fini(&r->parser, field_ended, record_ended, r) != 0) {
        fail(r, "quote", r->record_line, r->cells->end_count - r->record_end_index + 1,
             r->record_byte, "Close the quote; the row that holds it begins at this line",
             "a quoted field is never closed");
        return false;
    }
    return !r->cell_failed && record_finish(r);
}

/* Reads up to the end of one record, whose cells are appended to r->cells.
 * 1, 0 at the end of the source, -1 on failure. */
static int record_read(struct lig_csv *r) {
    if (r->failed) {
        return -1;
    }
    while (!r->ended) {
        struct line line;
        int got = line_next(r, &line);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            bool open = r->record_open;
            return !records_end(r) ? -1 : open;
        }
        if (r->line <= r->options.skip_lines) {
            continue;
        }
        if (!r->record_open) {
            bool comment =
                r->options.comment != 0 && line.length > 0 && line.text[0] == r->options.comment;
            if (line.length == 0 || comment) {
                continue;
            }
            r->record_line = r->line;
            r->record_byte = r->byte - line.terminated + 1;
            r->record_end_index = r->cells->end_count;
        }
        if (!line_is_text(r, &line)) {
            return -1;
        }
        bool plain =
            r->options.quote == 0 || memchr(line.text, r->options.quote, line.length) == NULL;
        if (!r->record_open && plain && !(r->options.libcsv_only && r->options.quote != 0)) {
            if (!line_split(r, line.text, line.length)) {
                fail_memory(r);
                return -1;
            }
            return record_finish(r) ? 1 : -1;
        }
        r->record_open = true;
        if (!line_feed(r, line.text, line.terminated)) {
            return -1;
        }
        if (r->record_done) {
            return record_finish(r) ? 1 : -1;
        }
        uint32_t begin = r->record_end_index == 0 ? 0 : r->cells->ends[r->record_end_index - 1];
        if (r->cells->text_used - begin > LIG_CSV_ROW_BYTES) {
            fail(r, "row_length", r->record_line, 0, r->record_byte, "Is a quote never closed?",
                 "a row is longer than %zu MiB", LIG_CSV_ROW_BYTES >> 20);
            return -1;
        }
    }
    return 0;
}

/* ---- frames -------------------------------------------------------------- */

static bool header_read(struct lig_csv *r) {
    int got = record_read(r);
    if (got < 0) {
        return false;
    }
    if (got == 0) {
        fail(r, "empty", 0, 0, 0, "Check that the export finished", "the file holds no rows");
        return false;
    }
    r->cells->rows = 1;
    r->cells->columns = r->cells->end_count;
    r->header = r->cells;
    r->header_line = r->record_line;
    r->cells = NULL;
    return true;
}

/* R's write.table leaves out the header of the column of row names. */
static bool header_widen(struct lig_csv *r) {
    struct lig_cells *wide = lig_cells_new(r->format);
    if (wide == NULL || !lig_cells_append(wide, "", 0)) {
        lig_cells_release(wide);
        fail_memory(r);
        return false;
    }
    for (size_t i = 0; i < r->header->columns; i++) {
        struct lig_text cell = lig_cell(r->header, 0, i);
        if (!lig_cells_append(wide, cell.at, cell.length)) {
            lig_cells_release(wide);
            fail_memory(r);
            return false;
        }
    }
    wide->rows = 1;
    wide->columns = wide->end_count;
    lig_cells_release(r->header);
    r->header = wide;
    r->header_short = true;
    return true;
}

static bool row_keep(struct lig_csv *r) {
    struct lig_cells *c = r->cells;
    size_t width = c->end_count - r->record_end_index;
    if (r->columns == 0) {
        if (r->header != NULL && width == r->header->columns + 1 && !header_widen(r)) {
            return false;
        }
        r->columns = r->header != NULL ? r->header->columns : width;
    }
    while (r->options.pad && width < r->columns) {
        if (!lig_cells_append(c, "", 0)) {
            fail_memory(r);
            return false;
        }
        width++;
    }
    if (width != r->columns) {
        fail(r, "ragged", r->record_line, width < r->columns ? width : r->columns + 1,
             r->record_byte, "Look at that line for a missing or an extra separator or quote",
             "the row has %zu fields, but the %s has %zu", width,
             r->header != NULL ? "header" : "first row", r->columns);
        return false;
    }
    if (!lig_cells_row_ended(c, r->record_line)) {
        fail_memory(r);
        return false;
    }
    r->rows++;
    return true;
}

/* Fills one frame; NULL at the end or on failure. */
static struct lig_cells *frame_read(struct lig_csv *r) {
    if (r->ended || !cells_begin(r)) {
        return NULL;
    }
    const size_t wanted = r->rows == 0 ? r->options.first_frame_bytes : r->options.frame_bytes;
    while (r->cells->text_used < wanted) {
        int got = record_read(r);
        if (got < 0 || (got > 0 && !row_keep(r))) {
            return NULL;
        }
        if (got == 0) {
            break;
        }
    }
    struct lig_cells *frame = r->cells;
    r->cells = NULL;
    if (frame->rows == 0) {
        lig_cells_release(frame);
        return NULL;
    }
    frame->columns = r->columns;
    r->cells_seen = frame->end_count;
    return frame;
}

bool lig_csv_start(struct lig_csv *r) {
    if (!cells_begin(r)) {
        return false;
    }
    if (r->options.header && !header_read(r)) {
        return false;
    }
    lig_cells_release(r->cells);
    r->cells = NULL;
    r->first = frame_read(r);
    return !r->failed;
}

struct lig_cells *lig_csv_next(struct lig_csv *r, bool *failed) {
    struct lig_cells *frame = r->first;
    r->first = NULL;
    if (frame == NULL && !r->failed) {
        frame = frame_read(r);
    }
    *failed = r->failed;
    if (r->failed) {
        lig_cells_release(frame);
        return NULL;
    }
    return frame;
}

int64_t lig_csv_width(struct lig_csv *r) {
    if (r->cells == NULL && !cells_begin(r)) {
        return -1;
    }
    r->cells->text_used = 0;
    r->cells->end_count = 0;
    r->record_end_index = 0;
    int got = record_read(r);
    return got <= 0 ? got : (int64_t)r->cells->end_count;
}

const struct lig_cells *lig_csv_header(const struct lig_csv *r) {
    return r->header;
}

bool lig_csv_header_short(const struct lig_csv *r) {
    return r->header_short;
}

uint64_t lig_csv_header_line(const struct lig_csv *r) {
    return r->header_line;
}

const struct lig_csv_error *lig_csv_last_error(const struct lig_csv *r) {
    return &r->error;
}

const struct lig_source *lig_csv_source(const struct lig_csv *r) {
    return r->source;
}

struct lig_source *lig_csv_raw_source(struct lig_csv *r) {
    return r->source;
}

size_t lig_csv_columns(const struct lig_csv *r) {
    return r->columns != 0 || r->header == NULL ? r->columns : r->header->columns;
}

uint64_t lig_csv_lines(const struct lig_csv *r) {
    return r->line;
}

uint64_t lig_csv_rows(const struct lig_csv *r) {
    return r->rows;
}
