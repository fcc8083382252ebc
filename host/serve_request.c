/* serve_request.c: what a request's first line and headers say, and whether two readers
 * would agree on it.
 *
 * libmicrohttpd takes a Content-Length beside a Transfer-Encoding and two different
 * Content-Lengths, decodes URLs without a look at what comes out, and ends them at %00.
 * Its own reading of the URL is therefore not used.
 */
#include "serve.h"

#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes `length` bytes, '+' as a space when asked. False for a wrong escape. */
static bool escapes_decode(const char *text, size_t length, bool plus_is_space, char *out,
                           size_t *written) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    *written = n;
    return true;
}

/* "http://host/path", which proxies send, means "/path". */
static const char *target_local(const char *target) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(target, schemes[i], length) == 0) {
            const char *path = strchr(target + length, '/');
            return path != NULL ? path : "/";
        }
    }
    return target;
}

static bool segment_is_dots(const char *start, const char *end) {
    size_t length = (size_t)(end - start);
    return (length == 1 && start[0] == '.') || (length == 2 && start[0] == '.' && start[1] == '.');
}

bool lig_target_path(const char *target, char *out, size_t *length) {
    const char *path = target_local(target);
    if (path[0] != '/' && strcmp(path, "*") != 0) {
        return false;
    }
    if (!escapes_decode(path, strcspn(path, "?#"), false, out, length)) {
        return false;
    }
    const char *segment = out;
    const char *end = out + *length;
    for (const char *c = out; c < end; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F || *c == '\\') {
            return false;
        }
        if (*c == '/') {
            if (segment_is_dots(segment, c)) {
                return false;
            }
            segment = c + 1;
        }
    }
    out[*length] = '\0';
    return !segment_is_dots(segment, end);
}

int lig_target_query(const char *target, char *text, lig_field *fields, size_t room) {
    const char *at = strchr(target_local(target), '?');
    size_t count = 0;
    while (at != NULL && *at != '\0' && *at != '#') {
        at++;
        size_t length = strcspn(at, "&#");
        const char *equals = memchr(at, '=', length);
        size_t name_length = equals != NULL ? (size_t)(equals - at) : length;
        if (length > 0) {
            if (count == room) {
                return -1;
            }
            lig_field *field = &fields[count++];
            *field = (lig_field){.name.data = text};
            if (!escapes_decode(at, name_length, true, text, &field->name.length)) {
                return -1;
            }
            text += field->name.length;
            field->value.data = text;
            if (equals != NULL && !escapes_decode(equals + 1, length - name_length - 1, true, text,
                                                  &field->value.length)) {
                return -1;
            }
            text += field->value.length;
        }
        at += length;
    }
    return (int)count;
}

static bool text_is(lig_text text, const char *word) {
    return text.length == strlen(word) && memcmp(text.data, word, text.length) == 0;
}

const char *lig_headers_refused(const lig_field *headers, size_t count, bool is_http_1_1) {
    unsigned lengths = 0;
    unsigned codings = 0;
    unsigned hosts = 0;
    for (size_t i = 0; i < count; i++) {
        lengths += text_is(headers[i].name, "content-length");
        codings += text_is(headers[i].name, "transfer-encoding");
        hosts += text_is(headers[i].name, "host");
        if (memchr(headers[i].value.data, '\0', headers[i].value.length) != NULL) {
            return "a header with a NUL byte";
        }
    }
    if (lengths > 1) {
        return "more than one Content-Length";
    }
    if (lengths + codings > 1) {
        return "a Transfer-Encoding beside another or beside a Content-Length";
    }
    if (hosts > 1 || (hosts == 0 && is_http_1_1)) {
        return hosts > 1 ? "more than one Host" : "no Host";
    }
    return NULL;
}
