/* source.c: bytes of a table as UTF-8; see source.h.
 *
 * Three layers, each filling its own buffer from the one below:
 * raw bytes (hashed) -> unpacked bytes (zlib) -> UTF-8 (iconv).
 * Plain UTF-8 goes straight into the reader's buffer.
 */
#include "source.h"
#include "lig.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define LAYER_BYTES ((size_t)256 * 1024)

struct layer {
    char *at;
    size_t start, end;
};

struct lig_source {
    int fd; /* -1 for a string */
    bool owns_fd;
    struct stat seen; /* the file when it was opened */
    const char *string;
    size_t string_left;

    EVP_MD_CTX *sha256;
    uint64_t raw_bytes;
    char digest[65];
    bool raw_ended;

    bool started; /* the first bytes were looked at */
    bool gzip;
    bool member_ended; /* gzip: between two members */
    z_stream zip;
    struct layer raw;      /* gzip: packed bytes */
    struct layer unpacked; /* bytes still to be decoded, or the first look */

    const char *wanted_encoding;
    char encoding[40];
    bool byte_order_mark;
    iconv_t decoder; /* (iconv_t)-1 when the bytes are UTF-8 already */
    bool decoded;    /* the decoder gave what it had kept back */
};

/* ---- errors -------------------------------------------------------------- */

static void error_set(struct lig_source_error *error, const char *code, int errno_value,
                      const char *message, const char *hint) {
    error->code = code;
    error->errno_value = errno_value;
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    (void)snprintf(error->hint, sizeof error->hint, "%s", hint);
}

static void error_set_errno(struct lig_source_error *error, const char *code, int errno_value,
                            const char *doing, const char *hint) {
    error->code = code;
    error->errno_value = errno_value;
    (void)snprintf(error->message, sizeof error->message, "%s: %s", doing, strerror(errno_value));
    (void)snprintf(error->hint, sizeof error->hint, "%s", hint);
}

/* ---- opening and closing ------------------------------------------------- */

static bool layer_make(struct layer *layer) {
    layer->at = malloc(LAYER_BYTES);
    return layer->at != NULL;
}

static struct lig_source *source_make(const char *encoding, struct lig_source_error *error) {
    struct lig_source *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->fd = -1;
        s->decoder = (iconv_t)-1;
        s->wanted_encoding = encoding;
        s->sha256 = EVP_MD_CTX_new();
        if (s->sha256 != NULL && EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) == 1 &&
            layer_make(&s->unpacked)) {
            return s;
        }
        lig_source_close(s);
    }
    error_set(error, "memory", ENOMEM, "out of memory", "");
    return NULL;
}

struct lig_source *lig_source_open(const char *path, const char *encoding,
                                   struct lig_source_error *error) {
    struct lig_source *s = source_make(encoding, error);
    if (s == NULL) {
        return NULL;
    }
    if (strcmp(path, "-") == 0) {
        s->fd = STDIN_FILENO;
    } else {
        s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        s->owns_fd = true;
    }
    if (s->fd < 0 || fstat(s->fd, &s->seen) != 0) {
        int saved = errno;
        error_set_errno(error, saved == ENOENT ? "missing" : "unreadable", saved,
                        "cannot open the file",
                        saved == ENOENT   ? "Check the path; relative paths start at the current "
                                            "folder"
                        : saved == EACCES ? "Check who may read it (ls -l)"
                                          : "");
        lig_source_close(s);
        return NULL;
    }
    if (S_ISDIR(s->seen.st_mode)) {
        error_set(error, "directory", EISDIR, "this is a folder, not a file",
                  "Name the files in it, for example with FOLDER/*.csv");
        lig_source_close(s);
        return NULL;
    }
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return s;
}

struct lig_source *lig_source_of_string(const char *text, size_t length, const char *encoding,
                                        struct lig_source_error *error) {
    struct lig_source *s = source_make(encoding, error);
    if (s != NULL) {
        s->string = text;
        s->string_left = length;
    }
    return s;
}

void lig_source_close(struct lig_source *s) {
    if (s == NULL) {
        return;
    }
    if (s->owns_fd && s->fd >= 0) {
        (void)close(s->fd);
    }
    if (s->gzip) {
        (void)inflateEnd(&s->zip);
    }
    if (s->decoder != (iconv_t)-1) {
        (void)iconv_close(s->decoder);
    }
    EVP_MD_CTX_free(s->sha256);
    free(s->raw.at);
    free(s->unpacked.at);
    free(s);
}

/* ---- raw bytes ----------------------------------------------------------- */

