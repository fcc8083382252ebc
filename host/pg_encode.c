/* pg_encode.c: values in Postgres' binary format; see pg_encode.h. */
#include "pg_encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OID_TEXT 25
#define OID_FLOAT8 701
#define EPOCH_2000_S INT64_C(946684800) /* Postgres counts from 2000-01-01 UTC */

enum lig_wire lig_wire_named(const char *name) {
    static const struct {
        const char *name;
        enum lig_wire wire;
    } wires[] = {{"bool", LIG_WIRE_BOOL},
                 {"int4", LIG_WIRE_INT4},
                 {"int8", LIG_WIRE_INT8},
                 {"float8", LIG_WIRE_FLOAT8},
                 {"text", LIG_WIRE_TEXT},
                 {"uuid", LIG_WIRE_UUID},
                 {"jsonb", LIG_WIRE_JSONB},
                 {"timestamptz", LIG_WIRE_TIMESTAMPTZ},
                 {"float8[]", LIG_WIRE_FLOAT8_ARRAY},
                 {"text[]", LIG_WIRE_TEXT_ARRAY}};
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
        if (strcmp(wires[i].name, name) == 0) {
            return wires[i].wire;
        }
    }
    return LIG_WIRE_UNKNOWN;
}

/* ---- bytes --------------------------------------------------------------- */

/* Room for `more` bytes at the end; NULL when memory is out. */
static unsigned char *bytes_extend(struct lig_bytes *b, size_t more) {
    if (b->capacity - b->used < more) {
        size_t capacity = b->capacity < 4096 ? 4096 : b->capacity * 2;
        while (capacity - b->used < more) {
            capacity *= 2;
        }
        unsigned char *at = b->failed ? NULL : realloc(b->at, capacity);
        if (at == NULL) {
            b->failed = true;
            return NULL;
        }
        b->at = at;
        b->capacity = capacity;
    }
    unsigned char *room = b->at + b->used;
    b->used += more;
    return room;
}

void lig_bytes_put(struct lig_bytes *b, const void *data, size_t length) {
    unsigned char *room = length == 0 ? NULL : bytes_extend(b, length);
    if (room != NULL) {
        memcpy(room, data, length);
    }
}

static void store16(unsigned char *at, uint16_t value) {
    uint16_t swapped = __builtin_bswap16(value);
    memcpy(at, &swapped, sizeof swapped);
}

static void store32(unsigned char *at, uint32_t value) {
    uint32_t swapped = __builtin_bswap32(value);
    memcpy(at, &swapped, sizeof swapped);
}

static void store64(unsigned char *at, uint64_t value) {
    uint64_t swapped = __builtin_bswap64(value);
    memcpy(at, &swapped, sizeof swapped);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the stores above swap");

void lig_bytes_put16(struct lig_bytes *b, uint16_t value) {
    unsigned char *room = bytes_extend(b, 2);
    if (room != NULL) {
        store16(room, value);
    }
}

void lig_bytes_put32(struct lig_bytes *b, uint32_t value) {
    unsigned char *room = bytes_extend(b, 4);
    if (room != NULL) {
        store32(room, value);
    }
}

void lig_bytes_put64(struct lig_bytes *b, uint64_t value) {
    unsigned char *room = bytes_extend(b, 8);
    if (room != NULL) {
        store64(room, value);
    }
}

void lig_bytes_set32(struct lig_bytes *b, size_t at, uint32_t value) {
    if (!b->failed) {
        store32(b->at + at, value);
    }
}

/* ---- single values ------------------------------------------------------- */

void lig_encode_null(struct lig_bytes *b) {
    lig_bytes_put32(b, UINT32_MAX);
}

void lig_encode_bool(struct lig_bytes *b, bool value) {
    unsigned char byte = value;
    lig_bytes_put32(b, 1);
    lig_bytes_put(b, &byte, 1);
}

void lig_encode_int4(struct lig_bytes *b, int32_t value) {
    lig_bytes_put32(b, 4);
    lig_bytes_put32(b, (uint32_t)value);
}

void lig_encode_int8(struct lig_bytes *b, int64_t value) {
    lig_bytes_put32(b, 8);
    lig_bytes_put64(b, (uint64_t)value);
}

void lig_encode_float8(struct lig_bytes *b, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    lig_bytes_put32(b, 8);
    lig_bytes_put64(b, bits);
}

void lig_encode_text(struct lig_bytes *b, const char *text, size_t length) {
    lig_bytes_put32(b, (uint32_t)length);
    lig_bytes_put(b, text, length);
}

void lig_encode_jsonb(struct lig_bytes *b, const char *json, size_t length) {
    static const unsigned char version = 1;
    lig_bytes_put32(b, (uint32_t)length + 1);
    lig_bytes_put(b, &version, 1);
    lig_bytes_put(b, json, length);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lig_encode_uuid(struct lig_bytes *b, const char *text, size_t length) {
    unsigned char bytes[16];
    size_t digits = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23)) {
            continue;
        }
        int value = hex_value(text[i]);
        if (value < 0 || digits == 32) {
            return false;
        }
        if (digits % 2 == 0) {
            bytes[digits / 2] = (unsigned char)(value << 4);
        } else {
            bytes[digits / 2] |= (unsigned char)value;
        }
        digits++;
    }
    if (digits != 32) {
        return false;
    }
    lig_bytes_put32(b, sizeof bytes);
    lig_bytes_put(b, bytes, sizeof bytes);
    return true;
}

