/* serve.c: the first line of a request, of any bytes: what is let through is a path that
 * stays below the root, and every piece lies where there is room for it.
 */
#include "serve.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 8

static void require(bool holds, const char *what, const char *target) {
    if (!holds) {
        (void)fprintf(stderr, "broken: %s: \"%s\"\n", what, target);
        abort();
    }
}

/* Room of exactly the promised size, so that a byte beyond it is noticed. */
static char *room_for(const char *target) {
    char *room = malloc(strlen(target) + 1);
    if (room == NULL) {
        abort();
    }
    return room;
}

static void path_try(const char *target) {
    char *path = room_for(target);
    size_t length = 0;
    if (lig_target_path(target, path, &length)) {
        require(strlen(path) == length, "a NUL in the path", target);
        require(path[0] == '/' || strcmp(path, "*") == 0, "no path", target);
        require(strstr(path, "/../") == NULL && strstr(path, "/./") == NULL, "a dot segment",
                target);
        const char *last = strrchr(path, '/');
        require(last == NULL || (strcmp(last, "/..") != 0 && strcmp(last, "/.") != 0),
                "a dot segment at the end", target);
        for (size_t i = 0; i < length; i++) {
            require((unsigned char)path[i] >= 0x20 && path[i] != '\\', "a control character",
                    target);
        }
    }
    free(path);
}

static void query_try(const char *target) {
    char *text = room_for(target);
    lig_field fields[FIELDS];
    int count = lig_target_query(target, text, fields, FIELDS);
    require(count >= -1 && count <= FIELDS, "too many fields", target);
    const char *at = text;
    for (int i = 0; i < count; i++) {
        require(fields[i].name.data == at, "a name out of place", target);
        at += fields[i].name.length;
        require(fields[i].value.data == at, "a value out of place", target);
        at += fields[i].value.length;
    }
    require((size_t)(at - text) <= strlen(target), "more text than the target has", target);
    (void)lig_headers_refused(fields, count > 0 ? (size_t)count : 0, true);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *target = malloc(size + 1);
    if (target == NULL) {
        return 0;
    }
    memcpy(target, data, size);
    target[size] = '\0';
    path_try(target);
    query_try(target);
    free(target);
    return 0;
}
