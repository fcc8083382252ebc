/* csv_lines.h: a source as lines, each known to be text.
 *
 * Knows nothing of Lua, nor of separators and quotes.  LF, CR and CRLF end a line,
 * also mixed in one file; a line keeps its end as it stands, because a quoted field
 * may go on over it.
 */
#ifndef LIG_CSV_LINES_H
#define LIG_CSV_LINES_H

#include "source.h"

#define LIG_CSV_ROW_BYTES ((size_t)64 << 20) /* longest line and longest row */

/* Why reading stopped; code is NULL as long as it did not. */
struct lig_csv_error {
    const char *code; /* "quote", "ragged", "encoding", "nul", ... */
    int errno_value;
    char message[400];
    char hint[256];
    uint64_t line;   /* 1-based line of the source; 0: none */
    uint64_t column; /* 1-based field; 0: none */
    uint64_t byte;   /* 1-based byte in the text as UTF-8, without byte order mark; 0: none */
};

/* Sets the error; always false, for the caller to return. */
bool lig_csv_fail(struct lig_csv_error *error, const char *code, uint64_t line, uint64_t column,
                  uint64_t byte, const char *hint, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
bool lig_csv_fail_memory(struct lig_csv_error *error);

struct lig_lines {
    struct lig_source *source;
    char *buffer;
    size_t start, end, capacity; /* bytes not yet consumed */
    size_t next_lf, next_cr;     /* where the next ones are, at or after start; end: none */
    bool source_ended;
    uint64_t byte; /* bytes consumed before `start` */
    uint64_t line; /* lines consumed */
};

struct lig_line {
    const char *text;
    size_t length;     /* without the line end */
    size_t terminated; /* with it: 0, 1 or 2 bytes more */
};

/* Takes the source over, also when memory is out (false). */
bool lig_lines_open(struct lig_lines *lines, struct lig_source *source);
void lig_lines_close(struct lig_lines *lines);

/* The next line, valid until the next call.  1, 0 at the end, -1 on failure. */
int lig_lines_next(struct lig_lines *lines, struct lig_line *line, struct lig_csv_error *error);

/* Whether the line that lig_lines_next just gave is UTF-8 without NUL bytes. */
bool lig_line_is_text(const struct lig_lines *lines, const struct lig_line *line,
                      struct lig_csv_error *error);

#endif
