/* pg.h: what the files of the Postgres primitive share.
 *
 * pg_wait.c     waits on the socket: flush, results, cancel (knows nothing of Lua)
 * pg_error.c    failures as error tables, secrets masked
 * pg_connect.c  connection strings, connecting, session set-up
 * pg_params.c   Lua values to parameters; pg.array, pg.bytes
 * pg_result.c   results to Lua values
 * pg_query.c    query, table, script, prepared statements, echo
 * pg_pipeline.c many statements in one round trip
 * pg_transaction.c  begin, commit, rollback, transaction and savepoints
 * pg_copy_out.c COPY ... TO STDOUT as an iterator
 * pg_notify.c   LISTEN and NOTIFY
 * pg.c          the connection's box, its small methods, the module
 *
 * Every connection is in libpq's nonblocking mode: after anything that sends,
 * call lig_pg_pump (or a function built on it) rather than a blocking libpq call.
 * A PGresult always lives in a box (lig_result_new) before any Lua call that may
 * raise.  Between sending a statement and having read its last result there is
 * no Lua call at all, so no raise can leave a connection half-way.
 */
#ifndef LIG_PG_H
#define LIG_PG_H

#include "lig.h"

#include <libpq-fe.h>

#define LIG_CONN_CLASS "ligase.conn"
#define LIG_STATEMENT_CLASS "ligase.statement"

/* The reason given to the server for refusing COPY data, by which its answer is
 * known again. */
#define LIG_COPY_REFUSED "the COPY was ended by the client"

#define LIG_STATE_ABORTED "25P02"     /* in_failed_sql_transaction */
#define LIG_STATE_LOST "08006"        /* connection_failure */
#define LIG_STATE_UNREACHABLE "08001" /* sqlclient_unable_to_establish_sqlconnection */
#define LIG_STATE_UNKNOWN "08007"     /* transaction_resolution_unknown */

/* ---- waiting (pg_wait.c; no Lua in here) -------------------------------- */

/* What to wait for. */
enum lig_pg_want {
    LIG_PG_RESULT,  /* PQgetResult will not block */
    LIG_PG_FLUSHED, /* everything queued has been handed to the kernel */
    LIG_PG_INPUT,   /* some bytes arrived */
};

/* How long one waits, and what a signal does meanwhile.  Zeroed: as long as it
 * takes, and a signal stops the statement; `interrupted` then says so, and the
 * wait goes on for the server's answer, at most some seconds. */
struct lig_pg_patience {
    bool deaf;         /* signals do not cancel (a ROLLBACK must get through) */
    bool interrupted;  /* out: a signal came and the statement was stopped */
    double deadline_s; /* lig_pg_clock() at which the connection is given up; 0 never */
    double cancel_s;   /* lig_pg_clock() at which the server is asked to cancel again; 0 never */
    double pause_s;    /* until the time after that */
};

/* What lig_pg_poll saw. */
enum lig_pg_event { LIG_PG_READABLE, LIG_PG_WRITABLE, LIG_PG_INTERRUPTED, LIG_PG_TIMEOUT };

/* Monotonic seconds. */
double lig_pg_clock(void);

/* Waits once for `events` (POLLIN, POLLOUT) on the connection's socket until the
 * clock shows `until_s` (0: without end).  LIG_PG_INTERRUPTED when a signal that
 * asks us to stop is pending. */
enum lig_pg_event lig_pg_poll(PGconn *pg, short events, double until_s);

/* Reads and writes until `want` holds; false when the connection is lost (the
 * next PQgetResult then says how).  Reading while writing is what keeps a server
 * that answers from blocking a client that still sends. */
bool lig_pg_pump(PGconn *pg, enum lig_pg_want want, struct lig_pg_patience *patience);

/* Reads all results of the statement sent; returns the first failed one, else
 * the last (NULL when out of memory).  COPY data is refused (in) or discarded
 * (out; the result kept then has the status PGRES_COPY_OUT). */
PGresult *lig_pg_collect(PGconn *pg, struct lig_pg_patience *patience);

/* Sends one command by the simple protocol and collects its result; NULL when it
 * could not be sent. */
PGresult *lig_pg_command(PGconn *pg, const char *sql, struct lig_pg_patience *patience);

/* Asks the server once to cancel what it is doing; the reply still has to be read. */
bool lig_pg_cancel(PGconn *pg);

/* Asks the server to cancel, and has lig_pg_pump() ask again until it answers: a
 * request that comes before the statement has begun there is lost.  A server that
 * does not answer for some seconds loses the connection. */
void lig_pg_stop(PGconn *pg, struct lig_pg_patience *patience);

/* Cancels and drains whatever is under way, COPY included, so that the connection
 * is idle again; a server that does not answer for some seconds loses it.  Does
 * nothing on an idle or lost connection.  Never raises: fit for __gc. */
void lig_pg_abandon(PGconn *pg);

/* Takes the connection for lost, because it cannot be brought back into step. */
void lig_pg_give_up(PGconn *pg);

