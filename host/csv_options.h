/* csv_options.h: the options of a reader from a Lua table. */
#ifndef LIG_CSV_OPTIONS_H
#define LIG_CSV_OPTIONS_H

#include "csv_reader.h"

#include <lua.h>

/* Reads the table at `options` (absolute); raises on what is no option or does not fit.
 * encoding, decimal and missing are known here and read elsewhere. */
void lig_csv_options_read(lua_State *L, int options, struct lig_csv_options *o);

#endif
