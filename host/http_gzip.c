/* http_gzip.c: unpacks a body as it comes in.
 *
 * libcurl could do it, but takes a body whose gzip breaks off for a whole one.  Knows
 * nothing of Lua.
 */
#include "http.h"

#include <string.h>

bool lig_http_gzip_begin(lig_http_gzip *g) {
    enum { GZIP_ONLY = 16 };
    memset(g, 0, sizeof *g);
    g->is_open = inflateInit2(&g->stream, MAX_WBITS + GZIP_ONLY) == Z_OK;
    return g->is_open;
}

void lig_http_gzip_end(lig_http_gzip *g) {
    if (g->is_open) {
        (void)inflateEnd(&g->stream);
        g->is_open = false;
    }
}

bool lig_http_gzip_is_whole(const lig_http_gzip *g) {
    return !g->is_begun || g->is_whole;
}

bool lig_http_gzip_take(lig_http_gzip *g, const char *data, size_t length,
                        bool (*take)(void *context, const char *data, size_t length),
                        void *context) {
    char room[32 << 10];
    z_stream *stream = &g->stream;
    stream->next_in = (z_const Bytef *)(uintptr_t)data;
    stream->avail_in = (uInt)length;
    g->is_begun = true;
    while (stream->avail_in > 0 || stream->avail_out == 0) {
        if (g->is_whole) { // another member follows
            if (inflateReset(stream) != Z_OK) {
                return false;
            }
            g->is_whole = false;
        }
        stream->next_out = (Bytef *)room;
        stream->avail_out = sizeof room;
        int status = inflate(stream, Z_NO_FLUSH);
        size_t made = sizeof room - stream->avail_out;
        if (status == Z_BUF_ERROR && made == 0) {
            return true; // the next piece is needed
        }
        if (status != Z_OK && status != Z_STREAM_END) {
            return false;
        }
        g->is_whole = status == Z_STREAM_END;
        if (made > 0 && !take(context, room, made)) {
            return false;
        }
        if (g->is_whole && stream->avail_in == 0) {
            return true;
        }
    }
    return true;
}
