/* serve_engine.c: connections and exchanges over libmicrohttpd.
 *
 * The library calls back in the middle of its own work, so its callbacks only note what
 * happened: a request that is there whole is suspended and put into a queue.  The limits on
 * time are kept here, because the library counts inactivity alone, which a client that
 * sends a byte a second never reaches.
 */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A signal may come between the question whether one is pending and poll(); waking up now
 * and then bounds what that costs. */
#define SLICE_S 0.2
#define QUERY_FIELDS 256
/* What is read and thrown away of a body that is too large, so that its sender gets to see
 * the answer: a socket closed with unread input resets the connection. */
#define DISCARD_BYTES (1 << 20)

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

static double clock_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- connections -------------------------------------------------------- */

static void deadline_set(lig_server *server, connection *link, double deadline_s) {
    link->deadline_s = deadline_s;
    server->next_deadline_s = fmin(server->next_deadline_s, deadline_s);
}

static void connection_began(lig_server *server, struct MHD_Connection *handle, void **slot) {
    connection *link = calloc(1, sizeof *link);
    *slot = link;
    if (link == NULL) {
        return; // its first request is dropped
    }
    link->handle = handle;
    link->number = ++server->connections;
    link->next = server->links;
    if (link->next != NULL) {
        link->next->previous = link;
    }
    server->links = link;
    deadline_set(server, link, clock_now() + server->limits.request_timeout_s);
}

static void connection_ended(lig_server *server, connection *link) {
    if (link->next != NULL) {
        link->next->previous = link->previous;
    }
    if (link->previous != NULL) {
        link->previous->next = link->next;
    } else {
        server->links = link->next;
    }
    free(link);
}

static void on_connection(void *cls, struct MHD_Connection *handle, void **slot,
                          enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_began(cls, handle, slot);
    } else if (*slot != NULL) {
        connection_ended(cls, *slot);
        *slot = NULL;
    }
}

/* Ends the connections whose time is over.  The library has no call for that; it finds the
 * end of the stream and closes. */
static void connections_reap(lig_server *server, double now) {
    if (now < server->next_deadline_s) {
        return;
    }
    double next = INFINITY;
    for (connection *link = server->links; link != NULL; link = link->next) {
        if (link->reaped) {
            continue;
        }
        if (now < link->deadline_s) {
            next = fmin(next, link->deadline_s);
            continue;
        }
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(link->handle, MHD_CONNECTION_INFO_CONNECTION_FD);
        link->reaped = true;
        if (info != NULL) {
            (void)shutdown(info->connect_fd, SHUT_RDWR);
        }
    }
    server->next_deadline_s = next;
}

/* ---- a request comes in ------------------------------------------------- */

static void exchange_free(lig_exchange *exchange) {
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
    }
    free(exchange->target);
    free(exchange->texts);
    free(exchange->fields);
    free(exchange->names);
    free(exchange->body);
    free(exchange);
}

