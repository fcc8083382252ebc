/* csv_reader.c: separated text to cells; see csv_reader.h. */
#include "csv_reader.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_BYTES ((size_t)4096)      /* a line is split at most this much between two checks */
#define PIECE_BYTES ((size_t)64 * 1024) /* libcsv is fed at most this much between two checks */

struct lig_csv {
    struct lig_csv_options options;
    struct lig_lines lines;
    struct lig_format *format;
    struct csv_parser parser;
    bool parser_made;

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
    size_t text_seen;        /* the size of the last frame, to plan the next: bytes of text */
    size_t cells_seen;       /* and cells */
    uint64_t rows;
    bool ended;
    struct lig_csv_error error; /* its code is set once reading failed */
};

/* ---- limits -------------------------------------------------------------- */

static bool failed(const struct lig_csv *r) {
    return r->error.code != NULL;
}

static bool fail_memory(struct lig_csv *r) {
    return lig_csv_fail_memory(&r->error);
}

static bool columns_fail(struct lig_csv *r) {
    return lig_csv_fail(&r->error, "columns", r->record_line, r->options.column_limit + 1,
                        r->record_byte, "Check the separator, or raise the limit (--max-columns)",
                        "a row has more than %zu fields", r->options.column_limit);
}

static bool field_fail(struct lig_csv *r, size_t field) {
    return lig_csv_fail(&r->error, "field_length", r->record_line, field, r->record_byte,
                        "Is a quote never closed? Otherwise raise the limit (--max-field)",
                        "a field is longer than %zu bytes", r->options.field_bytes);
}

/* The limits on the fields that the open record has so far. */
static bool fields_checked(struct lig_csv *r) {
    const struct lig_cells *c = r->cells;
    size_t width = c->end_count - r->record_end_index;
    if (width > r->options.column_limit) {
        return columns_fail(r);
    }
    uint32_t begin = r->record_end_index == 0 ? 0 : c->ends[r->record_end_index - 1];
    if (c->text_used - begin <= r->options.field_bytes) {
        return true;
    }
    for (size_t i = 0; i < width; i++) {
        uint32_t end = c->ends[r->record_end_index + i];
        if (end - begin - 1 > r->options.field_bytes) {
            return field_fail(r, i + 1);
        }
        begin = end;
    }
    return true;
}

/* ---- lines without a quote mark ------------------------------------------ */

/* Splits such a line.  The whole line is copied at once; its separators become the
 * bytes between the cells. */
static bool line_split(struct lig_csv *r, const char *line, size_t length) {
    struct lig_cells *c = r->cells;
    // Every byte might be a separator, so the ends are reserved piece by piece.
    if (!lig_cells_reserve_text(c, length + 1)) {
        return fail_memory(r);
    }
    char *out = c->text + c->text_used;
    memcpy(out, line, length);
    uint32_t base = (uint32_t)c->text_used + 1;
    const char separator = r->options.separator;
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < SPLIT_BYTES ? length - done : SPLIT_BYTES;
        if (!lig_cells_reserve_ends(c, piece + 1)) {
            return fail_memory(r);
        }
        uint32_t *ends = c->ends;
        size_t n = c->end_count;
        for (size_t i = done; i < done + piece; i++) {
            ends[n] = base + (uint32_t)i; // kept only when this byte is a separator
            n += out[i] == separator;
        }
        c->end_count = n;
        done += piece;
        if (n - r->record_end_index >= r->options.column_limit) {
            return columns_fail(r);
        }
    }
    if (!lig_cells_reserve_ends(c, 1)) {
        return fail_memory(r);
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
    r->format = format;
    r->parser_made = csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) == 0;
    if (!lig_lines_open(&r->lines, source) || !r->parser_made) {
        lig_csv_free(r);
        return NULL;
    }
    csv_set_delim(&r->parser, (unsigned char)options->separator);
    csv_set_quote(&r->parser, (unsigned char)(options->quote != 0 ? options->quote : '"'));
    csv_set_space_func(&r->parser, never_space);
    csv_set_blk_size(&r->parser, SPLIT_BYTES);
    return r;
}

