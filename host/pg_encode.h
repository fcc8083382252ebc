/* pg_encode.h: values in Postgres' binary format, appended to a growing buffer.
 *
 * Knows nothing of Lua and nothing of connections.  The formats are those of the
 * types' receive functions (PostgreSQL source, src/backend/utils/adt).
 */
#ifndef LIG_PG_ENCODE_H
#define LIG_PG_ENCODE_H

#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lig_wire {
    LIG_WIRE_BOOL,
    LIG_WIRE_INT4,
    LIG_WIRE_INT8,
    LIG_WIRE_FLOAT8,
    LIG_WIRE_TEXT,
    LIG_WIRE_UUID,
    LIG_WIRE_JSONB,
    LIG_WIRE_TIMESTAMPTZ,
    LIG_WIRE_FLOAT8_ARRAY,
    LIG_WIRE_TEXT_ARRAY,
    LIG_WIRE_UNKNOWN,
};

/* The type of that name ("int8", "float8[]", ...), or LIG_WIRE_UNKNOWN. */
enum lig_wire lig_wire_named(const char *name);

/* The longest field that Postgres takes, and the longest text of ours within one. */
#define LIG_FIELD_BYTES ((size_t)0x3fffffff)

struct lig_bytes {
    unsigned char *at;
    size_t used, capacity;
    bool failed; /* out of memory; the rest is ignored */
};

/* Append bytes, or an integer in network order; the last one overwrites four bytes that
 * are there already. */
void lig_bytes_put(struct lig_bytes *b, const void *data, size_t length);
void lig_bytes_put16(struct lig_bytes *b, uint16_t value);
void lig_bytes_put32(struct lig_bytes *b, uint32_t value);
void lig_bytes_put64(struct lig_bytes *b, uint64_t value);
void lig_bytes_set32(struct lig_bytes *b, size_t at, uint32_t value);

/* Each appends a field: its length and its value. */
void lig_encode_null(struct lig_bytes *b);
void lig_encode_bool(struct lig_bytes *b, bool value);
void lig_encode_int4(struct lig_bytes *b, int32_t value);
void lig_encode_int8(struct lig_bytes *b, int64_t value);
void lig_encode_float8(struct lig_bytes *b, double value);
void lig_encode_text(struct lig_bytes *b, const char *text, size_t length);
void lig_encode_jsonb(struct lig_bytes *b, const char *json, size_t length);
/* False, with nothing appended, when the text is no UUID. */
bool lig_encode_uuid(struct lig_bytes *b, const char *text, size_t length);
/* "2026-01-02T03:04:05.678901Z", also with a blank for the T, "+hh:mm" for the Z and
 * fewer digits behind the point, or none; false when it is not. */
bool lig_encode_timestamptz(struct lig_bytes *b, const char *text, size_t length);

/* A cell whose number alone does not give its text back. */
struct lig_odd_cell {
    uint32_t column; /* 0-based column of the frame */
    uint32_t place;  /* place in the list of columns */
    uint32_t mark;   /* index of the missing mark it holds, or UINT32_MAX */
    bool number;     /* it is a number all the same */
};
struct lig_odd_cells {
    struct lig_odd_cell *at;
    size_t count, capacity;
};

/* One row of a NUMBERS or TEXTS column, as float8[] or text[].  Odd cells are
 * listed in `odd` when it is given; false when there is no memory for them. */
bool lig_encode_numbers(struct lig_bytes *b, const struct lig_column *column, size_t row,
                        struct lig_odd_cells *odd);
void lig_encode_texts(struct lig_bytes *b, const struct lig_column *column, size_t row);

/* One row of a MISFITS column as jsonb, or NULL, from the row's odd cells; returns
 * how many it kept. */
size_t lig_encode_misfits(struct lig_bytes *b, const struct lig_column *column, size_t row,
                          const struct lig_odd_cells *odd);

#endif