/* The first line is there: from here on the library keeps our exchange with the request. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *handle) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    lig_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL || info == NULL || info->socket_context == NULL ||
        (exchange->target = strdup(target)) == NULL) {
        free(exchange);
        return NULL;
    }
    exchange->server = cls;
    exchange->link = info->socket_context;
    exchange->link->turns++;
    return exchange;
}

static void on_completed(void *cls, struct MHD_Connection *handle, void **slot,
                         enum MHD_RequestTerminationCode code) {
    (void)handle;
    (void)code;
    lig_exchange *exchange = *slot;
    if (exchange != NULL) {
        lig_server *server = cls;
        deadline_set(server, exchange->link, clock_now() + server->limits.request_timeout_s);
        exchange_free(exchange);
        *slot = NULL;
    }
}

struct header_list {
    lig_field *fields;
    size_t count, bytes;
};

static enum MHD_Result on_header_count(void *cls, enum MHD_ValueKind kind, const char *name,
                                       size_t name_length, const char *value, size_t length) {
    (void)kind;
    (void)name;
    (void)value;
    struct header_list *list = cls;
    list->count++;
    list->bytes += name_length + length;
    return MHD_YES;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_length, const char *value, size_t length) {
    (void)kind;
    struct header_list *list = cls;
    list->fields[list->count++] =
        (lig_field){{name, name_length}, {value != NULL ? value : "", length}};
    return MHD_YES;
}

static void names_lower(lig_exchange *exchange) {
    char *out = exchange->names;
    for (size_t i = 0; i < exchange->request.header_count; i++) {
        lig_text *name = &exchange->fields[i].name;
        for (size_t k = 0; k < name->length; k++) {
            char c = name->data[k];
            out[k] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        name->data = out;
        out += name->length;
    }
}

static void peer_take(lig_exchange *exchange, struct MHD_Connection *handle) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    exchange->request.peer = exchange->peer;
    if (info == NULL) {
        return;
    }
    if (info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const void *)info->client_addr;
        (void)inet_ntop(AF_INET6, &address->sin6_addr, exchange->peer, sizeof exchange->peer);
        exchange->request.peer_port = ntohs(address->sin6_port);
    } else {
        const struct sockaddr_in *address = (const void *)info->client_addr;
        (void)inet_ntop(AF_INET, &address->sin_addr, exchange->peer, sizeof exchange->peer);
        exchange->request.peer_port = ntohs(address->sin_port);
    }
}

static void refuse(lig_exchange *exchange, unsigned status, const char *reason) {
    if (exchange->refusal == 0) {
        exchange->refusal = status;
        exchange->reason = reason;
    }
}

/* The headers are there: takes them and the decoded target, or notes why they are refused.
 * False when there is no memory. */
static bool head_take(lig_exchange *exchange, struct MHD_Connection *handle, const char *method,
                      const char *version) {
    lig_request *request = &exchange->request;
    const lig_serve_limits *limits = &exchange->server->limits;
    struct header_list list = {0};
    (void)MHD_get_connection_values_n(handle, MHD_HEADER_KIND, on_header_count, &list);
    size_t target_length = strlen(exchange->target);
    exchange->texts = malloc(2 * (target_length + 1));
    exchange->names = malloc(list.bytes + 1);
    exchange->fields = calloc(list.count + QUERY_FIELDS, sizeof *exchange->fields);
    if (exchange->texts == NULL || exchange->names == NULL || exchange->fields == NULL) {
        return false;
    }
    if (list.bytes + target_length > limits->header_bytes) {
        refuse(exchange, 431, "the headers are too large");
    }
    list = (struct header_list){.fields = exchange->fields};
    (void)MHD_get_connection_values_n(handle, MHD_HEADER_KIND, on_header, &list);
    request->headers = exchange->fields;
    request->header_count = list.count;
    names_lower(exchange);
    request->method = (lig_text){method, strlen(method)};
    request->target = (lig_text){exchange->target, target_length};
    request->connection = exchange->link->number;
    request->turn = exchange->link->turns;
    peer_take(exchange, handle);
    const char *reason = lig_headers_refused(exchange->fields, list.count,
                                             strcmp(version, MHD_HTTP_VERSION_1_1) == 0);
    if (reason != NULL) {
        refuse(exchange, 400, reason);
    }
    request->path.data = exchange->texts;
    if (!lig_target_path(exchange->target, exchange->texts, &request->path.length)) {
        refuse(exchange, 400, "a path that cannot be served");
    }
    request->query = exchange->fields + list.count;
    int count = lig_target_query(exchange->target, exchange->texts + target_length + 1,
                                 exchange->fields + list.count, QUERY_FIELDS);
    if (count < 0) {
        refuse(exchange, 400, "a query that cannot be read");
    }
    request->query_count = count > 0 ? (size_t)count : 0;
    return true;
}

/* False when the connection has to end: no memory, or far more than was allowed. */
static bool body_take(lig_exchange *exchange, const char *data, size_t length) {
    size_t limit = exchange->server->limits.body_bytes;
    size_t total = exchange->body_length + length;
    if (total > limit) {
        refuse(exchange, 413, "the body is too large");
    }
    if (exchange->refusal != 0) {
        exchange->body_length = total;
        return total <= limit + DISCARD_BYTES;
    }
    if (total > exchange->body_room) {
        size_t room = exchange->body_room * 2 > total ? exchange->body_room * 2 : total;
        char *body = realloc(exchange->body, room);
        if (body == NULL) {
            return false;
        }
        exchange->body = body;
        exchange->body_room = room;
    }
    memcpy(exchange->body + exchange->body_length, data, length);
    exchange->body_length = total;
    return true;
}