void lig_csv_free(struct lig_csv *r) {
    if (r == NULL) {
        return;
    }
    if (r->parser_made) {
        csv_free(&r->parser);
    }
    lig_lines_close(&r->lines);
    lig_cells_release(r->cells);
    lig_cells_release(r->header);
    lig_cells_release(r->first);
    lig_format_release(r->format);
    free(r);
}

static bool cells_begin(struct lig_csv *r) {
    r->cells = lig_cells_new(r->format);
    if (r->cells == NULL ||
        !lig_cells_reserve_text(r->cells, r->text_seen > 0 ? r->text_seen + r->text_seen / 16
                                                           : r->options.frame_bytes / 4) ||
        !lig_cells_reserve_ends(r->cells, r->cells_seen + 1)) {
        return fail_memory(r);
    }
    r->cells->first_row = r->rows + 1;
    r->record_end_index = 0;
    return true;
}

/* ---- records ------------------------------------------------------------- */

static bool quote_fail(struct lig_csv *r, uint64_t byte) {
    size_t field = r->cells->end_count - r->record_end_index + 1;
    return lig_csv_fail(&r->error, "quote", r->lines.line, field, byte,
                        "Double every quote mark inside a quoted field and quote the whole field, "
                        "or read the file without quoting: --quote none",
                        "a quote mark stands where none may be");
}

/* The limits while libcsv holds a field that has not ended yet. */
static bool open_field_checked(struct lig_csv *r) {
    size_t ended = r->cells->end_count - r->record_end_index;
    if (ended >= r->options.column_limit) {
        return columns_fail(r);
    }
    // One byte more may be a closing quote mark that libcsv has yet to understand.
    if (r->parser.entry_pos > r->options.field_bytes + 1) {
        return fields_checked(r) && field_fail(r, ended + 1);
    }
    return true;
}

