/* csv_reader.h: separated text to cells, exactly.
 *
 * Knows nothing of Lua.  Feeds libcsv in its strict mode one line at a time, so
 * that every error has its line and byte; a line without any quote mark needs no
 * state machine and is split directly, with the same result.
 */
#ifndef LIG_CSV_READER_H
#define LIG_CSV_READER_H

#include "csv_lines.h"
#include "frame.h"

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

struct lig_csv;

/* A reader over `source` and `format`, both taken over, also on failure. */
struct lig_csv *lig_csv_new(const struct lig_csv_options *options, struct lig_source *source,
                            struct lig_format *format);
void lig_csv_free(struct lig_csv *reader);

/* Reads the header and the first frame.  False: lig_csv_error says why. */
bool lig_csv_start(struct lig_csv *reader);

/* The header's cells (rows == 1), with "" in front when the first row has one field
 * more than the header (row names as R writes them) and does not end in a separator,
 * which would explain it too; NULL without a header. */
const struct lig_cells *lig_csv_header(const struct lig_csv *reader);
/* Whether that "" was added: the file itself has no header cell for its first column. */
bool lig_csv_header_short(const struct lig_csv *reader);
uint64_t lig_csv_header_line(const struct lig_csv *reader);

/* The next frame, which the caller owns; NULL at the end (*stopped false) or on a
 * failure (*stopped true). */
struct lig_cells *lig_csv_next(struct lig_csv *reader, bool *stopped);

/* Widths of the next record: its number of fields, 0 at the end, -1 on failure.
 * For looking at a table whose shape is unknown; not to be mixed with lig_csv_next. */
int64_t lig_csv_width(struct lig_csv *reader);

/* Why reading failed; its code is NULL as long as it did not. */
const struct lig_csv_error *lig_csv_last_error(const struct lig_csv *reader);
/* The source, still owned by the reader, for asking it and for looking at its first bytes. */
struct lig_source *lig_csv_source(struct lig_csv *reader);
size_t lig_csv_columns(const struct lig_csv *reader); /* after lig_csv_start; 0 without rows */
uint64_t lig_csv_lines(const struct lig_csv *reader); /* lines read so far */
uint64_t lig_csv_rows(const struct lig_csv *reader);  /* data rows read so far */

#endif
