/* csv_reader.h: separated text to cells, exactly.
 *
 * Knows nothing of Lua.  Feeds libcsv in its strict mode one line at a time, so
 * that every error has its line and byte; a line without any quote mark needs no
 * state machine and is split directly, with the same result.
 */
#ifndef LIG_CSV_READER_H
#define LIG_CSV_READER_H

#include "frame.h"
#include "source.h"

struct lig_csv_options {
    char separator;           /* ',' */
    char quote;               /* '"', or 0 for none */
    char comment;             /* lines that begin with it are skipped between records; 0 for none */
    bool header;              /* the first record holds the columns' names */
    bool pad;                 /* short rows are filled with empty cells instead of refused */
    bool libcsv_only;         /* every line through libcsv: for tests and measurements */
    uint64_t skip_lines;      /* lines before the header that are not part of the table */
    size_t frame_bytes;       /* a frame ends with the row that reaches this many bytes of text */
    size_t first_frame_bytes; /* the same for the first frame, by which much is decided */
    size_t field_bytes;       /* longest field */
    size_t column_limit;      /* widest row */
};

#define LIG_CSV_ROW_BYTES ((size_t)64 << 20) /* longest line and longest row */

struct lig_csv_error {
    const char *code; /* "quote", "ragged", "encoding", "nul", ... */
    int errno_value;
    char message[400];
    char hint[256];
    uint64_t line;   /* 1-based line of the source; 0: none */
    uint64_t column; /* 1-based field; 0: none */
    uint64_t byte;   /* 1-based byte in the text as UTF-8, without byte order mark; 0: none */
};

struct lig_csv;

/* A reader over `source` and `format`, both taken over, also on failure. */
struct lig_csv *lig_csv_new(const struct lig_csv_options *options, struct lig_source *source,
                            struct lig_format *format);
void lig_csv_free(struct lig_csv *reader);

/* Reads the header and the first frame.  False: lig_csv_error says why. */
bool lig_csv_start(struct lig_csv *reader);

/* The header's cells (rows == 1), with "" in front when every row has one field
 * more than the header (row names as R writes them); NULL without a header. */
const struct lig_cells *lig_csv_header(const struct lig_csv *reader);
/* Whether that "" was added: the file itself has no header cell for its first column. */
bool lig_csv_header_short(const struct lig_csv *reader);
uint64_t lig_csv_header_line(const struct lig_csv *reader);

/* The next frame, which the caller owns; NULL at the end (*failed false) or on a
 * failure (*failed true). */
struct lig_cells *lig_csv_next(struct lig_csv *reader, bool *failed);

/* Widths of the next record: its number of fields, 0 at the end, -1 on failure.
 * For looking at a table whose shape is unknown; not to be mixed with lig_csv_next. */
int64_t lig_csv_width(struct lig_csv *reader);

const struct lig_csv_error *lig_csv_last_error(const struct lig_csv *reader);
const struct lig_source *lig_csv_source(const struct lig_csv *reader);
/* The source itself, still owned by the reader, for looking at its first bytes. */
struct lig_source *lig_csv_raw_source(struct lig_csv *reader);
size_t lig_csv_columns(const struct lig_csv *reader); /* after lig_csv_start; 0 without rows */
uint64_t lig_csv_lines(const struct lig_csv *reader); /* lines read so far */
uint64_t lig_csv_rows(const struct lig_csv *reader);  /* data rows read so far */

#endif
