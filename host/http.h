/* http.h: what the files of the "http" primitive share.
 *
 * http_transfer.c (one request and its answer), http_gzip.c and http_pool.c (many at once)
 * are the engine and know nothing of Lua: libcurl's multi interface with everything that may
 * surprise switched off, such as redirects, proxies and netrc from the environment.
 * http.c, http_request.c and http_response.c are the binding.
 */
#ifndef LIG_HTTP_H
#define LIG_HTTP_H

#include "lig.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <zlib.h>

/* Why we ended a transfer ourselves. */
enum lig_http_stop {
    LIG_HTTP_GOES_ON,
    LIG_HTTP_TOO_LARGE,     /* more bytes than the limit */
    LIG_HTTP_LONG_HEADERS,  /* more than any server has to say there */
    LIG_HTTP_CANNOT_WRITE,  /* into the file: `error` is the errno */
    LIG_HTTP_CHUNK_REFUSED, /* by the function that takes the chunks */
    LIG_HTTP_SENT_ONCE,     /* libcurl was about to send it a second time */
    LIG_HTTP_BAD_ENCODING,  /* not gzip, or nothing that was asked for */
    LIG_HTTP_CUT_SHORT,     /* the gzip breaks off */
    LIG_HTTP_ELSEWHERE,     /* the name of this machine led to another one */
    LIG_HTTP_NO_MEMORY
};

enum lig_http_state { LIG_HTTP_DRAFT, LIG_HTTP_WAITING, LIG_HTTP_ACTIVE, LIG_HTTP_FINISHED };

/* A body that comes in packed. */
typedef struct lig_http_gzip {
    z_stream stream;
    bool is_open;
    bool is_begun;
    bool is_whole; /* at the end of a member */
} lig_http_gzip;

/* One request with its answer.  What the caller sets comes first; `body` must stay
 * where it is until the transfer is freed. */
typedef struct lig_http_transfer {
    CURLU *url;
    struct curl_slist *headers;
    const char *body;
    size_t body_length;
    char *path; /* the body of a 2xx goes into this file */
    uint64_t size_limit;
    double timeout_s;
    double connect_timeout_s;
    bool own_connection; /* a new one, closed afterwards */
    bool once;           /* may not be sent a second time */
    bool loopback_only;
    bool (*take)(struct lig_http_transfer *t, const char *data, size_t length); /* of a 2xx */
    void *context;                                                              /* for take */

    enum lig_http_state state;
    enum lig_http_stop stop;
    CURLcode code;
    int error;
    bool sent; /* the request may have left this machine */
    bool body_begun;
    bool body_is_streamed;
    long status; /* 0 before there is one */
    uint64_t received;
    double seconds;
    char *answer;
    size_t answer_length;
    size_t answer_room;
    size_t header_bytes;
    lig_http_gzip gzip; /* open when the body is packed */
    int fd;
    char *temporary;
    CURL *easy;
    char reason[CURL_ERROR_SIZE];
    TAILQ_ENTRY(lig_http_transfer) links;
} lig_http_transfer;

TAILQ_HEAD(lig_http_list, lig_http_transfer);

/* Transfers that share their connections: at most `connections` are active, the others
 * wait here and not in libcurl, whose clocks would already run. */
typedef struct lig_http_pool {
    CURLM *multi; /* NULL once closed */
    int connections;
    int active;
    size_t count; /* waiting, active and finished */
    struct lig_http_list waiting, running, finished;
} lig_http_pool;

/* Begin (false without memory) and end may come in any order and number.  take unpacks the
 * next piece and hands it over; false when it is no gzip, or when `take` said stop.  What
 * is whole ends where a member ends; nothing at all is whole too. */
bool lig_http_gzip_begin(lig_http_gzip *g);
void lig_http_gzip_end(lig_http_gzip *g);
bool lig_http_gzip_is_whole(const lig_http_gzip *g);
bool lig_http_gzip_take(lig_http_gzip *g, const char *data, size_t length,
                        bool (*take)(void *context, const char *data, size_t length),
                        void *context);

/* A new transfer; NULL without memory.  lig_http_free takes every transfer that is not
 * in a pool. */
lig_http_transfer *lig_http_new(void);
void lig_http_free(lig_http_transfer *t);

/* Makes the request ready to be sent by this method, and whatever of proxy and CA file
 * (NULL without) is asked for.  Returns false without memory. */
bool lig_http_prepare(lig_http_transfer *t, const char *method, const char *proxy,
                      const char *ca_file);

/* Opens the file that the answer goes to, where there is one; false sets stop and error. */
bool lig_http_begin(lig_http_transfer *t);

/* Takes over how libcurl says it ended, and puts the file in its place. */
void lig_http_finish(lig_http_transfer *t, CURLcode code);

/* Whether the transfer ended with a whole answer. */
bool lig_http_is_answered(const lig_http_transfer *t);

/* Whether a URL's host is this machine by its name. */
bool lig_http_host_is_loopback(const char *host);

/* A pool that is open or, without memory, is not; close takes it with all transfers
 * in it and may be called again. */
bool lig_http_pool_open(lig_http_pool *pool, int connections);
void lig_http_pool_close(lig_http_pool *pool);

/* Hands a prepared transfer over to the pool. */
void lig_http_pool_add(lig_http_pool *pool, lig_http_transfer *t);

/* Takes a transfer out of the pool, whatever it was doing; it is the caller's again. */
void lig_http_pool_remove(lig_http_pool *pool, lig_http_transfer *t);

/* Sends and receives what can be without waiting; when that finished nothing, waits up to
 * wait_ms for something to do, or for a signal.  Returns false when libcurl itself failed. */
bool lig_http_pool_step(lig_http_pool *pool, int wait_ms);

/* Reads the request table at `index` into a new transfer, and what of it belongs to Lua
 * into the table at `entry`: what ("GET <url>"), url (without secrets), method, body, to,
 * on_chunk.  Raises "usage", and "network" for a way that is refused. */
void lig_http_request_read(lua_State *L, int index, lig_http_transfer *t, int entry);

/* Pushes what came of a finished transfer: the response; or the error table of one that
 * was not answered, where `what` is "GET <url>" and `url` the URL in it. */
void lig_http_response_push(lua_State *L, const lig_http_transfer *t, int entry);
void lig_http_error_push(lua_State *L, const lig_http_transfer *t, const char *what,
                         const char *url);

/* Makes the class of responses; its methods are `response_methods` of the module table on
 * top of the stack. */
void lig_http_response_open(lua_State *L);

#endif
