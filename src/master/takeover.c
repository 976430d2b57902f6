/* Starting a successor, and being one; see takeover.h. */
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin.h"
#include "clock.h"
#include "log.h"
#include "notify.h"
#include "process.h"
#include "roles.h"
#include "rundir.h"
#include "sockets.h"
#include "trust.h"

#define VARIABLE "CHATD_TAKEOVER" /* pid, word, lock, secrets, bound, admin: numbers */

enum { FIRST_FD = 3, PATIENCE_MS = 30000 };

static struct {
    pid_t pid;     /* 0: there is none */
    int word;      /* our end of the pipe; -1: it has spoken, or was given up */
    int64_t until; /* clock_ms() by which it must have spoken */
    bool ready;
    bool let_go;
} successor = {.word = -1};

/* Sockets first, as sd_listen_fds(3) wants, then the rest. */
static void place_descriptors(const struct sockets *sockets, int word)
{
    int fds[SOCKETS_MAX + 4], n = 0;
    for (; n < sockets->count; n++)
        fds[n] = sockets->fds[n];
    fds[n++] = word;
    fds[n++] = rundir_lock();
    fds[n++] = roles_conf_fd();
    fds[n++] = admin_fd();
    process_place_descriptors(FIRST_FD, fds, n);
}

static void set_number(const char *name, int number)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", number);
    setenv(name, text, 1);
}

/* The names tell which of them speak TLS; see sockets.h. */
static void set_names(const struct sockets *sockets)
{
    char text[SOCKETS_MAX * 8] = "";
    for (int i = 0; i < sockets->count; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%s%s", i ? ":" : "",
                 sockets->tls[i] ? "tls" : "plain");
    }
    setenv("LISTEN_FDNAMES", text, 1);
}

static void set_environment(const struct sockets *sockets)
{
    char text[80];
    int next = FIRST_FD + sockets->count;
    snprintf(text, sizeof(text), "%d %d %d %d %d %d", (int)getpid(), next, next + 1, next + 2,
             !sockets->handed_over, admin_fd() < 0 ? -1 : next + 3);
    setenv(VARIABLE, text, 1);
    set_number("LISTEN_PID", (int)getpid());
    set_number("LISTEN_FDS", sockets->count);
    set_names(sockets);
    notify_restore();
}

/* In the child. */
static void __attribute__((noreturn))
become(const struct takeover_program *program, const struct sockets *sockets, int word)
{
    set_environment(sockets);
    place_descriptors(sockets, word);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(program->folder) < 0)
        log_error("%s: %s", program->folder, strerror(errno));
    else if (execv(program->path, program->argv) < 0)
        log_error("cannot run %s: %s", program->path, strerror(errno));
    _exit(127);
}

/* As root, run only a program that nobody else could have put there meanwhile. */
static bool is_trusted(const char *path)
{
    char place[PATH_MAX];
    const char *fault = geteuid() == 0 ? trust_path_fault(path, place) : NULL;
    if (fault)
        log_error("not taking over: %s: %s", place, fault);
    return !fault;
}

bool takeover_start(const struct takeover_program *program, const struct sockets *sockets)
{
    int ends[2];
    if (!is_trusted(program->path))
        return false;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        log_error("taking over: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(program, sockets, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        log_error("fork: %s", strerror(errno));
        close(ends[0]);
        return false;
    }
    log_info("started %s as chatd[%d] to take over", program->path, (int)pid);
    successor.pid = pid;
    successor.word = ends[0];
    successor.until = clock_ms() + PATIENCE_MS;
    return true;
}

bool takeover_under_way(void)
{
    return successor.pid && !successor.ready;
}

int takeover_fd(void)
{
    return successor.word;
}

static void stop_listening(void)
{
    if (successor.word >= 0)
        close(successor.word);
    successor.word = -1;
}

void takeover_listen(void)
{
    char text[1024];
    ssize_t n = read(successor.word, text, sizeof(text) - 1);
    if (n < 0)
        return;
    text[n] = 0;
    successor.ready = strncmp(text, "ready ", 6) == 0;
    if (n > 0 && !successor.ready) {
        /* It is about to end by itself. */
        log_error("chatd[%d] cannot take over: %s", (int)successor.pid, text);
        return;
    }
    if (!successor.ready)
        kill(successor.pid, SIGKILL); /* in case it has not ended */
    stop_listening();
}

pid_t takeover_successor(void)
{
    return successor.ready ? successor.pid : 0;
}

void takeover_let_go(void)
{
    successor.let_go = true;
}

int64_t takeover_due(void)
{
    if (successor.word < 0)
        return CLOCK_NEVER;
    if (clock_ms() < successor.until)
        return successor.until;
    log_error("chatd[%d] has said nothing for %d seconds", (int)successor.pid, PATIENCE_MS / 1000);
    takeover_cancel();
    return CLOCK_NEVER;
}

void takeover_cancel(void)
{
    if (successor.pid && !successor.let_go)
        kill(successor.pid, SIGKILL);
    stop_listening();
}

bool takeover_reaped(pid_t pid, int status)
{
    if (!successor.pid || pid != successor.pid)
        return false;
    if (successor.let_go)
        return true;
    if (WIFSIGNALED(status))
        log_error("chatd[%d] was killed by signal %d (%s) before it took over", (int)pid,
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_error("chatd[%d] exited with status %d before it took over", (int)pid,
                  WEXITSTATUS(status));
    rundir_clear(pid);
    stop_listening();
    successor.pid = 0;
    successor.ready = false;
    return true;
}

/* --- in the successor --- */

void takeover_inherit(struct inheritance *in)
{
    *in = (struct inheritance){-1, -1, -1, false, -1};
    const char *text = getenv(VARIABLE);
    struct inheritance found = *in;
    int pid, bound;
    if (text &&
        sscanf(text, "%d %d %d %d %d %d", &pid, &found.word, &found.lock, &found.secrets, &bound,
               &found.admin) >= 5 && /* a chatd without admin_listen names no socket of it */
        pid == (int)getpid()) {
        *in = found;
        in->bound = bound;
    }
    unsetenv(VARIABLE);
}

void takeover_refuse(const struct inheritance *in, const char *reason)
{
    if (in->word >= 0 && write(in->word, reason, strlen(reason)) < 0)
        log_warn("taking over: %s", strerror(errno));
}