/* Reads exactly `digits` digits at *at, and `after` behind them unless it is 0; *at moves
 * on.  -1 when they are not there. */
static int digits_read(const char **at, int digits, char after) {
    int value = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return -1;
        }
        value = value * 10 + (**at - '0');
    }
    if (after != 0 && *(*at)++ != after) {
        return -1;
    }
    return value;
}

/* Microseconds from ".5" to ".678901", or 0 when there is no point; -1 when wrong. */
static int64_t micros_read(const char **at) {
    int64_t micros = 0;
    int64_t unit = 1000000;
    if (**at != '.') {
        return 0;
    }
    for ((*at)++; **at >= '0' && **at <= '9' && unit > 1; (*at)++) {
        unit /= 10;
        micros += unit * (**at - '0');
    }
    return unit == 1000000 ? -1 : micros;
}

/* Offset from UTC in seconds from "Z" or "+hh:mm"; false when it is neither. */
static bool zone_read(const char *zone, int64_t *offset_s) {
    *offset_s = 0;
    if (strcmp(zone, "Z") == 0) {
        return true;
    }
    const char *at = zone + 1;
    if (*zone != '+' && *zone != '-') {
        return false;
    }
    int hours = digits_read(&at, 2, ':');
    int minutes = hours < 0 ? -1 : digits_read(&at, 2, 0);
    if (hours > 15 || minutes < 0 || minutes > 59 || *at != '\0') {
        return false;
    }
    *offset_s = (*zone == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool lig_encode_timestamptz(struct lig_bytes *b, const char *text, size_t length) {
    char copy[40];
    if (length < 20 || length >= sizeof copy || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    const char *at = copy;
    struct tm t = {0};
    t.tm_year = digits_read(&at, 4, '-');
    t.tm_mon = t.tm_year < 1 ? -1 : digits_read(&at, 2, '-');
    t.tm_mday = t.tm_mon < 1 ? -1 : digits_read(&at, 2, copy[10] == ' ' ? ' ' : 'T');
    t.tm_hour = t.tm_mday < 1 ? -1 : digits_read(&at, 2, ':');
    t.tm_min = t.tm_hour < 0 ? -1 : digits_read(&at, 2, ':');
    t.tm_sec = t.tm_min < 0 ? -1 : digits_read(&at, 2, 0);
    int64_t micros = t.tm_sec < 0 ? -1 : micros_read(&at);
    int64_t offset_s = 0;
    if (micros < 0 || !zone_read(at, &offset_s)) {
        return false;
    }
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    struct tm made = t;
    time_t seconds = timegm(&made);
    bool real = made.tm_mon == t.tm_mon && made.tm_mday == t.tm_mday && made.tm_hour == t.tm_hour &&
                made.tm_min == t.tm_min && made.tm_sec == t.tm_sec;
    if (!real) {
        return false; // timegm turned the 30th of February into March
    }
    lig_encode_int8(b, ((int64_t)seconds - offset_s - EPOCH_2000_S) * 1000000 + micros);
    return true;
}

/* ---- rows of several columns --------------------------------------------- */

static bool odd_add(struct lig_odd_cells *odd, struct lig_odd_cell cell) {
    if (odd->count == odd->capacity) {
        size_t capacity = odd->capacity == 0 ? 64 : odd->capacity * 2;
        struct lig_odd_cell *at = realloc(odd->at, capacity * sizeof *at);
        if (at == NULL) {
            return false;
        }
        odd->at = at;
        odd->capacity = capacity;
    }
    odd->at[odd->count++] = cell;
    return true;
}

/* The head of a one-dimensional array: dimensions, whether it holds NULLs, element
 * type, length, lower bound. */
static void array_head(unsigned char *at, bool nulls, uint32_t type, size_t length) {
    store32(at, 1);
    store32(at + 4, nulls);
    store32(at + 8, type);
    store32(at + 12, (uint32_t)length);
    store32(at + 16, 1);
}

bool lig_encode_numbers(struct lig_bytes *b, const struct lig_column *column, size_t row,
                        struct lig_odd_cells *odd) {
    const struct lig_cells *cells = column->cells;
    const size_t start = b->used;
    // The most it can take; the unused rest is given back below.
    unsigned char *room = bytes_extend(b, 24 + column->width * 12);
    if (room == NULL) {
        return true; // b->failed says so
    }
    unsigned char *at = room + 24;
    bool nulls = false;
    for (size_t i = 0; i < column->width; i++) {
        double value = 0;
        size_t mark = UINT32_MAX;
        uint32_t position = column->columns[i];
        enum lig_cell_kind kind = lig_cell_number(
            cells->format, lig_cell(cells, column->first + row, position), &value, &mark);
        if (kind != LIG_CELL_NUMBER && odd != NULL) {
            struct lig_odd_cell cell = {
                .column = position,
                .place = (uint32_t)i,
                .mark = kind == LIG_CELL_MISSING ? (uint32_t)mark : UINT32_MAX,
                .number = kind <= LIG_CELL_ROUNDED,
            };
            if (!odd_add(odd, cell)) {
                return false;
            }
        }
        if (kind <= LIG_CELL_ROUNDED) {
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            store32(at, 8);
            store64(at + 4, bits);
            at += 12;
        } else {
            store32(at, UINT32_MAX);
            at += 4;
            nulls = true;
        }
    }
    store32(room, (uint32_t)(at - room) - 4);
    array_head(room + 4, nulls, OID_FLOAT8, column->width);
    b->used = start + (size_t)(at - room);
    return true;
}

void lig_encode_texts(struct lig_bytes *b, const struct lig_column *column, size_t row) {
    const size_t start = b->used;
    bool nulls = false;
    (void)bytes_extend(b, 24);
    for (size_t i = 0; i < column->width; i++) {
        struct lig_text cell = lig_cell(column->cells, column->first + row, column->columns[i]);
        if (cell.length == 0) {
            nulls = true;
            lig_encode_null(b);
        } else {
            lig_encode_text(b, cell.at, cell.length);
        }
    }
    if (!b->failed) {
        store32(b->at + start, (uint32_t)(b->used - start) - 4);
        array_head(b->at + start + 4, nulls, OID_TEXT, column->width);
    }
}

static void json_string(struct lig_bytes *b, struct lig_text text) {
    lig_bytes_put(b, "\"", 1);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\') {
            char escaped[2] = {'\\', (char)c};
            lig_bytes_put(b, escaped, 2);
        } else if (c < 0x20) {
            char escaped[8];
            lig_bytes_put(b, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        } else {
            lig_bytes_put(b, &c, 1);
        }
    }
    lig_bytes_put(b, "\"", 1);
}

size_t lig_encode_misfits(struct lig_bytes *b, const struct lig_column *column, size_t row,
                          const struct lig_odd_cells *odd) {
    static const unsigned char version = 1;
    const size_t start = b->used;
    size_t kept = 0;
    for (size_t i = 0; i < odd->count; i++) {
        const struct lig_odd_cell *cell = &odd->at[i];
        if (cell->mark != UINT32_MAX && cell->mark == column->marks[cell->place]) {
            continue; // the column's own missing mark: a NULL gives it back
        }
        if (kept == 0) {
            lig_bytes_put32(b, 0);
            lig_bytes_put(b, &version, 1);
        }
        char key[24];
        int length = snprintf(key, sizeof key, "%s\"%u\":", kept > 0 ? "," : "{", cell->column + 1);
        lig_bytes_put(b, key, (size_t)length);
        json_string(b, lig_cell(column->cells, column->first + row, cell->column));
        kept++;
    }
    if (kept == 0) {
        lig_encode_null(b);
        return 0;
    }
    lig_bytes_put(b, "}", 1);
    lig_bytes_set32(b, start, (uint32_t)(b->used - start) - 4);
    return kept;
}
