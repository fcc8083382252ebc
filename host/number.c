/* number.c: text to double; see number.h. */
#include "number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

/* strtod follows the process's locale; nobody in this process calls setlocale,
 * but a Lua script may, so the C locale is named. */
static double strtod_c(const char *text) {
    static locale_t c_locale; // made once; the process has one thread
    if (c_locale == (locale_t)0) {
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    }
    return strtod_l(text, NULL, c_locale);
}

/* The rare inputs: long digit strings and extreme exponents.  `text` has passed
 * the grammar; it is copied to get a terminator and a dot for the decimal mark. */
static enum lig_number read_slowly(const char *text, size_t length, char decimal, bool long_digits,
                                   bool is_zero, double *value) {
    char small[128];
    char *copy = length < sizeof small ? small : malloc(length + 1);
    if (copy == NULL) {
        return LIG_NUMBER_NONE;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (decimal != '.') {
        char *mark = strchr(copy, decimal);
        if (mark != NULL) {
            *mark = '.';
        }
    }
    double result = strtod_c(copy);
    if (copy != small) {
        free(copy);
    }
    if (isinf(result)) {
        return LIG_NUMBER_NONE;
    }
    *value = result;
    // Below DBL_MIN a double has fewer digits than it has above, down to none.
    bool underflow = fabs(result) < DBL_MIN && !is_zero;
    return long_digits || underflow ? LIG_NUMBER_ROUNDED : LIG_NUMBER_EXACT;
}

static enum lig_number read_infinity(const char *text, size_t length, bool negative,
                                     double *value) {
    if ((length == 3 && strncasecmp(text, "inf", 3) == 0) ||
        (length == 8 && strncasecmp(text, "infinity", 8) == 0)) {
        *value = negative ? -HUGE_VAL : HUGE_VAL;
        return LIG_NUMBER_ROUNDED;
    }
    return LIG_NUMBER_NONE;
}

/* Whether a number with the integer part digits..point is written as codes are.  & and |
 * because a jump, foreseen wrong for every other number, costs more than all of it. */
static inline bool is_code(const char *digits, const char *point, bool bare_exponent) {
    return (point - digits > 1) & ((*digits == '0') | bare_exponent);
}

enum lig_number lig_number_read(const char *text, size_t length, char decimal, double *value) {
    const char *p = text;
    const char *end = text + length;
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    const char *start = p;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }

    uint64_t mantissa = 0;
    int64_t exponent = 0;
    int significant = 0; // digits from the first non-zero one on
    int zeros = 0;       // zeros that end the significant digits so far
    bool any = false;
    const char *digits = p;
    while (p < end && is_digit(*p)) {
        mantissa = mantissa * 10 + (uint64_t)(*p - '0'); // wraps; then unused
        p++;
    }
    const char *point = p;
    any = p > digits;
    if (p < end && *p == decimal) {
        p++;
        const char *fraction = p;
        while (p < end && is_digit(*p)) {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            p++;
        }
        any = any || p > fraction;
        exponent = fraction - p;
    }
    if (!any) {
        return read_infinity(digits, (size_t)(end - digits), negative, value);
    }
    const char *digits_end = p;
    bool bare_exponent = false; // behind an integer: 2310009E13
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        bool minus = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) {
            p++;
        } else {
            bare_exponent = point == digits_end;
        }
        if (p == end) {
            return LIG_NUMBER_NONE;
        }
        int64_t written = 0;
        while (p < end && is_digit(*p)) {
            if (written < 100000) {
                written = written * 10 + (*p - '0');
            }
            p++;
        }
        exponent += minus ? -written : written;
    }
    if (p != end) {
        return LIG_NUMBER_NONE;
    }

    // Up to 19 characters the mantissa cannot have wrapped.
    if (digits_end - digits <= 19 && mantissa <= (UINT64_C(1) << 53) &&
        (uint64_t)(exponent + 22) <= 44) {
        double result = (double)mantissa;
        result =
            exponent < 0 ? result / powers_of_ten[-exponent] : result * powers_of_ten[exponent];
        *value = negative ? -result : result;
        return is_code(digits, point, bare_exponent) ? LIG_NUMBER_CODE : LIG_NUMBER_EXACT;
    }

    for (const char *d = digits; d < digits_end; d++) {
        if (d == point && *d == decimal) {
            continue;
        }
        if (*d != '0') {
            significant += zeros + 1;
            zeros = 0;
        } else if (significant > 0) {
            zeros++;
        }
    }
    enum lig_number kind = read_slowly(start, (size_t)(end - start), decimal, significant > 17,
                                       significant == 0, value);
    if (kind != LIG_NUMBER_NONE && is_code(digits, point, bare_exponent)) {
        return LIG_NUMBER_CODE;
    }
    // An integer beyond 2^53 may be an identifier: a neighbour is not the same.
    bool integer = point == digits_end && digits_end == p;
    bool neighbour = digits_end - digits <= 19
                         ? fabs(*value) < 0x1p64 && (uint64_t)fabs(*value) != mantissa
                         : significant > DBL_DIG;
    return kind == LIG_NUMBER_EXACT && integer && neighbour ? LIG_NUMBER_ROUNDED : kind;
}
