/* sys_child.c: starting, watching and ending a child process.
 *
 * Everything the child needs is prepared before fork(); between fork() and exec
 * only system calls are made, and what fails there comes back through a pipe with
 * its errno. Lua appears nowhere here: the binding is sys_process.c.
 */
#include "sys_child.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_S 2.0           // between SIGTERM and SIGKILL
#define DRAIN_BYTES (1 << 20) // the most a pipe holds

/* ---- life of a child ---------------------------------------------------- */

static void fd_close(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Waits at most seconds for the child's end or for output, whichever is first. */
void child_poll(const process *p, double seconds) {
    struct pollfd fds[3] = {{.fd = p->captures[0].fd, .events = POLLIN},
                            {.fd = p->captures[1].fd, .events = POLLIN},
                            {.fd = p->pid_fd, .events = POLLIN}};
    if (p->pid_fd < 0 && seconds > 0.02) {
        seconds = 0.02;
    }
    (void)poll(fds, 3, seconds > 0 ? (int)(seconds * 1000) + 1 : 0);
}

/* Looks whether the child has ended, and takes its status if so. */
bool child_reap(process *p) {
    if (!p->ended) {
        pid_t pid = waitpid(p->pid, &p->status, WNOHANG);
        p->ended = pid == p->pid || (pid < 0 && errno == ECHILD);
        if (p->ended) {
            fd_close(&p->pid_fd);
        }
    }
    return p->ended;
}

bool child_signal(const process *p, int number) {
    return !p->ended && kill(p->own_group ? -p->pid : p->pid, number) == 0;
}

static bool process_is_zombie(const process *p) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

/* Asks the child and its group to end, then makes them. The group is killed
 * before the child is reaped: afterwards its number could mean somebody else. */
void child_terminate(process *p) {
    if (p->pid <= 0 || child_reap(p)) {
        return;
    }
    double end = lig_sys_monotonic() + GRACE_S;
    // A stopped process would not hear it.  Not the other way round: CONT undoes a stop that
    // LeakSanitizer waits for in a process that is ending by then.
    (void)child_signal(p, SIGCONT);
    (void)child_signal(p, SIGTERM);
    while (!process_is_zombie(p) && lig_sys_monotonic() < end) {
        struct pollfd ended = {.fd = p->pid_fd, .events = POLLIN};
        (void)poll(&ended, 1, p->pid_fd < 0 ? 20 : 200);
    }
    (void)child_signal(p, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR) {
    }
    p->ended = true;
}

void child_release(process *p) {
    child_terminate(p);
    fd_close(&p->pid_fd);
    for (int i = 0; i < 3; i++) {
        fd_close(&p->child_fds[i]);
    }
    for (int i = 0; i < 2; i++) {
        fd_close(&p->captures[i].fd);
        free(p->captures[i].data);
        p->captures[i].data = NULL;
    }
}

/* Takes what the pipe holds now. Not more: something that the child left behind
 * may go on writing for ever. */
int child_capture(capture *c) {
    for (size_t taken = 0; c->fd >= 0 && taken < DRAIN_BYTES;) {
        if (c->room - c->length < 4096) {
            size_t room = c->room == 0 ? 8192 : 2 * c->room;
            char *data = realloc(c->data, room);
            if (data == NULL) {
                return ENOMEM;
            }
            c->data = data;
            c->room = room;
        }
        ssize_t n = read(c->fd, c->data + c->length, c->room - c->length);
        if (n == 0) {
            fd_close(&c->fd);
        } else if (n > 0) {
            c->length += (size_t)n;
            taken += (size_t)n;
        } else if (errno != EINTR) {
            return errno == EAGAIN ? 0 : errno;
        }
    }
    return 0;
}

/* ---- in the child ------------------------------------------------------- */

static void descriptors_seal(void) {
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
        return;
    }
    long last = sysconf(_SC_OPEN_MAX); // an old kernel or a strict sandbox
    for (int fd = 3; fd < (last > 0 ? last : 1024); fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

static void signals_reset(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static bool streams_take(const request *r) {
    for (int i = 0; i < 3; i++) {
        int from = r->streams[i] == STREAM_STDOUT ? STDOUT_FILENO : r->streams[i];
        if (from != STREAM_INHERIT && dup2(from, i) < 0) {
            return false;
        }
    }
    return true;
}

static bool user_become(const request *r) {
    return r->user == NULL ||
           (setgroups((size_t)r->group_count, r->groups) == 0 &&
            setresgid(r->gid, r->gid, r->gid) == 0 && setresuid(r->uid, r->uid, r->uid) == 0);
}

/* Without a wish, the child stays where we are unless its user may not be there:
 * programs complain about a current folder that they cannot enter. */
static bool folder_enter(const request *r) {
    if (r->folder != NULL) {
        return chdir(r->folder) == 0;
    }
    return r->user == NULL || access(".", X_OK) == 0 || chdir("/") == 0;
}

static int candidates_exec(const request *r) {
    int error = ENOENT;
    for (const char **path = r->candidates; *path != NULL; path++) {
        (void)execve(*path, (char *const *)r->argv, (char *const *)r->environment);
        struct stat st;
        if (errno == EACCES) {
            // Another folder of PATH may hold one that we may run, and a folder that we
            // may not even look into says nothing about the program.
            bool is_only = path == r->candidates && path[1] == NULL;
            if (is_only || (stat(*path, &st) == 0 && S_ISREG(st.st_mode))) {
                error = EACCES;
            }
        } else if (errno != ENOENT && errno != ENOTDIR) {
            return errno;
        }
    }
    return error;
}

/* Becomes the program; returns only when that failed. */
failure child_become(const request *r) {
    if (!streams_take(r)) {
        return (failure){STAGE_STREAMS, errno};
    }
    if (!user_become(r)) {
        return (failure){STAGE_USER, errno};
    }
    if (!folder_enter(r)) {
        return (failure){STAGE_FOLDER, errno};
    }
    descriptors_seal();
    return (failure){STAGE_EXEC, candidates_exec(r)};
}

/* ---- starting it -------------------------------------------------------- */

/* Moves a descriptor above the three standard ones, where dup2 cannot hit it. */
int child_fd_lift(int fd) {
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
    return lifted;
}

int child_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    ends[0] = child_fd_lift(ends[0]);
    int error = ends[0] < 0 ? errno : 0;
    ends[1] = child_fd_lift(ends[1]);
    return error != 0 ? error : ends[1] < 0 ? errno : 0;
}

/* Starts the child and waits until it has become the program or failed to. */
failure child_start(process *p, const request *r) {
    int report[2] = {-1, -1};
    failure failed = {STAGE_STREAMS, child_pipe(report)};
    if (failed.error != 0) {
        fd_close(&report[0]);
        fd_close(&report[1]);
        return failed;
    }
    struct sigaction children;
    if (sigaction(SIGCHLD, NULL, &children) == 0 && children.sa_handler == SIG_IGN) {
        (void)signal(SIGCHLD, SIG_DFL); // ignored, it would lose us the exit status
    }
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); // no handler of ours runs in the child
    pid_t pid = fork();
    if (pid == 0) {
        if (r->own_group) {
            (void)setpgid(0, 0);
        }
        signals_reset();
        failed = child_become(r);
        ssize_t n = write(report[1], &failed, sizeof failed);
        _exit(n < 0 ? 126 : 127);
    }
    failed.error = pid < 0 ? errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    fd_close(&report[1]);
    if (pid > 0) {
        p->pid = pid;
        p->own_group = r->own_group;
        failure reported;
        ssize_t n;
        while ((n = read(report[0], &reported, sizeof reported)) < 0 && errno == EINTR) {
        }
        if (n == sizeof reported) {
            failed = reported;
            while (waitpid(pid, &p->status, 0) < 0 && errno == EINTR) {
            }
            p->ended = true;
        } else {
            p->pid_fd = pidfd_open(pid, 0);
        }
    }
    fd_close(&report[0]);
    for (int i = 0; i < 3; i++) {
        fd_close(&p->child_fds[i]);
    }
    return failed;
}