/* Gives libcsv one line with its line end as it stands. */
static bool line_feed(struct lig_csv *r, const char *text, size_t length) {
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < PIECE_BYTES ? length - done : PIECE_BYTES;
        size_t n = csv_parse(&r->parser, text + done, piece, field_ended, record_ended, r);
        if (r->cell_failed || csv_error(&r->parser) == CSV_ENOMEM) {
            return fail_memory(r);
        }
        if (n != piece) {
            return quote_fail(r, r->lines.byte - length + done + n + 1);
        }
        if (!r->record_done && !open_field_checked(r)) {
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

/* The source has ended; a record may still be open because its last line has no end
 * or because a quote was never closed. */
static bool records_end(struct lig_csv *r) {
    r->ended = true;
    if (!r->record_open) {
        return true;
    }
    if (csv_fini(&r->parser, field_ended, record_ended, r) != 0) {
        return lig_csv_fail(&r->error, "quote", r->record_line,
                            r->cells->end_count - r->record_end_index + 1, r->record_byte,
                            "Close the quote; the row that holds it begins at this line",
                            "a quoted field is never closed");
    }
    return r->cell_failed ? fail_memory(r) : record_finish(r);
}

/* The first line of a record; false for lines that belong to none. */
static bool record_begin(struct lig_csv *r, const struct lig_line *line) {
    const char comment = r->options.comment;
    if (line->length == 0 || (comment != 0 && line->text[0] == comment)) {
        return false;
    }
    r->record_line = r->lines.line;
    r->record_byte = r->lines.byte - line->terminated + 1;
    r->record_end_index = r->cells->end_count;
    return true;
}

static bool row_length_checked(struct lig_csv *r) {
    uint32_t begin = r->record_end_index == 0 ? 0 : r->cells->ends[r->record_end_index - 1];
    if (r->cells->text_used - begin <= LIG_CSV_ROW_BYTES) {
        return true;
    }
    return lig_csv_fail(&r->error, "row_length", r->record_line, 0, r->record_byte,
                        "Is a quote never closed?", "a row is longer than %zu MiB",
                        LIG_CSV_ROW_BYTES >> 20);
}

/* Reads up to the end of one record, whose cells are appended to r->cells.
 * 1, 0 at the end of the source, -1 on failure. */
static int record_read(struct lig_csv *r) {
    if (failed(r)) {
        return -1;
    }
    while (!r->ended) {
        struct lig_line line;
        int got = lig_lines_next(&r->lines, &line, &r->error);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            bool open = r->record_open;
            return !records_end(r) ? -1 : open;
        }
        if (r->lines.line <= r->options.skip_lines ||
            (!r->record_open && !record_begin(r, &line))) {
            continue;
        }
        if (!lig_line_is_text(&r->lines, &line, &r->error)) {
            return -1;
        }
        bool plain =
            r->options.quote == 0 || memchr(line.text, r->options.quote, line.length) == NULL;
        if (!r->record_open && plain && !(r->options.libcsv_only && r->options.quote != 0)) {
            return line_split(r, line.text, line.length) && record_finish(r) ? 1 : -1;
        }
        r->record_open = true;
        if (!line_feed(r, line.text, line.terminated)) {
            return -1;
        }
        if (r->record_done) {
            return record_finish(r) ? 1 : -1;
        }
        if (!row_length_checked(r)) {
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
        return lig_csv_fail(&r->error, "empty", 0, 0, 0, "Check that the export finished",
                            "the file holds no rows");
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
    bool stored = wide != NULL && lig_cells_append(wide, "", 0);
    for (size_t i = 0; stored && i < r->header->columns; i++) {
        struct lig_text cell = lig_cell(r->header, 0, i);
        stored = lig_cells_append(wide, cell.at, cell.length);
    }
    if (!stored) {
        lig_cells_release(wide);
        return fail_memory(r);
    }
    wide->rows = 1;
    wide->columns = wide->end_count;
    lig_cells_release(r->header);
    r->header = wide;
    r->header_short = true;
    return true;
}

static bool last_cell_is_empty(const struct lig_cells *c) {
    size_t n = c->end_count;
    return c->ends[n - 1] - (n > 1 ? c->ends[n - 2] : 0) == 1;
}

/* The first row decides how many columns there are. */
static bool columns_decide(struct lig_csv *r, size_t width) {
    if (r->header == NULL) {
        r->columns = width;
        return true;
    }
    // A row that is wider because it ends in a separator has no row names: taking the
    // header for short would put every name over the wrong column.
    if (width == r->header->columns + 1 && !last_cell_is_empty(r->cells) && !header_widen(r)) {
        return false;
    }
    r->columns = r->header->columns;
    return true;
}

static bool row_keep(struct lig_csv *r) {
    struct lig_cells *c = r->cells;
    size_t width = c->end_count - r->record_end_index;
    if (r->columns == 0 && !columns_decide(r, width)) {
        return false;
    }
    while (r->options.pad && width < r->columns) {
        if (!lig_cells_append(c, "", 0)) {
            return fail_memory(r);
        }
        width++;
    }
    if (width != r->columns) {
        return lig_csv_fail(&r->error, "ragged", r->record_line,
                            width < r->columns ? width : r->columns + 1, r->record_byte,
                            "Look at that line for a missing or an extra separator or quote",
                            "the row has %zu fields, but the %s has %zu", width,
                            r->header != NULL ? "header" : "first row", r->columns);
    }
    if (!lig_cells_row_ended(c, r->record_line)) {
        return fail_memory(r);
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
    r->text_seen = frame->text_used;
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
    return !failed(r);
}

struct lig_cells *lig_csv_next(struct lig_csv *r, bool *stopped) {
    struct lig_cells *frame = r->first;
    r->first = NULL;
    if (frame == NULL && !failed(r)) {
        frame = frame_read(r);
    }
    *stopped = failed(r);
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

struct lig_source *lig_csv_source(struct lig_csv *r) {
    return r->lines.source;
}

size_t lig_csv_columns(const struct lig_csv *r) {
    return r->columns != 0 || r->header == NULL ? r->columns : r->header->columns;
}

uint64_t lig_csv_lines(const struct lig_csv *r) {
    return r->lines.line;
}

uint64_t lig_csv_rows(const struct lig_csv *r) {
    return r->rows;
}