static bool file_unchanged(const struct lig_source *s) {
    struct stat now;
    return fstat(s->fd, &now) == 0 && now.st_size == s->seen.st_size &&
           now.st_mtim.tv_sec == s->seen.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == s->seen.st_mtim.tv_nsec && (uint64_t)now.st_size == s->raw_bytes;
}

static bool raw_end(struct lig_source *s, struct lig_source_error *error) {
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    s->raw_ended = true;
    if (EVP_DigestFinal_ex(s->sha256, digest, &length) != 1) {
        error_set(error, "digest", 0, "cannot finish the SHA-256 of the source", "");
        return false;
    }
    for (unsigned int i = 0; i < length; i++) {
        s->digest[2 * i] = hex[digest[i] >> 4];
        s->digest[2 * i + 1] = hex[digest[i] & 15];
    }
    if (s->fd >= 0 && S_ISREG(s->seen.st_mode) && s->owns_fd && !file_unchanged(s)) {
        error_set(error, "changed", 0, "the file changed while it was read",
                  "Nothing was stored. Wait until whatever writes it is done, then run again");
        return false;
    }
    return true;
}

static ssize_t raw_read(struct lig_source *s, char *buffer, size_t capacity,
                        struct lig_source_error *error) {
    size_t got = 0;
    if (s->raw_ended) {
        return 0;
    }
    if (s->fd < 0) {
        got = s->string_left < capacity ? s->string_left : capacity;
        memcpy(buffer, s->string, got);
        s->string += got;
        s->string_left -= got;
    } else {
        ssize_t n;
        do {
            n = read(s->fd, buffer, capacity);
        } while (n < 0 && errno == EINTR && !lig_interrupted());
        if (n < 0) {
            error_set_errno(error, "unreadable", errno, "cannot read the file", "");
            return -1;
        }
        got = (size_t)n;
    }
    if (got == 0) {
        return raw_end(s, error) ? 0 : -1;
    }
    s->raw_bytes += got;
    if (EVP_DigestUpdate(s->sha256, buffer, got) != 1) {
        error_set(error, "digest", 0, "cannot compute the SHA-256 of the source", "");
        return -1;
    }
    return (ssize_t)got;
}

/* ---- unpacking ----------------------------------------------------------- */

static ssize_t gzip_fail(struct lig_source *s, struct lig_source_error *error, const char *what) {
    char message[160];
    (void)snprintf(message, sizeof message, "the gzip data is %s near byte %llu", what,
                   (unsigned long long)(s->raw_bytes - s->zip.avail_in));
    error_set(error, "gzip", 0, message, "Test it with 'gzip -t', and copy the file again");
    return -1;
}

/* Zeros after the last member are padding, as tapes and some tools leave it. */
static void padding_skip(z_stream *zip) {
    while (zip->avail_in > 0 && *zip->next_in == 0) {
        zip->next_in++;
        zip->avail_in--;
    }
}

static ssize_t unpacked_read(struct lig_source *s, char *buffer, size_t capacity,
                             struct lig_source_error *error) {
    if (!s->gzip) {
        return raw_read(s, buffer, capacity, error);
    }
    s->zip.next_out = (Bytef *)buffer;
    s->zip.avail_out = (uInt)(capacity < LAYER_BYTES ? capacity : LAYER_BYTES);
    uInt asked = s->zip.avail_out;
    while (s->zip.avail_out == asked) {
        if (s->zip.avail_in == 0) {
            ssize_t n = raw_read(s, s->raw.at, LAYER_BYTES, error);
            if (n < 0) {
                return -1;
            }
            if (n == 0) {
                return s->member_ended ? 0 : gzip_fail(s, error, "cut short");
            }
            s->zip.next_in = (Bytef *)s->raw.at;
            s->zip.avail_in = (uInt)n;
        }
        if (s->member_ended) { // a gzip file may be several, one after the other
            padding_skip(&s->zip);
            if (s->zip.avail_in == 0) {
                continue;
            }
            if (inflateReset(&s->zip) != Z_OK) {
                return gzip_fail(s, error, "damaged");
            }
            s->member_ended = false;
        }
        int status = inflate(&s->zip, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            s->member_ended = true;
        } else if (status == Z_MEM_ERROR) {
            error_set(error, "memory", ENOMEM, "out of memory", "");
            return -1;
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            return gzip_fail(s, error, "damaged");
        }
    }
    return (ssize_t)(asked - s->zip.avail_out);
}

/* ---- the first look: gzip, byte order mark, things that are no text ------ */

struct magic {
    const char *bytes;
    size_t length;
    const char *what;
};

