/* number.h: text to double, correctly rounded for every input.
 *
 * Knows nothing of Lua.  The grammar is that of a table's cell, narrower than
 * strtod's: optional blanks, sign, digits with at most one decimal mark, optional
 * exponent; or inf/infinity in any case.  Hexadecimal and NaN payloads are not
 * numbers.
 */
#ifndef LIG_NUMBER_H
#define LIG_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

enum lig_number {
    LIG_NUMBER_NONE,    /* not a number, or beyond the range of a double */
    LIG_NUMBER_EXACT,   /* the double says what the text said */
    LIG_NUMBER_ROUNDED, /* a double, but the text said more: more than 17 significant digits, an
                           integer whose double is another one, below the smallest normal double
                           (2.2e-308), or infinity, which no exact decimal is */
    LIG_NUMBER_CODE,    /* reads as a number, but is written as codes are: a digit behind a leading
                           zero (00123), or several digits, a bare E and digits (2310009E13, a
                           clone's name; 1e5, 1.5e3 and 12e+3 are numbers) */
};

/* Reads all of text[0..length) as one number.  `decimal` is the decimal mark,
 * '.' or ','.  On NONE *value is left alone.
 *
 * Method: Clinger's fast path (W. D. Clinger, How to read floating point numbers
 * accurately, PLDI 1990) where the digits fit 2^53 and the power of ten is at
 * most 22; strtod in the C locale otherwise. */
enum lig_number lig_number_read(const char *text, size_t length, char decimal, double *value);

#endif
