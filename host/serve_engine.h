/* serve_engine.h: what the two halves of the engine share: serve_engine.c has the server and
 * its connections, serve_exchange.c a request on its way in and its answer on the way out.
 */
#ifndef LIG_SERVE_ENGINE_H
#define LIG_SERVE_ENGINE_H

#include "serve.h"

#include <microhttpd.h>
#include <netinet/in.h>

/* A client's connection; the library keeps it as the context of the socket. */
typedef struct connection {
    struct connection *next, *previous;
    struct MHD_Connection *handle;
    double deadline_s; /* infinity while it is our turn */
    uint64_t number;
    unsigned turns;
    bool reaped;
} connection;

enum stage { STAGE_READING, STAGE_REFUSED, STAGE_READY, STAGE_TAKEN, STAGE_WAITING, STAGE_DUE };

struct lig_exchange {
    lig_exchange *next; /* in the queue of the stage READY or WAITING */
    lig_server *server;
    connection *link;
    enum stage stage;
    char *target;
    lig_request request;
    char *texts;       /* what path and query point into */
    lig_field *fields; /* headers, then query */
    char *names;       /* header names in lower case */
    char *body;
    size_t body_length, body_room;
    unsigned refusal; /* the status to answer with, once the body is through */
    const char *reason;
    struct MHD_Response *response;
    unsigned status;
    double due_s;
    char peer[INET6_ADDRSTRLEN];
};

struct lig_server {
    struct MHD_Daemon *daemon;
    int epoll_fd;
    unsigned port;
    lig_serve_limits limits;
    uint64_t connections;
    connection *links;
    double next_deadline_s; /* no connection has to be looked at before */
    lig_exchange *ready, **ready_end;
    lig_exchange *waiting; /* answered, and due later */
};

/* Seconds on a clock that nobody sets. */
double lig_serve_clock(void);

/* Until when the client of a connection has to be done with what is its turn. */
void lig_serve_deadline(lig_server *server, connection *link, double deadline_s);

/* libmicrohttpd's callbacks: the first line of a request is there; there is more of it, or it
 * goes on after a suspension; it is over. */
void *lig_exchange_target(void *cls, const char *target, struct MHD_Connection *handle);
enum MHD_Result lig_exchange_continue(void *cls, struct MHD_Connection *handle, const char *url,
                                      const char *method, const char *version, const char *data,
                                      size_t *size, void **slot);
void lig_exchange_completed(void *cls, struct MHD_Connection *handle, void **slot,
                            enum MHD_RequestTerminationCode code);

/* Lets the library go on with an exchange whose answer is due. */
void lig_exchange_resume(lig_exchange *exchange);

#endif