static const struct magic not_text[] = {
    {"PK\x03\x04", 4, "a zip archive, perhaps an Excel workbook (.xlsx)"},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, "an old Excel workbook (.xls) or another OLE file"},
    {"\x89PNG\r\n\x1A\n", 8, "a PNG picture"},
    {"\xFF\xD8\xFF", 3, "a JPEG picture"},
    {"%PDF-", 5, "a PDF document"},
    {"\x28\xB5\x2F\xFD", 4, "zstd-compressed"},
    {"\x1F\x8B", 2, "gzip-compressed twice"},
    {"BZh", 3, "bzip2-compressed"},
    {"\xFD"
     "7zXZ",
     5, "xz-compressed"},
    {"\x7F"
     "ELF",
     4, "a program"},
    {"SQLite format 3", 15, "an SQLite database"},
    {"\x89HDF\r\n\x1A\n", 8, "an HDF5 file"},
};

static bool begins(const struct layer *l, const char *bytes, size_t length) {
    return l->end - l->start >= length && memcmp(l->at + l->start, bytes, length) == 0;
}

static bool text_expected(const struct layer *l, struct lig_source_error *error) {
    for (size_t i = 0; i < sizeof not_text / sizeof *not_text; i++) {
        if (begins(l, not_text[i].bytes, not_text[i].length)) {
            char message[200];
            (void)snprintf(message, sizeof message, "this is %s, not a table of text",
                           not_text[i].what);
            error_set(error, "binary", 0, message,
                      strstr(not_text[i].what, "compressed") != NULL
                          ? "Unpack it first (gzip is read as it is)"
                          : "Export the table as CSV or TSV");
            return false;
        }
    }
    return true;
}

/* Fills the unpacked layer with at least 16 bytes, or all there is. */
static bool layer_fill(struct lig_source *s, struct lig_source_error *error) {
    while (s->unpacked.end - s->unpacked.start < 16) {
        ssize_t n = unpacked_read(s, s->unpacked.at + s->unpacked.end,
                                  LAYER_BYTES - s->unpacked.end, error);
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        s->unpacked.end += (size_t)n;
    }
    return true;
}

static bool gzip_begin(struct lig_source *s, struct lig_source_error *error) {
    // What was read so far is packed: it becomes the raw layer.
    s->raw = s->unpacked;
    s->unpacked = (struct layer){NULL, 0, 0};
    if (!layer_make(&s->unpacked)) {
        error_set(error, "memory", ENOMEM, "out of memory", "");
        return false;
    }
    s->zip.next_in = (Bytef *)(s->raw.at + s->raw.start);
    s->zip.avail_in = (uInt)(s->raw.end - s->raw.start);
    if (inflateInit2(&s->zip, 15 + 16) != Z_OK) {
        error_set(error, "memory", ENOMEM, "out of memory", "");
        return false;
    }
    s->gzip = true;
    return layer_fill(s, error);
}

static const struct {
    const char *bytes;
    size_t length;
    const char *encoding;
} marks[] = {
    // UTF-32LE stands before the UTF-16LE that it begins with.
    {"\xEF\xBB\xBF", 3, "UTF-8"}, {"\xFF\xFE\0\0", 4, "UTF-32LE"}, {"\0\0\xFE\xFF", 4, "UTF-32BE"},
    {"\xFF\xFE", 2, "UTF-16LE"},  {"\xFE\xFF", 2, "UTF-16BE"},
};

