/* serve.h: an HTTP/1.1 server, without Lua.
 *
 * One thread, driven from outside: lig_serve_wait() lets libmicrohttpd do what is ready,
 * and requests that have come in whole are taken one by one with lig_serve_next().  From
 * then until it is answered, a request is suspended: libmicrohttpd does not look at it,
 * so that whoever answers it runs in no callback of the library, may fail, and may let
 * others go first.
 */
#ifndef LIG_SERVE_H
#define LIG_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lig_server lig_server;
typedef struct lig_exchange lig_exchange;

typedef struct lig_serve_limits {
    size_t body_bytes;        /* of one request; a larger one is answered with 413 */
    size_t header_bytes;      /* names and values together; 431 */
    unsigned connections;     /* further ones wait in the kernel's queue */
    double request_timeout_s; /* until a request is there, from the connection's start or the
                                 answer before it */
    double answer_timeout_s;  /* until the client has taken an answer */
} lig_serve_limits;

typedef struct lig_text {
    const char *data;
    size_t length;
} lig_text;

typedef struct lig_field {
    lig_text name, value;
} lig_field;

/* A request as it came in; valid until the exchange is answered. */
typedef struct lig_request {
    lig_text method, target; /* target: path and query as they were sent */
    lig_text path;           /* decoded */
    lig_text body;
    const lig_field *headers; /* names in lower case, in the order they came */
    size_t header_count;
    const lig_field *query; /* decoded, in the order they came */
    size_t query_count;
    const char *peer; /* the client's address */
    unsigned peer_port;
    uint64_t connection; /* counts the server's connections */
    unsigned turn;       /* counts the connection's requests */
} lig_request;

/* Listens on a numeric address; port 0 takes any free one.  NULL with errno set. */
lig_server *lig_serve_open(const char *host, unsigned port, const lig_serve_limits *limits);

/* The port that it listens on. */
unsigned lig_serve_port(const lig_server *server);

/* Waits at most so many seconds for something to be ready and does it.  False when there is
 * nothing yet, or a signal came. */
bool lig_serve_wait(lig_server *server, double timeout_s);

/* The next request that is there whole, or NULL; each must be given to lig_serve_answer(). */
lig_exchange *lig_serve_next(lig_server *server);

/* What came in. */
const lig_request *lig_exchange_request(const lig_exchange *exchange);

#define LIG_SERVE_WHOLE SIZE_MAX

/* Begins an answer; the body is copied.  Of a body to be cut the whole length is promised,
 * and after `cut_after` bytes the connection is closed; else it is LIG_SERVE_WHOLE.  False
 * when there is no memory. */
bool lig_exchange_reply(lig_exchange *exchange, unsigned status, lig_text body, size_t cut_after);

/* Adds a header to the answer begun.  False when the name or the value cannot be one. */
bool lig_exchange_header(lig_exchange *exchange, const char *name, const char *value);

/* Takes back the answer begun: without one, the connection is closed and no byte sent. */
void lig_exchange_forget(lig_exchange *exchange);

/* Ends the exchange after so many seconds: sends the answer, or closes the connection. */
void lig_serve_answer(lig_server *server, lig_exchange *exchange, double delay_s);

/* Closes all connections and the socket. */
void lig_serve_close(lig_server *server);

/* ---- serve_request.c: what a request's first line and headers say --------- */

/* Decodes the path of a target ("/a%20b?c=d") into `out`, which has room for the target's
 * length and one more.  False when it is no path that may be served: a wrong escape, a NUL,
 * control or backslash character, or a segment "." or "..". */
bool lig_target_path(const char *target, char *out, size_t *length);

/* Decodes the query of a target into `text`, which has room for the target's length and one
 * more, and at most `room` fields that point into it.  Returns their number, or -1 for a
 * wrong escape or too many. */
int lig_target_query(const char *target, char *text, lig_field *fields, size_t room);

/* Why these headers are refused with status 400, or NULL: two lengths, a length beside a
 * transfer coding, two hosts or none, a NUL in a value. */
const char *lig_headers_refused(const lig_field *headers, size_t count, bool is_http_1_1);

#endif
