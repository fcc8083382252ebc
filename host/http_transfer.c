/* http_transfer.c: one request and its answer, over libcurl's easy interface.
 *
 * Knows nothing of Lua.  The callbacks only take bytes, count them and say stop; why a
 * transfer ended is read off afterwards.
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_LIMIT_BYTES (256 << 10)

lig_http_transfer *lig_http_new(void) {
    lig_http_transfer *t = calloc(1, sizeof *t);
    if (t != NULL) {
        t->fd = -1;
        t->easy = curl_easy_init();
        t->url = curl_url();
        if (t->easy == NULL || t->url == NULL) {
            lig_http_free(t);
            return NULL;
        }
    }
    return t;
}

/* ---- the file ----------------------------------------------------------- */

/* The place of the new file, beside the one it is to replace; a link stays a link. */
static int file_begin(lig_http_transfer *t) {
    struct stat old;
    bool existed = stat(t->path, &old) == 0;
    if (existed && !S_ISREG(old.st_mode)) {
        return S_ISDIR(old.st_mode) ? EISDIR : EINVAL; // a rename would replace a device by a file
    }
    if (lstat(t->path, &old) == 0 && S_ISLNK(old.st_mode)) {
        char *target = realpath(t->path, NULL);
        if (target == NULL) {
            return errno;
        }
        free(t->path);
        t->path = target;
        (void)stat(t->path, &old);
    }
    uint64_t word;
    if (getrandom(&word, sizeof word, 0) != sizeof word) {
        return errno;
    }
    if (asprintf(&t->temporary, "%s.%012llx.tmp", t->path, (unsigned long long)(word >> 16)) < 0) {
        t->temporary = NULL;
        return ENOMEM;
    }
    t->fd = open(t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (t->fd < 0) {
        int error = errno;
        free(t->temporary);
        t->temporary = NULL;
        return error;
    }
    return existed && fchmod(t->fd, old.st_mode & 07777) != 0 ? errno : 0;
}

static void file_discard(lig_http_transfer *t) {
    if (t->fd >= 0) {
        (void)close(t->fd);
        t->fd = -1;
    }
    if (t->temporary != NULL) {
        (void)unlink(t->temporary);
        free(t->temporary);
        t->temporary = NULL;
    }
}

static int file_write(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

static int file_complete(lig_http_transfer *t) {
    int error = fsync(t->fd) != 0 ? errno : 0;
    if (close(t->fd) != 0 && error == 0) {
        error = errno;
    }
    t->fd = -1;
    if (error == 0 && rename(t->temporary, t->path) != 0) {
        error = errno;
    }
    if (error == 0) {
        free(t->temporary);
        t->temporary = NULL;
    }
    return error;
}

void lig_http_free(lig_http_transfer *t) {
    if (t != NULL) {
        file_discard(t);
        lig_http_gzip_end(&t->gzip);
        curl_easy_cleanup(t->easy); // before what it only points to
        curl_url_cleanup(t->url);
        curl_slist_free_all(t->headers);
        free(t->path);
        free(t->answer);
        free(t);
    }
}

/* ---- callbacks ---------------------------------------------------------- */

static bool stop(lig_http_transfer *t, enum lig_http_stop why) {
    t->stop = why;
    return false;
}

static bool answer_append(lig_http_transfer *t, const char *data, size_t length) {
    if (length > t->answer_room - t->answer_length) {
        size_t room = t->answer_room * 2 > 4096 ? t->answer_room * 2 : 4096;
        while (room - t->answer_length < length) {
            room *= 2;
        }
        char *grown = realloc(t->answer, room);
        if (grown == NULL) {
            return false;
        }
        t->answer = grown;
        t->answer_room = room;
    }
    memcpy(t->answer + t->answer_length, data, length);
    t->answer_length += length;
    return true;
}

/* Only the body of a 2xx is what file and function were meant for; what a server says
 * when it refuses is kept for the caller to read. */
static bool body_begin(lig_http_transfer *t) {
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    bool is_success = t->status >= 200 && t->status < 300;
    t->body_is_streamed = is_success && (t->fd >= 0 || t->take != NULL);
    t->body_begun = true;
    struct curl_header *coding;
    if (curl_easy_header(t->easy, "Content-Encoding", 0, CURLH_HEADER, -1, &coding) != CURLHE_OK ||
        strcasecmp(coding->value, "identity") == 0) {
        return true;
    }
    if (coding->amount > 1 ||
        (strcasecmp(coding->value, "gzip") != 0 && strcasecmp(coding->value, "x-gzip") != 0)) {
        return stop(t, LIG_HTTP_BAD_ENCODING);
    }
    return lig_http_gzip_begin(&t->gzip) || stop(t, LIG_HTTP_NO_MEMORY);
}

/* Takes a piece of the body as it is meant. */
static bool body_take(void *context, const char *data, size_t length) {
    lig_http_transfer *t = context;
    t->received += length;
    if (t->received > t->size_limit) {
        return stop(t, LIG_HTTP_TOO_LARGE);
    }
    if (!t->body_is_streamed) {
        return answer_append(t, data, length) || stop(t, LIG_HTTP_NO_MEMORY);
    }
    if (t->fd >= 0) {
        t->error = file_write(t->fd, data, length);
        if (t->error != 0) {
            return stop(t, LIG_HTTP_CANNOT_WRITE);
        }
    }
    return t->take == NULL || t->take(t, data, length) || stop(t, LIG_HTTP_CHUNK_REFUSED);
}

/* Takes a piece of the body as it is on the wire. */
static size_t wire_take(char *data, size_t one, size_t length, void *context) {
    (void)one;
    lig_http_transfer *t = context;
    if (length == 0 || (!t->body_begun && !body_begin(t))) {
        return 0;
    }
    if (!t->gzip.is_open) {
        return body_take(t, data, length) ? length : 0;
    }
    if (lig_http_gzip_take(&t->gzip, data, length, body_take, t)) {
        return length;
    }
    if (t->stop == LIG_HTTP_GOES_ON) {
        t->stop = LIG_HTTP_BAD_ENCODING;
    }
    return 0;
}

static size_t header_take(char *data, size_t one, size_t length, void *context) {
    (void)data;
    (void)one;
    lig_http_transfer *t = context;
    t->header_bytes += length;
    return t->header_bytes <= HEADER_LIMIT_BYTES || stop(t, LIG_HTTP_LONG_HEADERS) ? length : 0;
}

/* Called with a connection at hand and before the first byte of the request, each time
 * libcurl means to send it: so this is the line between "surely not sent" and "maybe". */
static int request_begin(void *context, char *remote, char *local, int remote_port,
                         int local_port) {
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    lig_http_transfer *t = context;
    if (t->sent && t->once) {
        t->stop = LIG_HTTP_SENT_ONCE;
        return CURL_PREREQFUNC_ABORT;
    }
    t->sent = true;
    return CURL_PREREQFUNC_OK;
}

static bool address_is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *v6 = (const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static curl_socket_t socket_open(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    (void)purpose;
    lig_http_transfer *t = context;
    if (t->loopback_only && !address_is_loopback(&address->addr)) {
        t->stop = LIG_HTTP_ELSEWHERE;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- the request -------------------------------------------------------- */

bool lig_http_host_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    char inner[INET6_ADDRSTRLEN];
    size_t length = strlen(host);
    if (host[0] != '[' || length < 3 || length - 2 >= sizeof inner) {
        return false;
    }
    memcpy(inner, host + 1, length - 2);
    inner[length - 2] = '\0';
    return inet_pton(AF_INET6, inner, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static long milliseconds(double seconds) {
    double ms = seconds * 1000;
    return ms < 1 ? 1 : (long)ms;
}

static bool is_one_of(const char *word, const char *const *words) {
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static CURLcode method_set(lig_http_transfer *t, const char *method) {
    static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL};
    CURL *easy = t->easy;
    if (strcmp(method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    CURLcode bad = CURLE_OK;
    if (t->body != NULL || is_one_of(method, with_body)) {
        bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_length);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->body != NULL ? t->body : "");
    }
    return bad | curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode limits_set(lig_http_transfer *t) {
    CURL *easy = t->easy;
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(t->timeout_s));
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(t->connect_timeout_s));
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // Else giving up waits for a name server that does not answer.
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    // One request at a time on a connection: with streams it is hard to say what was sent.
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L); // done here
    bad |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 65536L);
    if (t->own_connection) {
        bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    return bad;
}

static CURLcode callbacks_set(lig_http_transfer *t) {
    CURL *easy = t->easy;
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->reason);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, wire_take);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, request_begin);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    return bad;
}

bool lig_http_prepare(lig_http_transfer *t, const char *method, const char *proxy,
                      const char *ca_file) {
    CURL *easy = t->easy;
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(easy, CURLOPT_CURLU, t->url);
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, proxy != NULL ? proxy : "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (ca_file != NULL) {
        bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    }
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    bad |= method_set(t, method);
    bad |= limits_set(t);
    bad |= callbacks_set(t);
    return bad == CURLE_OK;
}