static enum MHD_Result refusal_send(lig_exchange *exchange, struct MHD_Connection *handle) {
    char text[128];
    int length = snprintf(text, sizeof text, "%s\n", exchange->reason);
    if (!lig_exchange_reply(exchange, exchange->refusal, (lig_text){text, (size_t)length},
                            LIG_SERVE_WHOLE)) {
        return MHD_NO;
    }
    (void)lig_exchange_header(exchange, "Content-Type", "text/plain; charset=utf-8");
    (void)lig_exchange_header(exchange, "Connection", "close");
    deadline_set(exchange->server, exchange->link,
                 clock_now() + exchange->server->limits.answer_timeout_s);
    return MHD_queue_response(handle, exchange->refusal, exchange->response);
}

static enum MHD_Result answer_send(lig_exchange *exchange, struct MHD_Connection *handle) {
    if (exchange->response == NULL) {
        return MHD_NO; // closes the connection
    }
    deadline_set(exchange->server, exchange->link,
                 clock_now() + exchange->server->limits.answer_timeout_s);
    return MHD_queue_response(handle, exchange->status, exchange->response);
}

/* The request is there whole: it waits in the queue, and the library leaves it alone. */
static void request_enqueue(lig_exchange *exchange, struct MHD_Connection *handle) {
    lig_server *server = exchange->server;
    exchange->request.body =
        (lig_text){exchange->body != NULL ? exchange->body : "", exchange->body_length};
    exchange->stage = STAGE_READY;
    exchange->link->deadline_s = INFINITY;
    *server->ready_end = exchange;
    server->ready_end = &exchange->next;
    MHD_suspend_connection(handle);
}

/* Called for the headers, for each piece of the body, at its end, and after a suspension. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *handle, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **slot) {
    (void)cls;
    (void)url;
    lig_exchange *exchange = *slot;
    if (exchange == NULL) {
        return MHD_NO;
    }
    if (exchange->stage == STAGE_DUE) {
        return answer_send(exchange, handle);
    }
    if (exchange->request.method.data == NULL) {
        if (!head_take(exchange, handle, method, version)) {
            return MHD_NO;
        }
        // What two readers may understand differently is not read on.
        return exchange->refusal == 400 ? refusal_send(exchange, handle) : MHD_YES;
    }
    if (*size > 0) {
        bool taken = body_take(exchange, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (exchange->refusal != 0) {
        return refusal_send(exchange, handle);
    }
    request_enqueue(exchange, handle);
    return MHD_YES;
}

/* ---- a request is answered ---------------------------------------------- */

struct cut_body {
    size_t length; /* of what is sent */
    char data[];
};

static ssize_t on_cut_read(void *cls, uint64_t position, char *out, size_t room) {
    const struct cut_body *cut = cls;
    if (position >= cut->length) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = cut->length - (size_t)position;
    size_t n = left < room ? left : room;
    memcpy(out, cut->data + position, n);
    return (ssize_t)n;
}

static struct MHD_Response *cut_response(lig_text body, size_t cut_after) {
    struct cut_body *cut = malloc(sizeof *cut + cut_after);
    if (cut == NULL) {
        return NULL;
    }
    cut->length = cut_after;
    memcpy(cut->data, body.data, cut_after);
    struct MHD_Response *response =
        MHD_create_response_from_callback(body.length, 16384, on_cut_read, cut, free);
    if (response == NULL) {
        free(cut);
    }
    return response;
}

const lig_request *lig_exchange_request(const lig_exchange *exchange) {
    return &exchange->request;
}

bool lig_exchange_reply(lig_exchange *exchange, unsigned status, lig_text body, size_t cut_after) {
    lig_exchange_forget(exchange);
    exchange->status = status;
    if (cut_after < body.length) {
        exchange->response = cut_response(body, cut_after);
    } else {
        union { // the library copies, and only forgot to say const
            const char *given;
            void *taken;
        } data = {body.data};
        exchange->response =
            MHD_create_response_from_buffer(body.length, data.taken, MHD_RESPMEM_MUST_COPY);
    }
    return exchange->response != NULL;
}

