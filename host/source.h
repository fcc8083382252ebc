/* source.h: bytes of a table, from wherever they come, as UTF-8.
 *
 * A source is a file, standard input or a string; gzip is unpacked, other
 * encodings are turned into UTF-8 by iconv, a byte order mark is taken off, and
 * the SHA-256 of the raw bytes is kept.  Knows nothing of Lua or CSV.
 */
#ifndef LIG_SOURCE_H
#define LIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lig_source;

/* Why a source failed.  errno_value is set for failures of the operating system. */
struct lig_source_error {
    const char *code; /* stable word: "missing", "directory", "encoding", ... */
    int errno_value;
    char message[256];
    char hint[256];
};

struct lig_source_info {
    uint64_t raw_bytes; /* bytes read so far, before unpacking and decoding */
    bool gzip;
    bool byte_order_mark;
    const char *encoding; /* "UTF-8", "UTF-16LE", ... */
    char sha256[65];      /* of the raw bytes; empty until the end was reached */
};

/* Opens a path, or standard input for "-".  encoding: NULL to go by the byte
 * order mark (UTF-8 without one), or a name iconv knows.  NULL with *error set
 * when it cannot. */
struct lig_source *lig_source_open(const char *path, const char *encoding,
                                   struct lig_source_error *error);

/* A source over length bytes that the caller keeps alive. */
struct lig_source *lig_source_of_string(const char *text, size_t length, const char *encoding,
                                        struct lig_source_error *error);

/* Up to `capacity` bytes (at least 16) of UTF-8; 0 at the end; -1 with *error
 * set.  At the end a regular file is looked at again: one that changed while it
 * was read is an error with code "changed". */
ssize_t lig_source_read(struct lig_source *source, char *buffer, size_t capacity,
                        struct lig_source_error *error);

/* What is known of the source so far. */
void lig_source_info(const struct lig_source *source, struct lig_source_info *info);
/* NULL is fine. */
void lig_source_close(struct lig_source *source);

#endif
