/* pg_wait.c: waiting for Postgres.
 *
 * Everything here works on a PGconn and knows nothing of Lua, so that no raise
 * can leave a protocol exchange half-way.  libpq's own blocking calls do not
 * return on a signal; these do, by asking the server to cancel and reading on.
 */
#include "pg.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

/* A signal may arrive between the question whether one is pending and poll();
 * waking up now and then bounds what that costs. */
#define SLICE_S 0.2

/* How long a cancelled statement may take to end before the connection is given
 * up, and when the server is asked again for the first time. */
#define PATIENCE_S 5.0
#define CANCEL_AGAIN_S 0.1

double lig_pg_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* TLS decrypts whole records, of which libpq may have taken only a part: the rest
 * waits inside the TLS library where poll() cannot see it.  libpq brings OpenSSL
 * along when it was built with it, so the question is asked by name; a libpq
 * without TLS works as well. */
static bool tls_has_pending(PGconn *pg) {
    if (!PQsslInUse(pg)) {
        return false;
    }
    void *ssl = PQsslStruct(pg, "OpenSSL");
    int (*pending)(const void *ssl) = NULL;
    *(void **)&pending = dlsym(RTLD_DEFAULT, "SSL_pending");
    return ssl != NULL && pending != NULL && pending(ssl) > 0;
}

enum lig_pg_event lig_pg_poll(PGconn *pg, short events, double until_s) {
    if ((events & POLLIN) != 0 && tls_has_pending(pg)) {
        return LIG_PG_READABLE;
    }
    for (;;) {
        double slice = SLICE_S;
        if (until_s > 0) {
            slice = fmax(0, fmin(slice, until_s - lig_pg_clock()));
        }
        struct pollfd waiting = {.fd = PQsocket(pg), .events = events};
        int n = poll(&waiting, 1, (int)ceil(slice * 1000));
        if (n > 0 || (n < 0 && errno != EINTR)) {
            // Errors and hang-ups are found by reading.
            bool writable = (waiting.revents & POLLOUT) != 0 && (waiting.revents & ~POLLOUT) == 0;
            return writable ? LIG_PG_WRITABLE : LIG_PG_READABLE;
        }
        if (lig_interrupted()) {
            return LIG_PG_INTERRUPTED;
        }
        if (until_s > 0 && lig_pg_clock() >= until_s) {
            return LIG_PG_TIMEOUT;
        }
    }
}

bool lig_pg_cancel(PGconn *pg) {
    PGcancel *cancel = PQgetCancel(pg);
    if (cancel == NULL) {
        return false;
    }
    char reason[256];
    bool sent = PQcancel(cancel, reason, sizeof reason) == 1;
    PQfreeCancel(cancel);
    return sent;
}

void lig_pg_stop(PGconn *pg, struct lig_pg_patience *patience) {
    double now_s = lig_pg_clock();
    patience->deadline_s = now_s + PATIENCE_S;
    patience->pause_s = CANCEL_AGAIN_S;
    patience->cancel_s = now_s + patience->pause_s;
    (void)lig_pg_cancel(pg);
}

/* When somebody has to look at the clock next; 0 never. */
static double patience_until(const struct lig_pg_patience *patience) {
    if (patience->cancel_s > 0 && patience->deadline_s > 0) {
        return fmin(patience->cancel_s, patience->deadline_s);
    }
    return patience->cancel_s > 0 ? patience->cancel_s : patience->deadline_s;
}

/* Does what a signal asked for, and what it is time for. */
static void patience_heed(PGconn *pg, struct lig_pg_patience *patience) {
    double now_s = lig_pg_clock();
    if (lig_interrupted() && !patience->deaf && !patience->interrupted) {
        patience->interrupted = true;
        lig_pg_stop(pg, patience);
    } else if (patience->deadline_s > 0 && now_s >= patience->deadline_s) {
        // The next read then finds the end of the stream, and libpq itself takes the
        // connection for lost.
        (void)shutdown(PQsocket(pg), SHUT_RDWR);
        patience->deadline_s = 0;
        patience->cancel_s = 0;
    } else if (patience->cancel_s > 0 && now_s >= patience->cancel_s) {
        (void)lig_pg_cancel(pg);
        patience->pause_s *= 2;
        patience->cancel_s = now_s + patience->pause_s;
    }
}

bool lig_pg_pump(PGconn *pg, enum lig_pg_want want, struct lig_pg_patience *patience) {
    for (;;) {
        int unsent = PQflush(pg);
        if (want == LIG_PG_FLUSHED && unsent <= 0) {
            return unsent == 0;
        }
        if (want == LIG_PG_RESULT && !PQisBusy(pg)) {
            return true;
        }
        if (PQsocket(pg) < 0) {
            return false;
        }
        short events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN);
        if (lig_pg_poll(pg, events, patience_until(patience)) == LIG_PG_READABLE) {
            if (!PQconsumeInput(pg)) {
                return false;
            }
            if (want == LIG_PG_INPUT) {
                return true;
            }
        }
        patience_heed(pg, patience); // also while the server sends without end
    }
}

void lig_pg_give_up(PGconn *pg) {
    (void)shutdown(PQsocket(pg), SHUT_RDWR);
    (void)PQconsumeInput(pg);
}

/* Refuses further COPY data; the server answers with an error. */
static void copy_in_refuse(PGconn *pg, struct lig_pg_patience *patience) {
    int done;
    while ((done = PQputCopyEnd(pg, LIG_COPY_REFUSED)) == 0) {
        if (!lig_pg_pump(pg, LIG_PG_FLUSHED, patience)) {
            return;
        }
    }
    if (done < 0) {
        lig_pg_give_up(pg);
    }
}

static void copy_out_discard(PGconn *pg, struct lig_pg_patience *patience) {
    for (;;) {
        char *row = NULL;
        int n = PQgetCopyData(pg, &row, 1);
        if (n > 0) {
            PQfreemem(row);
        } else if (n < 0 || !lig_pg_pump(pg, LIG_PG_INPUT, patience)) {
            return;
        }
    }
}

static bool status_is_failure(ExecStatusType status) {
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
           status == PGRES_PIPELINE_ABORTED || status == PGRES_COPY_OUT;
}

PGresult *lig_pg_collect(PGconn *pg, struct lig_pg_patience *patience) {
    PGresult *kept = NULL;
    for (;;) {
        (void)lig_pg_pump(pg, LIG_PG_RESULT, patience);
        PGresult *next = PQgetResult(pg);
        if (next == NULL) {
            return kept;
        }
        ExecStatusType status = PQresultStatus(next);
        if (status == PGRES_COPY_IN) {
            copy_in_refuse(pg, patience);
        } else if (status == PGRES_COPY_OUT) {
            copy_out_discard(pg, patience);
        } else if (status == PGRES_COPY_BOTH) {
            lig_pg_give_up(pg); // replication: never asked for here
        }
        if (kept != NULL && status_is_failure(PQresultStatus(kept))) {
            PQclear(next);
        } else {
            PQclear(kept);
            kept = next;
        }
    }
}

PGresult *lig_pg_command(PGconn *pg, const char *sql, struct lig_pg_patience *patience) {
    return PQsendQuery(pg, sql) == 1 ? lig_pg_collect(pg, patience) : NULL;
}

void lig_pg_abandon(PGconn *pg) {
    if (PQstatus(pg) != CONNECTION_OK || PQtransactionStatus(pg) != PQTRANS_ACTIVE) {
        return;
    }
    struct lig_pg_patience patience = {.deaf = true};
    lig_pg_stop(pg, &patience);
    PQclear(lig_pg_collect(pg, &patience));
}
