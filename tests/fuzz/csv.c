/* csv.c: the CSV engine on any bytes, without Lua.
 *
 * The first bytes choose the options, the rest is the file.  Each input is read by the
 * fast path and by libcsv alone; both must give the same cells or the same error.
 * What is read is also read as columns: numbers, distinct texts and profile touch every
 * cell.
 */
#include "csv_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 6

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static size_t size_of(uint8_t byte) {
    static const size_t sizes[] = {1, 2, 3, 7, 16, 100, 1000, 4096};
    return sizes[byte & 7];
}

static struct lig_csv *reader_open(const uint8_t *head, const char *text, size_t length,
                                   bool libcsv_only) {
    static const char separators[] = {',', ';', '\t', '|', ' ', ':', 'a', '\''};
    static const char *const encodings[] = {NULL,       NULL,     "utf-8",    NULL,
                                            "utf-16le", "latin1", "utf-16be", "big5-hkscs"};
    struct lig_csv_options options = {
        .separator = separators[head[0] & 7],
        .quote = "\"\"\"`"[head[0] >> 3 & 3],
        .comment = (head[0] & 32) != 0 ? '#' : '\0',
        .header = (head[1] & 1) != 0,
        .pad = (head[1] & 2) != 0,
        .libcsv_only = libcsv_only,
        .skip_lines = head[1] >> 2 & 3,
        .frame_bytes = (head[1] & 16) != 0 ? size_of(head[2]) : 1 << 20,
        .field_bytes = (head[1] & 32) != 0 ? size_of(head[2] >> 3) : 1 << 20,
        .column_limit = (head[1] & 64) != 0 ? size_of(head[3]) : 10000,
    };
    options.quote = (head[0] & 64) != 0 ? '\0' : options.quote;
    options.first_frame_bytes = (head[1] & 128) != 0 ? 1 : options.frame_bytes;
    struct lig_format *format = lig_format_new();
    format->decimal = (head[3] & 8) != 0 ? ',' : '.';
    if ((head[3] & 16) != 0) {
        require(lig_format_add_mark(format, "NA", 2), "memory");
        require(lig_format_add_mark(format, "-9", 2), "memory");
    }
    require(lig_format_add_mark(format, "", 0), "memory");
    struct lig_source_error error = {0};
    struct lig_source *source = lig_source_of_string(text, length, encodings[head[4] & 7], &error);
    require(source != NULL, "a source over a string");
    struct lig_csv *csv = lig_csv_new(&options, source, format);
    require(csv != NULL, "a reader");
    return csv;
}

/* Reads each column once as text and once as numbers. */
static void columns_read(const struct lig_cells *cells) {
    uint32_t *codes = calloc(cells->rows, sizeof *codes);
    uint32_t *rows = calloc(cells->rows, sizeof *rows);
    require(codes != NULL && rows != NULL, "memory");
    for (uint32_t column = 0; column < cells->columns; column++) {
        size_t distinct = 0;
        require(lig_distinct(cells, 0, cells->rows, column, codes, rows, &distinct), "memory");
        for (size_t row = 0; row < cells->rows; row++) {
            struct lig_text cell = lig_cell(cells, row, column);
            double value;
            size_t mark = 0;
            (void)lig_cell_number(cells->format, cell, &value, &mark);
            require(mark < cells->format->mark_count, "a mark that is one");
            require((codes[row] == UINT32_MAX) == (cell.length == 0), "a code for each text");
            if (cell.length > 0) {
                struct lig_text first = lig_cell(cells, rows[codes[row]], column);
                require(first.length == cell.length && memcmp(first.at, cell.at, cell.length) == 0,
                        "a code that stands for the cell");
            }
        }
    }
    free(codes);
    free(rows);
}

static void cells_compare(const struct lig_cells *a, const struct lig_cells *b) {
    require((a == NULL) == (b == NULL), "as many frames");
    if (a == NULL) {
        return;
    }
    require(a->rows == b->rows && a->columns == b->columns, "frames of one shape");
    require(a->first_row == b->first_row, "one first row");
    require(a->end_count == a->rows * a->columns && b->end_count == a->end_count, "all cells");
    require(a->text_used == b->text_used, "as much text");
    for (size_t row = 0; row < a->rows; row++) {
        require(a->lines == NULL || a->lines[row] == b->lines[row], "one line for each row");
        for (size_t column = 0; column < a->columns; column++) {
            struct lig_text x = lig_cell(a, row, column);
            struct lig_text y = lig_cell(b, row, column);
            require(x.length == y.length && memcmp(x.at, y.at, x.length) == 0, "equal cells");
            require(memchr(x.at, '\0', x.length) == NULL, "no NUL byte");
        }
    }
}

static void errors_compare(const struct lig_csv *a, const struct lig_csv *b) {
    const struct lig_csv_error *x = lig_csv_last_error(a);
    const struct lig_csv_error *y = lig_csv_last_error(b);
    require(x->code != NULL && y->code != NULL, "an error that has a code");
    require(strcmp(x->code, y->code) == 0 && strcmp(x->message, y->message) == 0, "one error");
    require(x->line == y->line && x->column == y->column && x->byte == y->byte, "one place");
}

/* Whether both readers can go on. */
static bool readers_start(struct lig_csv *fast, struct lig_csv *slow) {
    bool started = lig_csv_start(fast);
    require(started == lig_csv_start(slow), "both start or none");
    if (!started) {
        errors_compare(fast, slow);
        return false;
    }
    cells_compare(lig_csv_header(fast), lig_csv_header(slow));
    require(lig_csv_header_line(fast) == lig_csv_header_line(slow), "one header line");
    require(lig_csv_header_short(fast) == lig_csv_header_short(slow), "one header");
    return true;
}

static void tables_compare(struct lig_csv *fast, struct lig_csv *slow) {
    struct lig_cells *a;
    do {
        bool a_stopped = false;
        bool b_stopped = false;
        a = lig_csv_next(fast, &a_stopped);
        struct lig_cells *b = lig_csv_next(slow, &b_stopped);
        require(a_stopped == b_stopped, "both stop or none");
        if (a_stopped) {
            errors_compare(fast, slow);
        } else {
            cells_compare(a, b);
        }
        if (a != NULL) {
            columns_read(a);
        }
        lig_cells_release(a);
        lig_cells_release(b);
    } while (a != NULL);
    require(lig_csv_rows(fast) == lig_csv_rows(slow), "as many rows");
    require(lig_csv_lines(fast) == lig_csv_lines(slow), "as many lines");
}

static void widths_compare(struct lig_csv *fast, struct lig_csv *slow) {
    int64_t width;
    do {
        width = lig_csv_width(fast);
        require(width == lig_csv_width(slow), "one width");
    } while (width > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t plain[HEAD_BYTES] = {0, 1};
    // A real file of the seeds is read by the usual options first, then as any input.
    const uint8_t *heads[] = {plain, data};
    for (size_t i = 0; i < 2 && size >= i * HEAD_BYTES; i++) {
        const char *text = (const char *)data + i * HEAD_BYTES;
        size_t length = size - i * HEAD_BYTES;
        struct lig_csv *fast = reader_open(heads[i], text, length, false);
        struct lig_csv *slow = reader_open(heads[i], text, length, true);
        if ((heads[i][4] & 8) != 0) {
            widths_compare(fast, slow);
        } else if (readers_start(fast, slow)) {
            tables_compare(fast, slow);
        }
        lig_csv_free(fast);
        lig_csv_free(slow);
    }
    return 0;
}
