/* Broker, signer and auth workers; see roles.h. */
#include "roles.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backoff.h"
#include "buf.h"
#include "clock.h"
#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "role.h"

enum {
    STABLE_MS = 10000,             /* restart at once what lived this long */
    HALTED_MS = 30000,             /* replace a helper that is stopped for this long */
    PROGRAM_PLACE = ROLE_FD_COUNT, /* the program itself, until it runs */
    PLACES = PROGRAM_PLACE + 1,
};

struct role {
    const char *name, *program;
    const struct identity *who; /* it runs as */
    int fds[PLACES];            /* what it gets at each place; -1: nothing */
    pid_t pid;                  /* 0: not running */
    bool trial;                 /* told to try what it needs, and to end */
    bool stopped;
    int64_t halted_at; /* by SIGSTOP or the like, clock_ms(); 0: it runs */
    bool renewed;      /* was told to end so that another starts */
    int64_t started_at, start_at;
    struct backoff backoff;
};

enum { BROKER, SIGNER, EXPORTER, FIRST_AUTH }; /* their places in the array */

static const char *const kinds[] = {"broker", "signer", "exporter", "auth"};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static uint64_t died[KINDS];

static struct role *roles;
static int role_count;
static const struct identity *identity; /* of all but the exporter */
static int status_pipe[2];
static int control[2]; /* to the broker: operators */
static unsigned deaths;

