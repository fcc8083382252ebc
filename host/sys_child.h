/* sys_child.h: the engine under sys_process.c. It knows nothing of Lua. */
#ifndef LIG_SYS_CHILD_H
#define LIG_SYS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define STREAM_INHERIT (-1) // this process's own stream
#define STREAM_STDOUT (-2)  // stderr goes where stdout goes

/* Where starting a child failed. */
enum stage { STAGE_STREAMS, STAGE_USER, STAGE_FOLDER, STAGE_EXEC };

typedef struct failure {
    enum stage stage;
    int error; // an errno; 0 when all went well
} failure;

/* What a child has to do. Nothing here is owned: the caller keeps it alive. */
typedef struct request {
    const char **argv;        // NULL-terminated, as are the next two
    const char **candidates;  // the paths to try for argv[0]
    const char **environment; // "NAME=value"
    const char *folder;       // NULL: stay here
    const char *user;         // NULL: stay who we are
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
    bool own_group; // be the leader of a new process group
    int streams[3]; // descriptors above 2, or STREAM_...
} request;

typedef struct capture {
    int fd; // -1 once nothing more comes
    char *data;
    size_t length, room;
} capture;

typedef struct process {
    pid_t pid;
    int pid_fd; // readable once the process ended; -1 where the kernel has none
    bool own_group;
    bool ended;
    int status;       // as waitpid() gives it, once ended
    int child_fds[3]; // open only until the child has them
    capture captures[2];
} process;

/* A pipe, or a descriptor moved, above the three standard ones, where giving the
 * child its streams cannot overwrite it. They return an errno and -1 with errno. */
int child_pipe(int ends[2]);
int child_fd_lift(int fd);

/* Starts the child and waits until it has become the program or failed to. */
failure child_start(process *p, const request *r);

/* Becomes the program itself; returns only when that failed. */
failure child_become(const request *r);

/* Looks whether the child has ended, and takes its status if so. */
bool child_reap(process *p);

/* Waits at most seconds for the child's end, output, or a signal to us. */
void child_poll(const process *p, double seconds);

/* Takes the output that is there now; 0 or an errno. */
int child_capture(capture *c);

/* Sends a signal to the child, and to its group when it leads one. */
bool child_signal(const process *p, int number);

/* SIGTERM to the child and its group, after GRACE_S seconds SIGKILL; reaps it. */
void child_terminate(process *p);

/* Ends the child if it still runs, and frees everything. Idempotent. */
void child_release(process *p);

#endif
