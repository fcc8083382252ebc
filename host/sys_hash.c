/* sys_hash.c: digests, ids and random bytes of "sys".
 *
 * Feature keys are made one per distinct name, tens of thousands of times per
 * file, so the digests are looked up once and their context is used again. Both
 * belong to the Lua state, as the upvalue that the functions share.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define DIGEST_CLASS "ligase.sys.digest"
#define RANDOM_MAX_BYTES (1 << 20)
#define UUID_BYTES 16
#define UUID_TEXT 36

typedef struct digest {
    bool closed;
    EVP_MD_CTX *context; // NULL until the first digest: opening OpenSSL takes milliseconds
    EVP_MD *sha256;
    EVP_MD *sha1;
    int64_t uuid_ms;       // time in the newest UUIDv7
    unsigned uuid_counter; // its 12-bit counter
} digest;

/* ---- box ---------------------------------------------------------------- */

static int digest_release(lua_State *L) {
    digest *d = luaL_checkudata(L, 1, DIGEST_CLASS);
    EVP_MD_CTX_free(d->context);
    EVP_MD_free(d->sha256);
    EVP_MD_free(d->sha1);
    *d = (digest){.closed = true};
    return 0;
}

static digest *digest_new(lua_State *L) {
    digest *d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (digest){0};
    luaL_setmetatable(L, DIGEST_CLASS);
    return d;
}

static void digest_open(lua_State *L, digest *d) {
    d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    EVP_MD_CTX *context = d->sha256 != NULL && d->sha1 != NULL ? EVP_MD_CTX_new() : NULL;
    if (context == NULL) {
        EVP_MD_free(d->sha256);
        EVP_MD_free(d->sha1);
        d->sha256 = d->sha1 = NULL;
        luaL_error(L, "this OpenSSL has no SHA-256 or no SHA-1");
    }
    d->context = context;
}

/* No type check: the upvalue is ours. It is closed only while the state closes
 * and a finalizer asks for one more digest. */
static digest *digest_own(lua_State *L) {
    digest *d = lua_touserdata(L, lua_upvalueindex(1));
    if (d->closed) {
        luaL_error(L, "digests are closed");
    }
    if (d->context == NULL) {
        digest_open(L, d);
    }
    return d;
}

/* ---- digests ------------------------------------------------------------ */

static void digest_raise(lua_State *L) {
    lig_error_push(L, LIG_KIND_SYSTEM, "EDIGEST", "OpenSSL could not compute a digest");
    lig_error_raise(L);
}

static void digest_compute(lua_State *L, const EVP_MD *kind, const char *data, size_t length,
                           unsigned char out[EVP_MAX_MD_SIZE]) {
    EVP_MD_CTX *context = digest_own(L)->context;
    if (EVP_DigestInit_ex2(context, kind, NULL) != 1 ||
        EVP_DigestUpdate(context, data, length) != 1 ||
        EVP_DigestFinal_ex(context, out, NULL) != 1) {
        digest_raise(L);
    }
}

static void push_hex(lua_State *L, const unsigned char *bytes, size_t length) {
    static const char digits[] = "0123456789abcdef";
    char text[2 * EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, text, 2 * length);
}

/* sys.sha256(bytes) -> 64 hexadecimal digits. */
static int hash_sha256(lua_State *L) {
    size_t length;
    const char *data = luaL_checklstring(L, 1, &length);
    unsigned char out[EVP_MAX_MD_SIZE];
    digest_compute(L, digest_own(L)->sha256, data, length, out);
    push_hex(L, out, 32);
    return 1;
}

/* sys.sha1(bytes) -> 40 hexadecimal digits. */
static int hash_sha1(lua_State *L) {
    size_t length;
    const char *data = luaL_checklstring(L, 1, &length);
    unsigned char out[EVP_MAX_MD_SIZE];
    digest_compute(L, digest_own(L)->sha1, data, length, out);
    push_hex(L, out, 20);
    return 1;
}

/* The first 8 bytes of the SHA-256 of a prefix and data, big-endian, signed. */
static lua_Integer hash64_compute(lua_State *L, const char *prefix, size_t prefix_length,
                                  const char *data, size_t length) {
    digest *d = digest_own(L);
    unsigned char out[EVP_MAX_MD_SIZE];
    if (EVP_DigestInit_ex2(d->context, d->sha256, NULL) != 1 ||
        EVP_DigestUpdate(d->context, prefix, prefix_length) != 1 ||
        EVP_DigestUpdate(d->context, data, length) != 1 ||
        EVP_DigestFinal_ex(d->context, out, NULL) != 1) {
        digest_raise(L);
    }
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        word = word << 8 | out[i];
    }
    return (lua_Integer)word;
}