void roles_write_conf(const struct conf *conf, unsigned role, int fd)
{
    struct buf text = BUF_INIT;
    buf_reserve(&text, CONF_DUMP_MAX);
    conf_dump(conf, &text, role);
    size_t n = buf_len(&text);
    if (fd < 0 || write(fd, buf_head(&text), n) != (ssize_t)n ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
        die("handing the configuration on: %s", strerror(errno));
    buf_wipe(&text);
}

/* The role's keys of the configuration, in sealed memory. */
static int seal_conf(const struct conf *conf, unsigned role)
{
    int fd = memfd_create("chatd.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    roles_write_conf(conf, role, fd);
    return fd;
}

/* Opens a program in this executable's directory. Held open, it stays the same when an update
 * replaces the file: a master and its programs belong together. */
static int open_program(const char *name)
{
    char path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n < 0)
        die("/proc/self/exe: %s", strerror(errno));
    path[n] = 0;
    snprintf(strrchr(path, '/') + 1, 32, "%s", name);
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static struct role role_of(const char *name, const char *program, int conf_fd, int log_fd)
{
    struct role r = {.name = name,
                     .program = program,
                     .who = identity,
                     .backoff = {.first = 100, .most = 10000}};
    for (int i = 0; i < PLACES; i++)
        r.fds[i] = -1;
    r.fds[ROLE_FD_CONF] = conf_fd;
    r.fds[ROLE_FD_LOG] = log_fd;
    return r;
}

static void init_broker(const struct conf *conf, int listener, int log_fd, int auth, int sign)
{
    struct role *r = &roles[BROKER];
    *r = role_of("broker", "chatd-broker", seal_conf(conf, CONF_BROKER), log_fd);
    r->fds[ROLE_FD_BROKER] = listener;
    r->fds[ROLE_FD_STATUS] = status_pipe[1];
    r->fds[ROLE_FD_AUTH] = auth;
    r->fds[ROLE_FD_SIGN] = sign;
    r->fds[ROLE_FD_CONTROL] = control[1];
    r->fds[PROGRAM_PLACE] = open_program(r->program);
}

/* It starts when there are keys. */
static void init_signer(const struct conf *conf, int log_fd, int sign)
{
    struct role *r = &roles[SIGNER];
    *r = role_of("signer", "chatd-signer", seal_conf(conf, CONF_SIGNER), log_fd);
    r->fds[ROLE_FD_SIGN] = sign;
    r->fds[PROGRAM_PLACE] = open_program(r->program);
    r->stopped = true;
}

static void init_auth(const struct conf *conf, int log_fd, int auth)
{
    int conf_fd = seal_conf(conf, CONF_AUTH), program = open_program("chatd-auth");
    for (int i = FIRST_AUTH; i < role_count; i++) {
        roles[i] = role_of("auth worker", "chatd-auth", conf_fd, log_fd);
        roles[i].fds[ROLE_FD_AUTH] = auth;
        roles[i].fds[PROGRAM_PLACE] = program;
    }
}

/* It speaks with strangers, as sessions do, and is as little trusted. */
static void init_exporter(const struct conf *conf, const struct roles_exporter *how)
{
    struct role *r = &roles[EXPORTER];
    *r = role_of("exporter", "chatd-exporter", -1, how->log);
    r->stopped = true;
    if (how->listener < 0)
        return;
    r->who = how->who;
    r->fds[ROLE_FD_CONF] = seal_conf(conf, CONF_EXPORTER);
    r->fds[ROLE_FD_ADMIN] = how->listener;
    r->fds[ROLE_FD_MASTER] = how->master;
    r->fds[PROGRAM_PLACE] = open_program(r->program);
}

void roles_init(const struct conf *conf, int listener, int log_fd, int auth_workers,
                const struct identity *who, const struct roles_exporter *exporter)
{
    identity = who;
    int auth[2], sign[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, auth) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sign) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) < 0 ||
        pipe2(status_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        die("connecting the broker with its helpers: %s", strerror(errno));
    role_count = FIRST_AUTH + auth_workers;
    roles = xcalloc((size_t)role_count, sizeof(*roles));
    init_broker(conf, listener, log_fd, auth[0], sign[0]);
    init_signer(conf, log_fd, sign[1]);
    init_exporter(conf, exporter);
    init_auth(conf, log_fd, auth[1]);
}

static void stop(struct role *r, int signal)
{
    r->stopped = true;
    if (r->pid)
        kill(r->pid, signal);
}

void roles_start_exporter(void)
{
    roles[EXPORTER].stopped = roles[EXPORTER].fds[ROLE_FD_ADMIN] < 0;
}

void roles_stop_exporter(void)
{
    stop(&roles[EXPORTER], ROLE_STOP);
}

/* Another one starts when it has ended. */
static void replace(struct role *r)
{
    r->renewed = r->pid != 0;
    if (r->pid)
        kill(r->pid, ROLE_STOP);
}

void roles_renew_signer(int fd)
{
    struct role *r = &roles[SIGNER];
    if (r->fds[ROLE_FD_KEYS] == fd)
        return;
    r->fds[ROLE_FD_KEYS] = fd;
    r->stopped = false;
    replace(r);
}

void roles_renew_broker(int fd)
{
    struct role *r = &roles[BROKER];
    close(r->fds[ROLE_FD_CONF]);
    r->fds[ROLE_FD_CONF] = fd;
    replace(r);
}

int roles_conf_fd(void)
{
    return roles[BROKER].fds[ROLE_FD_CONF];
}

/* Set before one can arrive; the program keeps them: see ROLE_STOP. */
static void set_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: puts each descriptor in its place and runs the program. */
static void __attribute__((noreturn)) become(const struct role *r, pid_t parent)
{
    set_signals();
    log_close();
    process_leave_terminal(process_open_null());
    process_place_descriptors(0, r->fds, PLACES);
    fcntl(PROGRAM_PLACE, F_SETFD, FD_CLOEXEC);
    identity_assume(r->who, IDENTITY_PROGRAM);
    char name[32], master[16], hidden[] = "hidden", trial[] = ROLE_TRIAL;
    snprintf(name, sizeof(name), "%s", r->program);
    snprintf(master, sizeof(master), "%d", (int)parent);
    /* What execve(2) does not keep. */
    bool hide = prctl(PR_GET_DUMPABLE) != 1;
    char *argv[] = {name, master, r->trial ? trial : hide ? hidden : NULL, NULL};
    fexecve(PROGRAM_PLACE, argv, environ);
    log_error("cannot run %s: %s", name, strerror(errno));
    _exit(127);
}

static void start(struct role *r)
{
    r->started_at = clock_ms();
    pid_t master = getpid(); /* the child may have another parent by the time it asks */
    r->pid = fork();
    if (r->pid == 0)
        become(r, master);
    if (r->pid < 0) {
        log_error("fork: %s", strerror(errno));
        r->pid = 0;
        r->start_at = clock_ms() + backoff_failed(&r->backoff);
    }
}

bool roles_try_broker(const struct conf *conf, int log_fd, const struct identity *who)
{
    int status = -1;
    identity = who;
    struct role r = role_of("broker", "chatd-broker", seal_conf(conf, CONF_BROKER), log_fd);
    r.fds[PROGRAM_PLACE] = open_program(r.program);
    r.trial = true;
    start(&r);
    if (r.pid)
        waitpid(r.pid, &status, 0);
    close(r.fds[ROLE_FD_CONF]);
    close(r.fds[PROGRAM_PLACE]);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void roles_halted(pid_t pid, bool halted)
{
    for (int i = SIGNER; i < role_count; i++)
        if (roles[i].pid == pid)
            roles[i].halted_at = halted ? clock_ms() : 0;
}

/* Until when a helper may stay halted. */
static int64_t end_halted(struct role *r, int64_t now)
{
    if (!r->halted_at)
        return CLOCK_NEVER;
    if (now - r->halted_at < HALTED_MS)
        return r->halted_at + HALTED_MS;
    log_error("%s[%d] was halted for %d seconds and is replaced", r->name, (int)r->pid,
              HALTED_MS / 1000);
    kill(r->pid, SIGKILL);
    r->halted_at = 0;
    return CLOCK_NEVER;
}

int64_t roles_turn(void)
{
    int64_t now = clock_ms(), next = CLOCK_NEVER;
    for (int i = 0; i < role_count; i++) {
        int64_t until = end_halted(&roles[i], now);
        next = until < next ? until : next;
        struct role *r = &roles[i];
        if (r->pid || r->stopped)
            continue;
        if (r->start_at <= now)
            start(r);
        if (!r->pid && r->start_at < next)
            next = r->start_at;
    }
    return next;
}

/* Has it ended as it was told? By the signal itself if that came before there was a handler. */
static bool ended_as_told(const struct role *r, int status)
{
    return (r->stopped || r->renewed) &&
           (WIFSIGNALED(status) ? WTERMSIG(status) == ROLE_STOP : WEXITSTATUS(status) == 0);
}

static void describe_end(const struct role *r, int status)
{
    if (ended_as_told(r, status))
        return;
    deaths++;
    died[r - roles < FIRST_AUTH ? r - roles : FIRST_AUTH]++;
    if (WIFSIGNALED(status))
        log_error("%s[%d] was killed by signal %d (%s)", r->name, (int)r->pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else
        log_error("%s[%d] exited with status %d", r->name, (int)r->pid, WEXITSTATUS(status));
}

bool roles_reaped(pid_t pid, int status)
{
    for (int i = 0; i < role_count; i++) {
        struct role *r = &roles[i];
        if (r->pid != pid)
            continue;
        describe_end(r, status);
        r->pid = 0;
        r->halted_at = 0;
        r->start_at = clock_ms();
        if (r->start_at - r->started_at >= STABLE_MS)
            backoff_reset(&r->backoff);
        else if (!r->renewed)
            r->start_at += backoff_failed(&r->backoff);
        r->renewed = false;
        return true;
    }
    return false;
}

const char *roles_kind(int i)
{
    return i < KINDS ? kinds[i] : NULL;
}

uint64_t roles_died(int i)
{
    return died[i];
}

unsigned roles_deaths(void)
{
    return deaths;
}

bool roles_pass_operator(int fd, const char *facts, size_t n)
{
    return fdpass_send_with(control[0], fd, facts, n);
}

int roles_status_fd(void)
{
    return status_pipe[0];
}

int roles_read_status(bool *refused)
{
    char said[256];
    ssize_t n = read(status_pipe[0], said, sizeof(said));
    int up = -1;
    *refused = false;
    for (ssize_t i = 0; i < n; i++)
        if (said[i] == ROLE_REFUSED)
            *refused = true;
        else
            up = said[i] == ROLE_UP;
    return up;
}

void roles_stop_broker(int signal)
{
    stop(&roles[BROKER], signal);
}

void roles_stop_helpers(int signal)
{
    for (int i = SIGNER; i < role_count; i++)
        stop(&roles[i], signal);
}

bool roles_broker_gone(void)
{
    return roles[BROKER].pid == 0;
}

bool roles_all_gone(void)
{
    for (int i = 0; i < role_count; i++)
        if (roles[i].pid)
            return false;
    return true;
}
