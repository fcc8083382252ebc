/* http_error.c: why a request was not answered, as the error table that scripts see.
 *
 * The field `outcome` decides whether something may be asked for once more: "not_sent"
 * only when no byte of the request left this machine, "unknown" in every other case.
 */
#include "http.h"

#include <string.h>

struct reason {
    const char *code, *message, *hint;
};

static const struct reason reason_resolve = {"resolve", "the host's name has no address",
                                             "Check the name, and this machine's network"};
static const struct reason reason_connect = {
    "connect", "cannot connect", "Does the service run there, and may this machine reach it?"};
static const struct reason reason_tls = {
    "tls", "no trusted connection",
    "Check this machine's clock and CA certificates; ca_file names a CA of your own"};
static const struct reason reason_reset = {
    "reset", "the connection ended before the whole answer had come", NULL};
static const struct reason reason_truncated = {"truncated", "the answer is shorter than announced",
                                               NULL};
static const struct reason reason_protocol = {"protocol", "the answer is not proper HTTP",
                                              "Is this the address of the service?"};
static const struct reason reason_headers = {"size", "the answer's headers are too large", NULL};
static const struct reason reason_elsewhere = {
    "refused_scheme", "http:// is refused: the name leads to another machine",
    "Use https://, or say plain = true where the network between is trusted"};
static const struct reason reason_other = {"other", "the request failed", NULL};

static const struct reason *reason_of_code(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return &reason_resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_PROXY:
        return &reason_connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return &reason_tls;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return &reason_reset;
    case CURLE_PARTIAL_FILE:
        return &reason_truncated;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return &reason_protocol;
    default:
        return &reason_other;
    }
}

static void reason_push(lua_State *L, const lig_http_transfer *t, const char *what) {
    const struct reason *reason = NULL;
    switch (t->stop) {
    case LIG_HTTP_TOO_LARGE:
        lig_error_push(L, LIG_KIND_NETWORK, "size", "%s: the answer is larger than %llu bytes",
                       what, (unsigned long long)t->size_limit);
        lig_error_string(L, "hint", "Set size_limit_bytes if that much is expected");
        return;
    case LIG_HTTP_CANNOT_WRITE:
        lig_error_push(L, LIG_KIND_NETWORK, "write", "%s: cannot write %s: %s", what, t->path,
                       strerror(t->error));
        lig_error_string(L, "path", t->path);
        lig_error_integer(L, "errno", t->error);
        return;
    case LIG_HTTP_LONG_HEADERS:
        reason = &reason_headers;
        break;
    case LIG_HTTP_SENT_ONCE:
        reason = &reason_reset;
        break;
    case LIG_HTTP_ELSEWHERE:
        reason = t->sent ? NULL : &reason_elsewhere;
        break;
    default:
        break;
    }
    if (reason == NULL && t->code == CURLE_OPERATION_TIMEDOUT) {
        lig_error_push(
            L, LIG_KIND_NETWORK, "timeout",
            t->sent ? "%s: no complete answer within %g s" : "%s: no connection within %g s", what,
            t->sent || t->timeout_s < t->connect_timeout_s ? t->timeout_s : t->connect_timeout_s);
        return;
    }
    reason = reason != NULL ? reason : reason_of_code(t->code);
    lig_error_push(L, LIG_KIND_NETWORK, reason->code, "%s: %s", what, reason->message);
    lig_error_string(L, "hint", reason->hint);
    bool told = t->stop == LIG_HTTP_GOES_ON && t->reason[0] != '\0';
    lig_error_string(L, "detail", told ? t->reason : NULL);
}

void lig_http_error_push(lua_State *L, const lig_http_transfer *t, const char *what,
                         const char *url) {
    reason_push(L, t, what);
    lig_error_string(L, "url", url);
    lig_error_string(L, "outcome", t->sent ? "unknown" : "not_sent");
    if (t->status > 0) {
        lig_error_integer(L, "status", t->status);
    }
}
