/* pg_copy_rows.h: where the values of a binary COPY come from, row by row.
 *
 * Each column of the COPY takes its values from a column of a frame, from a list with
 * one value per row, or is the same in all rows.  Nothing here talks to a server.
 */
#ifndef LIG_PG_COPY_ROWS_H
#define LIG_PG_COPY_ROWS_H

#include "frame.h"
#include "pg_encode.h"

#include <lua.h>

enum lig_origin { LIG_FROM_CONSTANT, LIG_FROM_COLUMN, LIG_FROM_LIST };

/* The source of one column's values, for the length of one copy:write. */
struct lig_field {
    enum lig_origin origin;
    size_t at, length;         /* constant: place in the rows' constants */
    struct lig_column *column; /* column; kept alive by the stack */
    int list;                  /* list: stack index */
    int numbers;               /* misfits: the field whose odd cells are the same, or -1 */
};

struct lig_rows {
    size_t width;
    enum lig_wire *wires; /* type of each column */
    struct lig_field *fields;
    struct lig_bytes bytes; /* encoded rows, not yet sent */
    struct lig_bytes constants;
    struct lig_odd_cells odd;
    lua_Integer numbers;  /* elements of float8[] columns that are not NULL */
    lua_Integer kept;     /* cells kept verbatim in jsonb columns */
    lua_Integer *misfits; /* for each place in the last float8[] column, the cells so far that are
                             neither number nor missing; room for it is the caller's to give */
};

/* Reads the list of {name, type} at `index` (absolute) and pushes the list of names. */
void lig_rows_columns(lua_State *L, struct lig_rows *rows, int index);
void lig_rows_free(struct lig_rows *rows);

/* Finds the sources of `count` rows in the table at `values`, by the list of column names
 * at `names` (both absolute).  Pushes values that must stay on the stack until the rows
 * are encoded.  Raises on a value that does not fit, before anything is encoded. */
void lig_rows_sources(lua_State *L, struct lig_rows *rows, int names, int values, size_t count);

/* How many places the last float8[] column has, when a frame's columns are its source; 0
 * otherwise.  rows->misfits must have as many before rows are encoded. */
size_t lig_rows_misfit_width(const struct lig_rows *rows);

/* Appends row `row` (0-based) to rows->bytes.  Raises, with the row half appended, on a
 * value of a list that does not fit, and when memory is out. */
void lig_rows_encode(lua_State *L, struct lig_rows *rows, int names, size_t row);

#endif
