/* http_pool.c: many transfers at once, over libcurl's multi interface.
 *
 * Knows nothing of Lua.  Nothing moves except inside lig_http_pool_step.
 */
#include "http.h"

bool lig_http_pool_open(lig_http_pool *pool, int connections) {
    *pool = (lig_http_pool){.connections = connections};
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->running);
    TAILQ_INIT(&pool->finished);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) { // counted; undone on closing
        return false;
    }
    pool->multi = curl_multi_init();
    if (pool->multi == NULL) {
        curl_global_cleanup();
        return false;
    }
    (void)curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return true;
}

static struct lig_http_list *list_of(lig_http_pool *pool, const lig_http_transfer *t) {
    return t->state == LIG_HTTP_WAITING  ? &pool->waiting
           : t->state == LIG_HTTP_ACTIVE ? &pool->running
                                         : &pool->finished;
}

void lig_http_pool_remove(lig_http_pool *pool, lig_http_transfer *t) {
    TAILQ_REMOVE(list_of(pool, t), t, links);
    if (t->state == LIG_HTTP_ACTIVE) {
        (void)curl_multi_remove_handle(pool->multi, t->easy);
        pool->active--;
    }
    t->state = LIG_HTTP_DRAFT;
    pool->count--;
}

static void list_free(lig_http_pool *pool, struct lig_http_list *list) {
    lig_http_transfer *t;
    while ((t = TAILQ_FIRST(list)) != NULL) {
        lig_http_pool_remove(pool, t);
        lig_http_free(t);
    }
}

void lig_http_pool_close(lig_http_pool *pool) {
    if (pool->multi == NULL) {
        return;
    }
    list_free(pool, &pool->waiting);
    list_free(pool, &pool->running);
    list_free(pool, &pool->finished);
    (void)curl_multi_cleanup(pool->multi);
    pool->multi = NULL;
    curl_global_cleanup();
}

void lig_http_pool_add(lig_http_pool *pool, lig_http_transfer *t) {
    t->state = LIG_HTTP_WAITING;
    TAILQ_INSERT_TAIL(&pool->waiting, t, links);
    pool->count++;
}

/* Moves a transfer to the list of another state. */
static void transfer_move(lig_http_pool *pool, lig_http_transfer *t, enum lig_http_state state) {
    TAILQ_REMOVE(list_of(pool, t), t, links);
    t->state = state;
    TAILQ_INSERT_TAIL(list_of(pool, t), t, links);
}

static bool waiting_start(lig_http_pool *pool) {
    lig_http_transfer *t;
    while (pool->active < pool->connections && (t = TAILQ_FIRST(&pool->waiting)) != NULL) {
        if (!lig_http_begin(t)) {
            transfer_move(pool, t, LIG_HTTP_FINISHED);
            continue;
        }
        if (curl_multi_add_handle(pool->multi, t->easy) != CURLM_OK) {
            return false;
        }
        pool->active++;
        transfer_move(pool, t, LIG_HTTP_ACTIVE);
    }
    return true;
}

static void finished_collect(lig_http_pool *pool) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; // the message is gone with the handle
        lig_http_transfer *t = NULL;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        (void)curl_multi_remove_handle(pool->multi, easy);
        pool->active--;
        lig_http_finish(t, code);
        transfer_move(pool, t, LIG_HTTP_FINISHED);
    }
}

bool lig_http_pool_step(lig_http_pool *pool, int wait_ms) {
    int running;
    if (!waiting_start(pool) || curl_multi_perform(pool->multi, &running) != CURLM_OK) {
        return false;
    }
    finished_collect(pool);
    if (TAILQ_EMPTY(&pool->finished) && pool->active > 0 && wait_ms > 0) {
        return curl_multi_poll(pool->multi, NULL, 0, wait_ms, NULL) == CURLM_OK;
    }
    return true;
}