/* ---- failures (pg_error.c) ---------------------------------------------- */

/* Pushes the error table of a failed result (or, with a NULL result or one that
 * libpq made itself, of the connection).  `sql` may be NULL. */
void lig_pg_error_push(lua_State *L, PGconn *pg, const PGresult *result, const char *sql);

/* The same, raised.  The result must live in a box; the connection must be idle. */
_Noreturn void lig_pg_raise_result(lua_State *L, PGconn *pg, const PGresult *result,
                                   const char *sql);
_Noreturn void lig_pg_raise_conn(lua_State *L, PGconn *pg, const char *sql);

/* Pushes `sql` with the secrets in it masked, at most `limit` bytes of it. */
void lig_sql_push_masked(lua_State *L, const char *sql, size_t limit);

/* Pushes "database "x" at host:port". */
void lig_pg_target_push(lua_State *L, const PGconn *pg);

/* Pushes libpq's message on one line, without the password should it be there. */
void lig_pg_message_push(lua_State *L, PGconn *pg, const char *message);

/* ---- the connection (pg.c) ---------------------------------------------- */

/* User values: 1 the statements by SQL text, 2 the echo function or nil. */
typedef struct lig_conn {
    PGconn *pg;             /* NULL once closed */
    PGresult *outcome;      /* of the last COPY or COMMIT */
    PGnotify *notification; /* the one being handed to Lua */
    char *notices;          /* NUL-terminated notices, one after the other */
    size_t notices_size;    /* bytes used */
    unsigned statements;    /* names given to prepared statements */
    unsigned copies;        /* COPYs started; the number is the ticket of the last */
    bool copy_outside;      /* the last COPY began outside a transaction */
    int depth;              /* transaction(fn) calls under way */
    double connect_by_s;    /* on lig_pg_clock: until then it may go on connecting; 0: it is done */
    double connect_timeout_s;
    bool echo;         /* to stderr, or to the function in user value 2 */
    bool echoing;      /* inside the echo function */
    bool pipelining;   /* what runs during its pipeline is running: it must not close it */
    char failure[256]; /* why the transaction failed, for whoever commits it */
} lig_conn;

/* The box, open or closed; raises when the value is no connection. */
lig_conn *lig_conn_get(lua_State *L, int index);

/* Waits until a connection that was begun with `later` stands, and sets its session up. */
void lig_conn_complete(lua_State *L, lig_conn *conn);

/* The open connection; raises when closed or lost. */
PGconn *lig_conn_check(lua_State *L, int index);

/* The open connection with nothing under way; raises when a COPY is open on it. */
PGconn *lig_conn_idle(lua_State *L, int index);

/* Begins "COPY ..." and returns its ticket; raises unless the server answers with
 * `expected` (PGRES_COPY_IN or PGRES_COPY_OUT). */
unsigned lig_conn_copy_start(lua_State *L, int index, const char *sql, ExecStatusType expected);

/* The connection as long as the COPY with this ticket is the one under way on it,
 * else NULL (closed, lost, rolled back).  Never raises: fit for __gc. */
PGconn *lig_conn_copy_peek(lua_State *L, int index, unsigned ticket);

/* Waits until everything queued is sent, reading meanwhile; for COPY in.  When a
 * signal asks to stop, ends the COPY, drains and raises "interrupted"; raises when
 * the connection is lost. */
void lig_conn_flush(lua_State *L, int index);

/* Collects the outcome after PQputCopyEnd or the last PQgetCopyData; returns the
 * number of rows; raises what the server said. */
lua_Integer lig_conn_copy_finish(lua_State *L, int index, const char *sql);

/* ---- results (pg_result.c) ---------------------------------------------- */

typedef struct lig_result {
    int count;
    PGresult *items[];
} lig_result;

/* Pushes a box for `count` results, all NULL; __gc clears them. */
lig_result *lig_result_new(lua_State *L, int count);
void lig_result_clear(lig_result *box);

/* How a column's text becomes a Lua value. */
enum lig_shape {
    LIG_SHAPE_TEXT,
    LIG_SHAPE_INTEGER,
    LIG_SHAPE_FLOAT,
    LIG_SHAPE_BOOLEAN,
    LIG_SHAPE_JSON,
    LIG_SHAPE_BYTES,
};

typedef struct lig_pg_type {
    Oid oid;
    Oid array;         /* the type "array of this" */
    const char *name;  /* Postgres' own (int8) */
    const char *alias; /* the standard's (bigint), or NULL */
    enum lig_shape shape;
} lig_pg_type;

/* The type of that name or alias, or NULL. */
const lig_pg_type *lig_pg_type_named(const char *name);

/* Pushes the Lua form of a successful result; `typed`: rows by column name with
 * typed values, else positional rows of Postgres' own text; NULL is the null light
 * userdata in both. */
void lig_result_push(lua_State *L, const PGresult *result, bool typed);

int lig_pg_use_json(lua_State *L);
void lig_pg_result_open(lua_State *L);

/* ---- parameters (pg_params.c) ------------------------------------------- */

