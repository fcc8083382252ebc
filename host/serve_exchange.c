/* serve_exchange.c: one request on its way in, and its answer on the way out.
 *
 * The library calls back in the middle of its own work, so its callbacks only note what
 * happened: a request that is there whole is suspended and put into the server's queue.
 */
#include "serve_engine.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_FIELDS 256
/* What is read and thrown away of a body that is too large, so that its sender gets to see
 * the answer: a socket closed with unread input resets the connection. */
#define DISCARD_BYTES (1 << 20)

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
void *lig_exchange_target(void *cls, const char *target, struct MHD_Connection *handle) {
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

void lig_exchange_completed(void *cls, struct MHD_Connection *handle, void **slot,
                            enum MHD_RequestTerminationCode code) {
    (void)handle;
    (void)code;
    lig_exchange *exchange = *slot;
    if (exchange != NULL) {
        lig_server *server = cls;
        lig_serve_deadline(server, exchange->link,
                           lig_serve_clock() + server->limits.request_timeout_s);
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
    lig_serve_deadline(exchange->server, exchange->link,
                       lig_serve_clock() + exchange->server->limits.answer_timeout_s);
    return MHD_queue_response(handle, exchange->refusal, exchange->response);
}

static enum MHD_Result answer_send(lig_exchange *exchange, struct MHD_Connection *handle) {
    if (exchange->response == NULL) {
        return MHD_NO; // closes the connection
    }
    lig_serve_deadline(exchange->server, exchange->link,
                       lig_serve_clock() + exchange->server->limits.answer_timeout_s);
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
enum MHD_Result lig_exchange_continue(void *cls, struct MHD_Connection *handle, const char *url,
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

void lig_exchange_resume(lig_exchange *exchange) {
    exchange->stage = STAGE_DUE;
    MHD_resume_connection(exchange->link->handle);
}
