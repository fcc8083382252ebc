/* serve_engine.c: the server and its connections, over libmicrohttpd.
 *
 * The limits on time are kept here, because the library counts inactivity alone, which a
 * client that sends a byte a second never reaches.
 */
#include "serve_engine.h"

#include <errno.h>
#include <math.h>
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
double lig_serve_clock(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- connections -------------------------------------------------------- */

void lig_serve_deadline(lig_server *server, connection *link, double deadline_s) {
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
    lig_serve_deadline(server, link, lig_serve_clock() + server->limits.request_timeout_s);
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
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, lig_exchange_continue, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, server->limits.connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_URI_LOG_CALLBACK, lig_exchange_target, server, MHD_OPTION_NOTIFY_COMPLETED,
        lig_exchange_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_END);
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
            lig_exchange_resume(exchange);
        } else {
            next = fmin(next, exchange->due_s);
            place = &exchange->next;
        }
    }
    return next;
}

bool lig_serve_wait(lig_server *server, double timeout_s) {
    double now = lig_serve_clock();
    double until = fmin(waiting_release(server, now), server->next_deadline_s);
    double wait = fmax(0, fmin(fmin(timeout_s, SLICE_S), until - now));
    MHD_UNSIGNED_LONG_LONG soon_ms = 0;
    if (MHD_get_timeout(server->daemon, &soon_ms) == MHD_YES) {
        wait = fmin(wait, (double)soon_ms / 1000);
    }
    struct pollfd ready = {.fd = server->epoll_fd, .events = POLLIN};
    (void)poll(&ready, 1, (int)ceil(wait * 1000));
    now = lig_serve_clock();
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

void lig_serve_answer(lig_server *server, lig_exchange *exchange, double delay_s) {
    if (!(delay_s > 0)) {
        lig_exchange_resume(exchange);
        return;
    }
    exchange->stage = STAGE_WAITING;
    exchange->due_s = lig_serve_clock() + delay_s;
    exchange->next = server->waiting;
    server->waiting = exchange;
}

/* The library must have no suspended connection when it stops. */
void lig_serve_close(lig_server *server) {
    lig_exchange *exchange;
    while ((exchange = lig_serve_next(server)) != NULL) {
        lig_exchange_resume(exchange);
    }
    (void)waiting_release(server, INFINITY);
    MHD_stop_daemon(server->daemon);
    free(server);
}
