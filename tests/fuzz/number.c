/* number.c: text to double on any bytes, against strtod and against a grammar written a
 * second time; then the encodings that take any text.
 */
#include "number.h"
#include "pg_encode.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void require(bool holds, const char *what, const char *text) {
    if (!holds) {
        (void)fprintf(stderr, "broken: %s: \"%s\"\n", what, text);
        abort();
    }
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static size_t digits_at(const char *text) {
    size_t n = 0;
    while (isdigit((unsigned char)text[n])) {
        n++;
    }
    return n;
}

/* Whether the text is a number of a table's cell, with a point for its decimal mark. */
static bool is_number(const char *text) {
    text += strspn(text, " \t");
    text += *text == '+' || *text == '-';
    size_t whole = digits_at(text);
    text += whole;
    size_t fraction = *text == '.' ? digits_at(text + 1) : 0;
    text += *text == '.' ? fraction + 1 : 0;
    if (whole + fraction == 0) {
        return false;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        size_t exponent = digits_at(text);
        if (exponent == 0) {
            return false;
        }
        text += exponent;
    }
    return text[strspn(text, " \t")] == '\0';
}

static bool is_infinity(const char *text, size_t length) {
    while (length > 0 && is_blank(*text)) {
        text++;
        length--;
    }
    while (length > 0 && is_blank(text[length - 1])) {
        length--;
    }
    if (length > 0 && (*text == '+' || *text == '-')) {
        text++;
        length--;
    }
    return (length == 3 && strncasecmp(text, "inf", 3) == 0) ||
           (length == 8 && strncasecmp(text, "infinity", 8) == 0);
}

static void number_compare(const char *text, size_t length, char decimal) {
    double value = 1234.5;
    enum lig_number kind = lig_number_read(text, length, decimal, &value);
    char *copy = malloc(length + 1);
    require(copy != NULL, "memory", "");
    memcpy(copy, text, length);
    copy[length] = '\0';
    bool clean = strlen(copy) == length;
    if (decimal == ',') {
        for (char *c = copy; *c != '\0'; c++) {
            *c = (char)(*c == ',' ? '.' : *c == '.' ? ',' : *c);
        }
    }
    double expected = clean && is_number(copy) ? strtod(copy, NULL) : HUGE_VAL;
    if (isfinite(expected)) {
        require(kind != LIG_NUMBER_NONE, "a number is read", copy);
        require(memcmp(&value, &expected, sizeof value) == 0, "the double is that of strtod", copy);
        if (kind == LIG_NUMBER_EXACT && expected != 0) {
            char printed[64];
            (void)snprintf(printed, sizeof printed, "%.16e", value);
            require(strtod(printed, NULL) == expected, "an exact double has 17 digits", copy);
            require(fabs(expected) >= DBL_MIN, "a small double may have lost digits", copy);
        }
    } else if (clean && is_infinity(copy, length)) {
        require(kind == LIG_NUMBER_ROUNDED && isinf(value), "infinity is read", copy);
    } else {
        require(kind == LIG_NUMBER_NONE, "what is no number is not read", copy);
        require(value == 1234.5, "the value is left alone", copy);
    }
    free(copy);
}

/* A field that was taken is as long as it says; one that was refused left nothing. */
static void field_check(const struct lig_bytes *b, bool taken, size_t bytes) {
    require(!b->failed, "memory", "");
    require(b->used == (taken ? bytes + 4 : 0), "a field as long as it says", "");
    require(!taken || memcmp(b->at, "\0\0\0", 3) == 0, "a short field", "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    number_compare(text, size, '.');
    number_compare(text, size, ',');
    struct lig_bytes b = {0};
    field_check(&b, lig_encode_uuid(&b, text, size), 16);
    b.used = 0;
    field_check(&b, lig_encode_timestamptz(&b, text, size), 8);
    free(b.at);
    return 0;
}
