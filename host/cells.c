/* cells.c: the engine below frames: cells, their format, cells as numbers, distinct
 * texts.  Knows nothing of Lua; see frame.h. */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

struct lig_format *lig_format_new(void) {
    struct lig_format *f = calloc(1, sizeof *f);
    if (f != NULL) {
        f->references = 1;
        f->decimal = '.';
    }
    return f;
}

bool lig_format_add_mark(struct lig_format *f, const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    f->marks[f->mark_count].text = copy;
    f->marks[f->mark_count].length = length;
    f->mark_count++;
    double value;
    if (lig_number_read(text, length, f->decimal, &value) == LIG_NUMBER_EXACT) {
        f->has_number_mark = true;
    }
    return true;
}

void lig_account_release(struct lig_account *account) {
    if (account != NULL && --account->references == 0) {
        free(account);
    }
}

void lig_format_release(struct lig_format *f) {
    if (f == NULL || --f->references > 0) {
        return;
    }
    lig_account_release(f->account);
    for (size_t i = 0; i < f->mark_count; i++) {
        free(f->marks[i].text);
    }
    free(f);
}

struct lig_cells *lig_cells_new(struct lig_format *format) {
    struct lig_cells *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->references = 1;
        c->format = format;
        format->references++;
    }
    return c;
}

void lig_cells_release(struct lig_cells *c) {
    if (c == NULL || --c->references > 0) {
        return;
    }
    if (c->format->account != NULL) {
        c->format->account->live_bytes -= c->accounted;
    }
    lig_format_release(c->format);
    free(c->text);
    free(c->ends);
    free(c->lines);
    free(c);
}

bool lig_cells_reserve_text(struct lig_cells *c, size_t more) {
    size_t need = c->text_used + more;
    if (need <= c->text_capacity) {
        return true;
    }
    size_t capacity = c->text_capacity < 1024 ? 1024 : c->text_capacity * 2;
    while (capacity < need) {
        capacity *= 2;
    }
    char *text = need < UINT32_MAX ? realloc(c->text, capacity) : NULL;
    if (text == NULL) {
        return false;
    }
    c->text = text;
    c->text_capacity = capacity;
    return true;
}

bool lig_cells_reserve_ends(struct lig_cells *c, size_t more) {
    size_t need = c->end_count + more;
    if (need <= c->end_capacity) {
        return true;
    }
    size_t capacity = c->end_capacity < 256 ? 256 : c->end_capacity * 2;
    while (capacity < need) {
        capacity *= 2;
    }
    uint32_t *ends = realloc(c->ends, capacity * sizeof *ends);
    if (ends == NULL) {
        return false;
    }
    c->ends = ends;
    c->end_capacity = capacity;
    return true;
}

bool lig_cells_append(struct lig_cells *c, const char *text, size_t length) {
    if (!lig_cells_reserve_text(c, length + 1) || !lig_cells_reserve_ends(c, 1)) {
        return false;
    }
    if (length > 0) {
        memcpy(c->text + c->text_used, text, length);
    }
    c->text_used += length + 1;
    c->text[c->text_used - 1] = '\n';
    c->ends[c->end_count++] = (uint32_t)c->text_used;
    return true;
}

bool lig_cells_row_ended(struct lig_cells *c, uint64_t line) {
    if (c->rows == c->line_capacity) {
        size_t capacity = c->line_capacity == 0 ? 64 : c->line_capacity * 2;
        uint64_t *lines = realloc(c->lines, capacity * sizeof *lines);
        if (lines == NULL) {
            return false;
        }
        c->lines = lines;
        c->line_capacity = capacity;
    }
    c->lines[c->rows++] = line;
    return true;
}

bool lig_format_mark(const struct lig_format *f, struct lig_text cell, size_t *mark) {
    for (size_t i = 0; i < f->mark_count; i++) {
        if (f->marks[i].length == cell.length &&
            memcmp(f->marks[i].text, cell.at, cell.length) == 0) {
            *mark = i;
            return true;
        }
    }
    return false;
}

enum lig_cell_kind lig_cell_number(const struct lig_format *f, struct lig_text cell, double *value,
                                   size_t *mark) {
    enum lig_number kind = lig_number_read(cell.at, cell.length, f->decimal, value);
    if (kind == LIG_NUMBER_EXACT) {
        // A mark that is a number itself (a lab's -9 or 0.0) is looked for only if there is one.
        return f->has_number_mark && lig_format_mark(f, cell, mark) ? LIG_CELL_MISSING
                                                                    : LIG_CELL_NUMBER;
    }
    if (lig_format_mark(f, cell, mark)) {
        return LIG_CELL_MISSING;
    }
    if (kind == LIG_NUMBER_NONE) {
        return LIG_CELL_MISFIT;
    }
    return kind == LIG_NUMBER_CODE ? LIG_CELL_CODE : LIG_CELL_ROUNDED;
}

/* ---- distinct texts ------------------------------------------------------ */

uint64_t lig_text_hash(struct lig_text t) {
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15) ^ t.length;
    size_t i = 0;
    for (; i + 8 <= t.length; i += 8) {
        uint64_t eight;
        memcpy(&eight, t.at + i, 8);
        h = (h ^ eight) * UINT64_C(0xFF51AFD7ED558CCD);
        h ^= h >> 32;
    }
    uint64_t tail = 0;
    if (t.length > i) {
        memcpy(&tail, t.at + i, t.length - i);
    }
    h = (h ^ tail) * UINT64_C(0xC4CEB9FE1A85EC53);
    return h ^ (h >> 29);
}

bool lig_distinct(const struct lig_cells *c, size_t first, size_t count, uint32_t column,
                  uint32_t *codes, uint32_t *rows, size_t *distinct) {
    size_t size = 16;
    while (size < count * 2) {
        size *= 2;
    }
    uint32_t *slots = calloc(size, sizeof *slots); // code + 1; 0 is free
    if (slots == NULL) {
        return false;
    }
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct lig_text cell = lig_cell(c, first + i, column);
        if (cell.length == 0) {
            codes[i] = UINT32_MAX;
            continue;
        }
        size_t at = (size_t)lig_text_hash(cell) & (size - 1);
        while (slots[at] != 0) {
            struct lig_text other = lig_cell(c, first + rows[slots[at] - 1], column);
            if (other.length == cell.length && memcmp(other.at, cell.at, cell.length) == 0) {
                break;
            }
            at = (at + 1) & (size - 1);
        }
        if (slots[at] == 0) {
            rows[n++] = (uint32_t)i;
            slots[at] = n;
        }
        codes[i] = slots[at] - 1;
    }
    free(slots);
    *distinct = n;
    return true;
}