/* ---- beginning and end -------------------------------------------------- */

bool lig_http_begin(lig_http_transfer *t) {
    t->error = t->path != NULL ? file_begin(t) : 0;
    if (t->error != 0) {
        t->stop = LIG_HTTP_CANNOT_WRITE;
        t->code = CURLE_WRITE_ERROR;
    }
    return t->error == 0;
}

void lig_http_finish(lig_http_transfer *t, CURLcode code) {
    curl_off_t microseconds = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    t->seconds = (double)microseconds * 1e-6;
    t->code = code;
    if (!t->body_begun) {
        (void)body_begin(t); // an empty one may call itself packed
        t->stop = code == CURLE_OK ? LIG_HTTP_GOES_ON : t->stop;
    }
    if (code == CURLE_OK && !lig_http_gzip_is_whole(&t->gzip)) {
        t->stop = LIG_HTTP_CUT_SHORT;
        t->code = CURLE_PARTIAL_FILE;
    }
    if (t->code == CURLE_OK && t->body_is_streamed && t->fd >= 0) {
        t->error = file_complete(t);
        if (t->error != 0) {
            t->stop = LIG_HTTP_CANNOT_WRITE;
            t->code = CURLE_WRITE_ERROR;
        }
    }
    file_discard(t);
}

bool lig_http_is_answered(const lig_http_transfer *t) {
    return t->code == CURLE_OK;
}