/* The usual spellings of what people call Latin-1 and UTF-8. */
static const char *encoding_name(const char *name) {
    static const char *const other[][2] = {{"latin1", "ISO-8859-1"}, {"latin-1", "ISO-8859-1"},
                                           {"utf8", "UTF-8"},        {"utf16", "UTF-16"},
                                           {"utf-8-sig", "UTF-8"},   {"utf-16-le", "UTF-16LE"},
                                           {"utf-16-be", "UTF-16BE"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        if (strcasecmp(name, other[i][0]) == 0) {
            return other[i][1];
        }
    }
    return name;
}

/* An iconv name without what could change its meaning: "" is the locale's encoding, and
 * a suffix like "//IGNORE" drops what it cannot read. */
static bool decoder_open(struct lig_source *s, struct lig_source_error *error) {
    if (*s->encoding != '\0' && strchr(s->encoding, '/') == NULL) {
        s->decoder = iconv_open("UTF-8", s->encoding);
    }
    if (s->decoder != (iconv_t)-1) {
        return true;
    }
    char message[120];
    (void)snprintf(message, sizeof message, "unknown encoding '%s'", s->wanted_encoding);
    error_set(error, "encoding_name", 0, message,
              "Use utf-8, utf-16le, utf-16be, latin1 or another name that 'iconv -l' lists");
    return false;
}

/* A byte order mark decides, unless another encoding was asked for: then one of the two
 * is wrong, and reading on would garble the text. */
static bool encoding_begin(struct lig_source *s, struct lig_source_error *error) {
    const char *marked = NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks && marked == NULL; i++) {
        if (begins(&s->unpacked, marks[i].bytes, marks[i].length)) {
            marked = marks[i].encoding;
            s->unpacked.start += marks[i].length;
            s->byte_order_mark = true;
        }
    }
    const char *wanted = s->wanted_encoding == NULL ? NULL : encoding_name(s->wanted_encoding);
    // "UTF-16" with its mark is UTF-16LE or UTF-16BE.
    if (marked != NULL && wanted != NULL && strncasecmp(wanted, marked, 6) != 0) {
        char message[160];
        (void)snprintf(message, sizeof message, "the file begins with the mark of %s, not of %.60s",
                       marked, s->wanted_encoding);
        error_set(error, "encoding", 0, message, "Leave the encoding out to go by the mark");
        return false;
    }
    (void)snprintf(s->encoding, sizeof s->encoding, "%s",
                   marked != NULL   ? marked
                   : wanted != NULL ? wanted
                                    : "UTF-8");
    for (char *c = s->encoding; *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    return strcmp(s->encoding, "UTF-8") == 0 || decoder_open(s, error);
}

static bool source_start(struct lig_source *s, struct lig_source_error *error) {
    if (!layer_fill(s, error)) {
        return false;
    }
    if (begins(&s->unpacked, "\x1F\x8B", 2) && !gzip_begin(s, error)) {
        return false;
    }
    if (!text_expected(&s->unpacked, error) || !encoding_begin(s, error)) {
        return false;
    }
    s->started = true;
    return true;
}

/* ---- decoding ------------------------------------------------------------ */

/* Some encodings keep a character back until they know what follows it. */
static ssize_t decoder_finish(struct lig_source *s, char *buffer, size_t capacity) {
    char *out = buffer;
    if (!s->decoded) {
        (void)iconv(s->decoder, NULL, NULL, &out, &capacity);
        s->decoded = true;
    }
    return out - buffer;
}

static ssize_t decoded_read(struct lig_source *s, char *buffer, size_t capacity,
                            struct lig_source_error *error) {
    for (;;) {
        struct layer *l = &s->unpacked;
        char *in = l->at + l->start;
        size_t in_left = l->end - l->start;
        char *out = buffer;
        size_t out_left = capacity;
        size_t result = iconv(s->decoder, &in, &in_left, &out, &out_left);
        int saved = errno;
        l->start = l->end - in_left;
        if (out > buffer) {
            return out - buffer;
        }
        if (result == (size_t)-1 && saved == EILSEQ) {
            char message[160];
            (void)snprintf(message, sizeof message, "a byte sequence is not valid %s", s->encoding);
            error_set(error, "encoding", 0, message,
                      "Name the file's true encoding with --encoding");
            return -1;
        }
        memmove(l->at, l->at + l->start, in_left);
        l->start = 0;
        l->end = in_left;
        ssize_t n = unpacked_read(s, l->at + l->end, LAYER_BYTES - l->end, error);
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            if (in_left == 0) {
                return decoder_finish(s, buffer, capacity);
            }
            error_set(error, "encoding", 0, "the file ends in the middle of a character",
                      "Copy it again, or name its true encoding with --encoding");
            return -1;
        }
        l->end += (size_t)n;
    }
}

ssize_t lig_source_read(struct lig_source *s, char *buffer, size_t capacity,
                        struct lig_source_error *error) {
    if (!s->started && !source_start(s, error)) {
        return -1;
    }
    if (s->decoder != (iconv_t)-1) {
        return decoded_read(s, buffer, capacity, error);
    }
    struct layer *l = &s->unpacked;
    if (l->end > l->start) {
        size_t n = l->end - l->start < capacity ? l->end - l->start : capacity;
        memcpy(buffer, l->at + l->start, n);
        l->start += n;
        return (ssize_t)n;
    }
    return unpacked_read(s, buffer, capacity, error);
}

void lig_source_info(const struct lig_source *s, struct lig_source_info *info) {
    info->raw_bytes = s->raw_bytes;
    info->gzip = s->gzip;
    info->byte_order_mark = s->byte_order_mark;
    info->encoding = s->started ? s->encoding : "";
    memcpy(info->sha256, s->digest, sizeof info->sha256);
}