/* sys.hash64(bytes) -> the first 8 bytes of SHA-256, big-endian, as a signed
 * integer: the key of a feature. */
static int hash_hash64(lua_State *L) {
    size_t length;
    const char *data = luaL_checklstring(L, 1, &length);
    lua_pushinteger(L, hash64_compute(L, "", 0, data, length));
    return 1;
}

/* sys.sha256_all(list [, prefix]) -> list of the sys.sha256 of prefix .. text. */
static int hash_sha256_all(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t prefix_length;
    const char *prefix = luaL_optlstring(L, 2, "", &prefix_length);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    digest *d = digest_own(L);
    lua_settop(L, 2);
    lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, i) != LUA_TSTRING) {
            lig_error_usage(L, "sha256_all wants a list of strings, and entry %lld is a %s",
                            (long long)i, luaL_typename(L, -1));
        }
        size_t length;
        const char *text = lua_tolstring(L, -1, &length);
        unsigned char out[EVP_MAX_MD_SIZE];
        if (EVP_DigestInit_ex2(d->context, d->sha256, NULL) != 1 ||
            EVP_DigestUpdate(d->context, prefix, prefix_length) != 1 ||
            EVP_DigestUpdate(d->context, text, length) != 1 ||
            EVP_DigestFinal_ex(d->context, out, NULL) != 1) {
            digest_raise(L);
        }
        lua_pop(L, 1);
        push_hex(L, out, 32);
        lua_rawseti(L, 3, i);
    }
    return 1;
}

/* sys.hash64_all(list [, prefix]) -> list of the sys.hash64 of prefix .. text. */
static int hash_hash64_all(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t prefix_length;
    const char *prefix = luaL_optlstring(L, 2, "", &prefix_length);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    lua_settop(L, 2);
    lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, i) != LUA_TSTRING) {
            lig_error_usage(L, "hash64_all wants a list of strings, and entry %lld is a %s",
                            (long long)i, luaL_typename(L, -1));
        }
        size_t length;
        const char *text = lua_tolstring(L, -1, &length);
        lua_Integer hash = hash64_compute(L, prefix, prefix_length, text, length);
        lua_pop(L, 1);
        lua_pushinteger(L, hash);
        lua_rawseti(L, 3, i);
    }
    return 1;
}

/* sys.sha256_file(path) -> 64 hexadecimal digits of the file's content. */
static int hash_sha256_file(lua_State *L) {
    const char *path = lig_sys_check_path(L, 1);
    digest *d = digest_own(L);
    unsigned char out[EVP_MAX_MD_SIZE];
    char chunk[1 << 16];
    int failure = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        lig_error_errno(L, errno, "read", path);
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    bool sound = EVP_DigestInit_ex2(d->context, d->sha256, NULL) == 1;
    while (sound && failure == 0 && !lig_interrupted()) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0) {
            break;
        }
        if (n < 0) {
            failure = errno == EINTR ? 0 : errno;
            continue;
        }
        sound = EVP_DigestUpdate(d->context, chunk, (size_t)n) == 1;
    }
    (void)close(fd);
    lig_interrupt_check(L);
    if (failure != 0) {
        lig_error_errno(L, failure, "read", path);
    }
    if (!sound || EVP_DigestFinal_ex(d->context, out, NULL) != 1) {
        digest_raise(L);
    }
    push_hex(L, out, 32);
    return 1;
}

/* sys.hmac_sha256(key, bytes) -> 64 hexadecimal digits. */
static int hash_hmac_sha256(lua_State *L) {
    size_t key_length;
    size_t length;
    const char *key = luaL_checklstring(L, 1, &key_length);
    const char *data = luaL_checklstring(L, 2, &length);
    unsigned char out[EVP_MAX_MD_SIZE];
    if (key_length > INT_MAX || HMAC(digest_own(L)->sha256, key, (int)key_length,
                                     (const unsigned char *)data, length, out, NULL) == NULL) {
        digest_raise(L);
    }
    push_hex(L, out, 32);
    return 1;
}

/* ---- random bytes and ids ----------------------------------------------- */

static void random_fill(lua_State *L, unsigned char *out, size_t length) {
    while (length > 0) {
        ssize_t n = getrandom(out, length, 0);
        if (n < 0 && errno != EINTR) {
            lig_error_errno(L, errno, "get", "random bytes");
        }
        if (n > 0) {
            out += n;
            length -= (size_t)n;
        }
    }
}