#define LIG_PARAMS_INLINE 16
#define LIG_PARAMS_MAX 65535 /* the protocol's limit */
#define LIG_NUMBER_SIZE 32   /* room for any number's text */

/* Parameters as libpq wants them.  Values point into the Lua strings and boxes
 * they came from, which must stay anchored until the statement is sent. */
typedef struct lig_params {
    const char **values;
    int *lengths;
    int *formats;
    Oid *types;
    char (*numbers)[LIG_NUMBER_SIZE];
    const char *inline_values[LIG_PARAMS_INLINE];
    int inline_lengths[LIG_PARAMS_INLINE];
    int inline_formats[LIG_PARAMS_INLINE];
    Oid inline_types[LIG_PARAMS_INLINE];
    char inline_numbers[LIG_PARAMS_INLINE][LIG_NUMBER_SIZE];
} lig_params;

/* Makes room for `count` parameters; pushes one value that owns the room. */
void lig_params_new(lua_State *L, lig_params *params, int count);

/* Sets slot (from 0) to the Lua value at `index`, which the caller named $number;
 * raises when it has no form as a parameter.  Returns its size in bytes. */
size_t lig_params_set(lua_State *L, lig_params *params, int slot, int index, int number);

int lig_pg_array(lua_State *L);
int lig_pg_int8_array(lua_State *L);
int lig_pg_bytes(lua_State *L);
void lig_pg_params_open(lua_State *L);

/* ---- statements (pg_query.c) -------------------------------------------- */

/* User values: 1 the connection, 2 the SQL text. */
typedef struct lig_statement {
    const char *sql; /* anchored in user value 2 */
    lig_conn *conn;  /* anchored in user value 1 */
    bool prepared;   /* the server knows `name` */
    char name[20];
} lig_statement;

/* What is to be run: the SQL text, and the prepared statement if it is one. */
typedef struct lig_target {
    const char *sql;
    lig_statement *statement;
} lig_target;

/* Reads SQL text or a statement of this connection from the stack; raises. */
lig_target lig_target_check(lua_State *L, int index, const lig_conn *conn);

/* Makes the statement known to the server (again); raises what the server said. */
void lig_statement_prepare(lua_State *L, int conn_index, lig_statement *statement);

/* True when the result says that the prepared statement is gone or its plan no
 * longer fits, so that preparing it again helps. */
bool lig_statement_is_stale(const PGresult *result);

/* Raises the failure of a statement on a connection.  `autocommit`: it was sent
 * outside a transaction, so that its outcome is unknown when the connection was
 * lost.  `place`: its position in a pipeline, or 0. */
_Noreturn void lig_conn_raise(lua_State *L, int conn_index, const PGresult *result, const char *sql,
                              bool autocommit, int place);

/* True outside a transaction, where each statement commits by itself; to be asked
 * before a statement is sent. */
bool lig_conn_is_outside(lig_conn *conn);

/* True for a result that is not a failure. */
bool lig_result_is_success(const PGresult *result);

/* Runs one command by the simple protocol; raises unless it succeeds. */
void lig_conn_command(lua_State *L, int conn_index, const char *sql);

/* Raises when the connection is known to be dead: before a COMMIT is sent, that means
 * that nothing was committed. */
void lig_conn_check_alive(lua_State *L, PGconn *pg, const char *sql);

/* Raises when the server answered ROLLBACK to something that did not ask for it. */
void lig_conn_check_committed(lua_State *L, int conn_index, const PGresult *result,
                              const char *sql);

/* The time a statement starts (0 when not echoing), and its report. */
double lig_conn_echo_start(const lig_conn *conn);
void lig_conn_echo(lua_State *L, int conn_index, const char *sql, double started_s);

/* True when the statement's first word is `word` (upper case). */
bool lig_sql_begins(const char *sql, const char *word);

/* ---- methods and openers ------------------------------------------------ */

int lig_pg_connect(lua_State *L);

int lig_conn_query(lua_State *L);
int lig_conn_table(lua_State *L);
int lig_conn_script(lua_State *L);
int lig_conn_prepare(lua_State *L);
int lig_conn_set_echo(lua_State *L);
int lig_conn_pipeline(lua_State *L);
int lig_conn_transaction(lua_State *L);
int lig_conn_begin(lua_State *L);
int lig_conn_commit(lua_State *L);
int lig_conn_rollback(lua_State *L);
int lig_conn_copy_in(lua_State *L);
int lig_conn_copy_out(lua_State *L);
int lig_conn_listen(lua_State *L);
int lig_conn_unlisten(lua_State *L);
int lig_conn_notify(lua_State *L);
int lig_conn_wait_notification(lua_State *L);

/* Pushes an identifier in double quotes; raises on a NUL byte. */
void lig_identifier_push(lua_State *L, int index);

void lig_pg_query_open(lua_State *L);
void lig_pg_pipeline_open(lua_State *L);
void lig_pg_copy_out_open(lua_State *L);
void lig_pg_copy_open(lua_State *L); /* pg_copy.c */

#endif
