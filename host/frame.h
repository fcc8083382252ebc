/* frame.h: a batch of rows held as cells of text, read as columns.
 *
 * The engine part (struct lig_cells) knows nothing of Lua: one text buffer and
 * one array of cell ends, row after row.  A column of a frame is a view into it:
 * text as it stands, or float64 with a missing mask.
 */
#ifndef LIG_FRAME_H
#define LIG_FRAME_H

#include "number.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIG_MARKS_MAX 32

struct lig_text {
    const char *at;
    size_t length;
};

/* Memory of the frames that one Lua state was handed and that still live.  Lua's
 * collector cannot see it; csv.c asks the collector to look when it grows. */
struct lig_account {
    size_t references;
    size_t live_bytes;
    size_t limit_bytes;
};

void lig_account_release(struct lig_account *account); /* drops one reference */

/* How cells are read as numbers: the decimal mark and the texts that stand for a
 * missing value.  Shared by all frames of one reader. */
struct lig_format {
    size_t references;
    char decimal;
    struct lig_account *account; /* of the frames handed out; NULL when nobody counts */
    bool has_number_mark;        /* one of the marks is itself a number, such as -9 */
    size_t mark_count;
    struct {
        char *text;
        size_t length;
    } marks[LIG_MARKS_MAX];
};

/* Cells in row-major order.  Cell i is text[ends[i-1] .. ends[i] - 1): every cell
 * is followed by one byte that belongs to none (ends[-1] counts as 0). */
struct lig_cells {
    size_t references;
    char *text;
    size_t text_used, text_capacity;
    uint32_t *ends;
    size_t end_count, end_capacity;
    uint64_t *lines; /* the line of the source on which each row begins */
    size_t line_capacity;
    size_t rows, columns;
    uint64_t first_row; /* 1-based number of the first row in its source */
    size_t accounted;   /* this frame's part of format->account */
    struct lig_format *format;
};

struct lig_cells *lig_cells_new(struct lig_format *format); /* NULL: out of memory */
void lig_cells_release(struct lig_cells *cells);            /* drops one reference */
struct lig_format *lig_format_new(void);                    /* one reference; '.', no marks */
/* There must be fewer than LIG_MARKS_MAX; false when memory is out. */
bool lig_format_add_mark(struct lig_format *format, const char *text, size_t length);
/* Whether the text is one of the marks, and which. */
bool lig_format_mark(const struct lig_format *format, struct lig_text text, size_t *mark);
void lig_format_release(struct lig_format *format);
/* The marks of a missing value where nobody names them, ending in NULL. */
extern const char *const lig_usual_marks[];

/* Filling cells: room for more bytes or ends, one cell, the end of a row that
 * began on `line`.  False when memory is out, or the text would pass 4 GiB. */
bool lig_cells_reserve_text(struct lig_cells *cells, size_t more);
bool lig_cells_reserve_ends(struct lig_cells *cells, size_t more);
bool lig_cells_append(struct lig_cells *cells, const char *text, size_t length);
bool lig_cells_row_ended(struct lig_cells *cells, uint64_t line);

static inline struct lig_text lig_cell(const struct lig_cells *c, size_t row, size_t column) {
    size_t i = row * c->columns + column;
    uint32_t start = i == 0 ? 0 : c->ends[i - 1];
    return (struct lig_text){c->text + start, c->ends[i] - start - 1};
}

/* What a cell is when its column holds numbers. */
enum lig_cell_kind {
    LIG_CELL_NUMBER,
    LIG_CELL_CODE, /* a number that is written as codes are (LIG_NUMBER_CODE); its text is kept */
    LIG_CELL_ROUNDED, /* a number whose text must be kept to lose nothing (LIG_NUMBER_ROUNDED) */
    LIG_CELL_MISSING, /* one of the format's missing marks; *mark says which */
    LIG_CELL_MISFIT,  /* anything else */
    LIG_CELL_KINDS    /* how many there are; up to ROUNDED they have a number */
};
enum lig_cell_kind lig_cell_number(const struct lig_format *format, struct lig_text cell,
                                   double *value, size_t *mark);