/* sys.random_bytes(count) -> that many bytes from the kernel, at most 1 MiB. */
static int hash_random_bytes(lua_State *L) {
    lua_Integer count = luaL_checkinteger(L, 1);
    if (count < 0 || count > RANDOM_MAX_BYTES) {
        lig_error_usage(L, "sys.random_bytes gives 0 to %d bytes", RANDOM_MAX_BYTES);
    }
    luaL_Buffer b;
    random_fill(L, (unsigned char *)luaL_buffinitsize(L, &b, (size_t)count), (size_t)count);
    luaL_pushresultsize(&b, (size_t)count);
    return 1;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool uuid_parse(const char *text, size_t length, unsigned char out[UUID_BYTES]) {
    size_t digits = 0;
    for (size_t i = 0; i < length && length == UUID_TEXT; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        int value = hex_value(text[i]);
        if (dash ? text[i] != '-' : value < 0) {
            return false;
        }
        if (!dash) {
            out[digits / 2] =
                (unsigned char)(digits % 2 == 0 ? value << 4 : out[digits / 2] | value);
            digits++;
        }
    }
    return digits == (size_t)2 * UUID_BYTES;
}

static void uuid_push(lua_State *L, unsigned char bytes[UUID_BYTES], int version) {
    static const char digits[] = "0123456789abcdef";
    char text[UUID_TEXT];
    size_t n = 0;
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[n++] = '-';
        }
        text[n++] = digits[bytes[i] >> 4];
        text[n++] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, text, sizeof text);
}

/* sys.uuid5(namespace, name) -> the UUID of that name in the namespace (itself a
 * UUID), the same everywhere and always (RFC 9562, version 5). */
static int hash_uuid5(lua_State *L) {
    size_t space_length;
    size_t length;
    const char *space = luaL_checklstring(L, 1, &space_length);
    const char *name = luaL_checklstring(L, 2, &length);
    unsigned char head[UUID_BYTES];
    unsigned char out[EVP_MAX_MD_SIZE];
    digest *d = digest_own(L);
    if (!uuid_parse(space, space_length, head)) {
        lig_error_usage(L, "sys.uuid5: the namespace '%s' is not a UUID", space);
    }
    if (EVP_DigestInit_ex2(d->context, d->sha1, NULL) != 1 ||
        EVP_DigestUpdate(d->context, head, sizeof head) != 1 ||
        EVP_DigestUpdate(d->context, name, length) != 1 ||
        EVP_DigestFinal_ex(d->context, out, NULL) != 1) {
        digest_raise(L);
    }
    uuid_push(L, out, 5);
    return 1;
}

/* sys.uuid7() -> a UUID that begins with the time in milliseconds (RFC 9562,
 * version 7). Each is greater than the ones this process made before: a 12-bit
 * counter follows the time, starts low at random, and borrows the next
 * millisecond when it is used up or the clock was set back. */
static int hash_uuid7(lua_State *L) {
    digest *d = digest_own(L);
    unsigned char bytes[UUID_BYTES];
    struct timespec t;
    random_fill(L, bytes + 6, UUID_BYTES - 6);
    (void)clock_gettime(CLOCK_REALTIME, &t);
    int64_t ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    if (ms > d->uuid_ms) {
        d->uuid_ms = ms;
        d->uuid_counter = (unsigned)(bytes[6] << 8 | bytes[7]) & 0x7ff;
    } else if (++d->uuid_counter > 0xfff) {
        d->uuid_ms++;
        d->uuid_counter = (unsigned)(bytes[6] << 8 | bytes[7]) & 0x7ff;
    }
    for (int i = 0; i < 6; i++) {
        bytes[i] = (unsigned char)(d->uuid_ms >> (40 - 8 * i));
    }
    bytes[6] = (unsigned char)(d->uuid_counter >> 8);
    bytes[7] = (unsigned char)d->uuid_counter;
    uuid_push(L, bytes, 7);
    return 1;
}

/* ---- module ------------------------------------------------------------- */

static const luaL_Reg hash_functions[] = {
    {"sha256", hash_sha256},
    {"sha256_all", hash_sha256_all},
    {"sha1", hash_sha1},
    {"hash64", hash_hash64},
    {"hash64_all", hash_hash64_all},
    {"sha256_file", hash_sha256_file},
    {"hmac_sha256", hash_hmac_sha256},
    {"random_bytes", hash_random_bytes},
    {"uuid5", hash_uuid5},
    {"uuid7", hash_uuid7},
    {NULL, NULL},
};

void lig_sys_hash_open(lua_State *L) {
    static const luaL_Reg meta[] = {{"__gc", digest_release}, {NULL, NULL}};
    lig_class_new(L, DIGEST_CLASS, NULL, meta);
    (void)digest_new(L);
    luaL_setfuncs(L, hash_functions, 1);
}