bool lig_exchange_header(lig_exchange *exchange, const char *name, const char *value) {
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            return false;
        }
    }
    size_t length = strlen(name);
    return length > 0 && strcspn(name, " \t\r\n:") == length &&
           MHD_add_response_header(exchange->response, name, value) == MHD_YES;
}

void lig_exchange_forget(lig_exchange *exchange) {
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
        exchange->response = NULL;
    }
}

static void exchange_resume(lig_exchange *exchange) {
    exchange->stage = STAGE_DUE;
    MHD_resume_connection(exchange->link->handle);
}

void lig_serve_answer(lig_server *server, lig_exchange *exchange, double delay_s) {
    if (!(delay_s > 0)) {
        exchange_resume(exchange);
        return;
    }
    exchange->stage = STAGE_WAITING;
    exchange->due_s = clock_now() + delay_s;
    exchange->next = server->waiting;
    server->waiting = exchange;
}

/* ---- the server --------------------------------------------------------- */

static int socket_open(const char *host, unsigned port) {
    char service[16];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int yes = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool listens = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                   bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0;
    int saved = errno;
    freeaddrinfo(found);
    if (!listens && fd >= 0) {
        (void)close(fd);
    }
    errno = saved;
    return listens ? fd : -1;
}

static unsigned socket_port(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static bool daemon_start(lig_server *server, int fd) {
    // The library keeps the headers, an index of them and its own answer's in one pool.
    size_t pool = 3 * server->limits.header_bytes + 32768;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, server->limits.connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        return false;
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->epoll_fd = info->epoll_fd;
    return true;
}

lig_server *lig_serve_open(const char *host, unsigned port, const lig_serve_limits *limits) {
    lig_server *server = calloc(1, sizeof *server);
    int fd = server != NULL ? socket_open(host, port) : -1;
    if (fd < 0) {
        int saved = errno;
        free(server);
        errno = saved;
        return NULL;
    }
    server->limits = *limits;
    server->ready_end = &server->ready;
    server->next_deadline_s = INFINITY;
    server->port = socket_port(fd);
    errno = ENOMEM;
    if (!daemon_start(server, fd)) {
        int saved = errno;
        (void)close(fd);
        free(server);
        errno = saved;
        return NULL;
    }
    return server;
}

unsigned lig_serve_port(const lig_server *server) {
    return server->port;
}

/* Lets go the answers that were due by now; returns when the next one is. */
static double waiting_release(lig_server *server, double now) {
    double next = INFINITY;
    lig_exchange **place = &server->waiting;
    while (*place != NULL) {
        lig_exchange *exchange = *place;
        if (exchange->due_s <= now) {
            *place = exchange->next;
            exchange_resume(exchange);
        } else {
            next = fmin(next, exchange->due_s);
            place = &exchange->next;
        }
    }
    return next;
}

bool lig_serve_wait(lig_server *server, double timeout_s) {
    double now = clock_now();
    double until = fmin(waiting_release(server, now), server->next_deadline_s);
    double wait = fmax(0, fmin(fmin(timeout_s, SLICE_S), until - now));
    MHD_UNSIGNED_LONG_LONG soon_ms = 0;
    if (MHD_get_timeout(server->daemon, &soon_ms) == MHD_YES) {
        wait = fmin(wait, (double)soon_ms / 1000);
    }
    struct pollfd ready = {.fd = server->epoll_fd, .events = POLLIN};
    (void)poll(&ready, 1, (int)ceil(wait * 1000));
    now = clock_now();
    (void)waiting_release(server, now);
    connections_reap(server, now);
    (void)MHD_run(server->daemon);
    return server->ready != NULL;
}

lig_exchange *lig_serve_next(lig_server *server) {
    lig_exchange *exchange = server->ready;
    if (exchange != NULL) {
        server->ready = exchange->next;
        if (server->ready == NULL) {
            server->ready_end = &server->ready;
        }
        exchange->next = NULL;
        exchange->stage = STAGE_TAKEN;
    }
    return exchange;
}

/* The library must have no suspended connection when it stops. */
void lig_serve_close(lig_server *server) {
    lig_exchange *exchange;
    while ((exchange = lig_serve_next(server)) != NULL) {
        exchange_resume(exchange);
    }
    (void)waiting_release(server, INFINITY);
    MHD_stop_daemon(server->daemon);
    free(server);
}