/* A hash of a text, for tables that live no longer than this process. */
uint64_t lig_text_hash(struct lig_text text);

/* Numbers the distinct texts of one column over rows first .. first+count in order
 * of appearance: codes[i] for each row (UINT32_MAX for an empty cell), and rows[code],
 * the row (from first) where each was first seen; both have room for count. */
bool lig_distinct(const struct lig_cells *cells, size_t first, size_t count, uint32_t column,
                  uint32_t *codes, uint32_t *rows, size_t *distinct);

/* ---- columns: views that Lua holds and binary COPY takes ----------------- */

enum lig_column_kind {
    LIG_COLUMN_TEXT,    /* text; an empty cell is missing */
    LIG_COLUMN_NUMBER,  /* float64 with missing mask */
    LIG_COLUMN_TEXTS,   /* text[] over several columns of the frame */
    LIG_COLUMN_NUMBERS, /* float8[] over several columns */
    LIG_COLUMN_MISFITS, /* jsonb: the cells of several columns that a float8 (and the column's own
                           missing mark) cannot give back, by column position; NULL when none */
    LIG_COLUMN_ORDINAL, /* int8: the row's number in its source, from 1 */
    LIG_COLUMN_INTEGER, /* int8 values made by column:map; NULL mask */
};

struct lig_column {
    enum lig_column_kind kind;
    struct lig_cells *cells; /* one reference; NULL once released */
    size_t first, count;     /* rows of the cells */
    size_t width;            /* how many columns of the frame */
    uint32_t *columns;       /* width 0-based columns */
    uint32_t *marks;         /* MISFITS: index of each column's own missing mark, or UINT32_MAX */
    double *numbers;         /* NUMBER: count values (0 where missing) */
    uint8_t *kinds;          /* NUMBER: count lig_cell_kind; INTEGER: 1 = NULL */
    int64_t *integers;       /* INTEGER: count values */
    uint32_t *codes;         /* TEXT, once distinct was asked: code of each row */
    size_t distinct;
};

/* What lies in which user value of a column. */
enum lig_room {
    LIG_ROOM_COLUMNS = 1,
    LIG_ROOM_MARKS,
    LIG_ROOM_NUMBERS, /* or the integers */
    LIG_ROOM_KINDS,
    LIG_ROOM_CODES,
    LIG_ROOM_COUNT = LIG_ROOM_CODES,
};

#define LIG_COLUMN_CLASS "ligase.column"
#define LIG_FRAME_CLASS "ligase.frame"

/* Pushes a column over these rows of the cells, with a reference of its own. */
struct lig_column *lig_column_new(lua_State *L, enum lig_column_kind kind, struct lig_cells *cells,
                                  size_t first, size_t count);

/* Memory for `count` things of `size` bytes, not initialised, that lives as long as the
 * column on top of the stack, or until it is asked for again. */
void *lig_column_room(lua_State *L, enum lig_room room, size_t count, size_t size);

/* The column at a stack index; raises on another type or a released one. */
struct lig_column *lig_column_check(lua_State *L, int index);

/* Makes the classes of frames and columns; idempotent. */
int luaopen_lig_frame(lua_State *L);
void lig_column_open(lua_State *L);

/* Pushes the schema {names, index} that frames of one source share, for the list
 * of names at `names_index`. */
void lig_frame_schema_push(lua_State *L, int names_index);

/* Reads decimal (".") and missing (list of marks) from the options table at
 * `options_index` into a new format; raises on wrong ones. */
void lig_format_fill(lua_State *L, struct lig_format *format, int options_index);

/* Pushes a frame over *cells and takes the caller's reference over: *cells is NULL
 * then, and stays the caller's when this raises.  schema_index: stack index of the
 * table {names = {..}, index = {name = i}}. */
void lig_frame_push(lua_State *L, struct lig_cells **cells, int schema_index);

#endif
