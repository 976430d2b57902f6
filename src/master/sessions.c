/* Sessions and spares; see sessions.h. */
#include "sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "endings.h"
#include "fdpass.h"
#include "heap.h"
#include "log.h"
#include "map.h"
#include "process.h"
#include "random.h"
#include "refuse.h"
#include "repeats.h"

enum { FORKS_AT_ONCE = 4, SETTLE_MS = 1000, DRAIN_STEP_MS = 10 };

struct session {
    pid_t pid;
    uint32_t mark; /* of its id in the log */
    int handover;  /* our end; -1: has its client, or was dismissed */
    bool dismissed;
    int64_t halted_at;       /* by SIGSTOP or the like, clock_ms(); 0: it runs */
    struct netaddr from;     /* its client, or the proxy before that */
    struct address *address; /* of its client */
    struct session *next_spare;
};

static const struct conf *conf;
static int log_fd, null_fd;
static enum log_kind log_is;
static const struct identity *identity;
static session_function *run;
static struct map sessions; /* pid -> struct session */
static struct session *spares;
static int spare_count;
static int dismissed_count; /* spares told to end that have not yet */
static int target;          /* how many spares there should be now */
static int64_t settle_at;   /* when the target may shrink */
static int64_t fork_at;     /* do not fork before: spares died unused */
static struct backoff backoff = {.first = 100, .most = 10000};
static int64_t halts_end = CLOCK_NEVER; /* when the first of the halted may have to end */
static bool stopped;

/* Why sessions ended, but for the ordinary way, and how many for each reason. */
static const struct {
    enum ending ending;
    const char *name;
} failures[] = {
    {ENDING_DIED, "died"},
    {ENDING_TLS_LATE, "tls_late"},
    {ENDING_TLS_LEFT, "tls_left"},
    {ENDING_TLS_FAILED, "tls_failed"},
    {ENDING_TLS_UNSIGNED, "tls_unsigned"},
    {ENDING_TLS_PLAIN, "tls_plain"},
    {ENDING_NO_PROXY, "no_proxy"},
};
enum { KILLED = sizeof(failures) / sizeof(failures[0]) };
static uint64_t failed[KILLED + 1];

/* Sessions to tell that the service ends, in order. */
static struct {
    pid_t *pids;
    int64_t count, told;
    int64_t begun, span; /* clock_ms(), and the milliseconds for telling them all */
} drain;

void sessions_init(const struct conf *the_conf, int the_log_fd, const struct identity *the_identity,
                   session_function *function)
{
    conf = the_conf;
    log_fd = the_log_fd;
    log_is = log_kind(log_fd);
    null_fd = process_open_null();
    identity = the_identity;
    run = function;
    target = conf->min_spare;
    settle_at = clock_ms() + SETTLE_MS;
    heap_settle();
}

enum { KEEP = 3, LOG = 4 };

/* Keeps the client or handover socket at KEEP, the log at LOG, and no other descriptor of the
 * master. Without a log LOG is occupied all the same: a session's sandbox relies on the number.
 * Returns the log's descriptor; -1: syslog(3). */
static int keep_descriptors(int fd)
{
    if (log_fd < 0)
        log_close();
    int log = log_fd >= 0 ? fcntl(log_fd, F_DUPFD_CLOEXEC, 32) : -1;
    process_leave_terminal(null_fd);
    dup2(fd, KEEP);
    if (log >= 0)
        dup2(log, LOG);
    close_range(log >= 0 ? LOG + 1 : LOG, ~0U, 0);
    if (log < 0)
        dup2(STDIN_FILENO, LOG);
    log_init(log >= 0 ? LOG : -1, log_is, (enum log_level)conf->log_level);
    return log >= 0 ? LOG : -1;
}

static void set_signals(void)
{
    signal(SIGCHLD, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to all processes; only the master acts on it */
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* Block it until the session has its handler, lest a request be lost. */
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_SETMASK, &term, NULL);
}

/* In the child: drops everything of the master's, privileges last. */
static void __attribute__((noreturn))
become(pid_t master, uint32_t mark, int client, bool tls, int handover)
{
    int log = keep_descriptors(client >= 0 ? client : handover);
    set_signals();
    identity_assume(identity, IDENTITY_CHROOT);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* changing the user clears it */
    if (getppid() != master)
        _exit(0);
    run(conf, mark, client >= 0 ? KEEP : -1, tls, client >= 0 ? -1 : KEEP, log);
    _exit(0);
}

/* Forks a session; NULL if the system has no room for it. */
static struct session *make(int client, bool tls, int handover, int handover_child)
{
    pid_t master = getpid();
    uint32_t mark = (uint32_t)random_u64();
    pid_t pid = fork();
    if (pid < 0) {
        repeats_log(LOG_L_ERROR, NULL, "fork: %s", strerror(errno));
        return NULL;
    }
    if (pid == 0)
        become(master, mark, client, tls, handover_child);
    struct session *s = xcalloc(1, sizeof(*s));
    *s = (struct session){.pid = pid, .mark = mark, .handover = handover};
    map_put(&sessions, (uint64_t)pid, s);
    return s;
}

static bool make_spare(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_error("socketpair: %s", strerror(errno));
        return false;
    }
    struct session *s = make(-1, false, pair[0], pair[1]);
    close(pair[1]);
    if (!s) {
        close(pair[0]);
        return false;
    }
    s->next_spare = spares;
    spares = s;
    spare_count++;
    return true;
}

static struct session *pop_spare(void)
{
    struct session *s = spares;
    spares = s->next_spare;
    spare_count--;
    return s;
}

static void close_handover(struct session *s)
{
    close(s->handover);
    s->handover = -1;
}

/* Closes our end of the pair, at which a spare exits. */
static void dismiss(struct session *s)
{
    close_handover(s);
    s->dismissed = true;
    dismissed_count++;
}

static bool hand_over(struct session *s, int fd, bool tls)
{
    bool sent = fdpass_send(s->handover, fd, tls);
    close_handover(s);
    return sent;
}

/* Gives the client to a spare and returns it; NULL if there is none. */
static struct session *give_to_spare(int fd, bool tls)
{
    while (spares) {
        struct session *s = pop_spare();
        if (hand_over(s, fd, tls))
            return s;
    }
    return NULL;
}

void sessions_serve(const struct caller *caller)
{
    struct session *s = give_to_spare(caller->fd, caller->tls);
    if (!s) {
        /* Clients come faster than spares are made: keep more of them for a while. */
        target = target * 2 < conf->max_spare ? target * 2 + 1 : conf->max_spare;
        settle_at = clock_ms() + SETTLE_MS;
        s = make(caller->fd, caller->tls, -1, -1);
    }
    if (!s) {
        addresses_leave(caller->address);
        refuse_client(caller->fd, caller->tls, REFUSE_CLIENTS);
        return;
    }
    s->from = caller->from;
    s->address = caller->address;
    close(caller->fd);
}

int sessions_clients(void)
{
    return (int)sessions.count - spare_count - dismissed_count;
}

int sessions_spares(void)
{
    return spare_count;
}

bool sessions_room(void)
{
    return sessions_clients() < conf->max_clients;
}

int64_t sessions_keep_spares(void)
{
    if (stopped)
        return CLOCK_NEVER;
    int64_t now = clock_ms();
    if (now >= settle_at) {
        int less = target - (target - conf->min_spare + 1) / 2;
        target = less > conf->min_spare ? less : conf->min_spare;
        settle_at = now + SETTLE_MS;
        if (spare_count > target)
            dismiss(pop_spare());
    }
    for (int i = 0; i < FORKS_AT_ONCE && spare_count < target && now >= fork_at; i++)
        if (!make_spare())
            fork_at = now + backoff_failed(&backoff);
    if (spare_count < target)
        return now >= fork_at ? now : fork_at;
    return spare_count > conf->min_spare || target > conf->min_spare ? settle_at : CLOCK_NEVER;
}

void sessions_renew_spares(void)
{
    while (spares)
        dismiss(pop_spare());
}

static struct log_session id_of(const struct session *s)
{
    return (struct log_session){.pid = (int)s->pid, .mark = s->mark};
}

static void unlist_spare(struct session *s)
{
    struct session **at = &spares;
    while (*at && *at != s)
        at = &(*at)->next_spare;
    if (!*at)
        return;
    *at = s->next_spare;
    spare_count--;
    close_handover(s);
    /* It never had a client: the fault is ours. */
    log_error("a spare session died before it had a client");
    fork_at = clock_ms() + backoff_failed(&backoff);
}

/* What its client did wrong, by the session's word, which is not trusted. */
static void tell_of_exit(const struct log_session *id, const struct netaddr *from, int status)
{
    int pid = id->pid;
    switch (status) {
    case ENDING_TLS_LATE:
        repeats_about(id, LOG_L_INFO, from, "session[%d]: the TLS handshake did not end in time",
                      pid);
        break;
    case ENDING_TLS_LEFT:
        repeats_about(id, LOG_L_INFO, from, "session[%d]: left during the TLS handshake", pid);
        break;
    case ENDING_TLS_FAILED:
        repeats_about(id, LOG_L_INFO, from, "session[%d]: TLS failed; log_level = debug says why",
                      pid);
        break;
    case ENDING_TLS_UNSIGNED:
        repeats_about(id, LOG_L_WARN, from, "session[%d]: no signature for the handshake", pid);
        break;
    case ENDING_TLS_PLAIN:
        repeats_about(id, LOG_L_INFO, from, "session[%d]: plain HTTP on a port of TLS", pid);
        break;
    case ENDING_NO_PROXY:
        repeats_about(id, LOG_L_WARN, from,
                      "session[%d]: this trusted proxy did not begin with a PROXY header; see "
                      "proxy_protocol in chatd.conf(5)",
                      pid);
        break;
    default:
        break;
    }
}

static void count_end(int status)
{
    failed[KILLED] += WIFSIGNALED(status);
    for (size_t i = 0; WIFEXITED(status) && i < KILLED; i++)
        failed[i] += WEXITSTATUS(status) == (int)failures[i].ending;
}

const char *sessions_failure(unsigned i)
{
    return i < KILLED ? failures[i].name : i == KILLED ? "killed" : NULL;
}

uint64_t sessions_failures(unsigned i)
{
    return failed[i];
}

static void tell_of_end(const struct session *s, int status)
{
    bool had_client = s->handover < 0 && !s->dismissed;
    const struct netaddr *from = had_client ? &s->from : NULL;
    const struct log_session id = id_of(s);
    if (WIFSIGNALED(status))
        repeats_about(&id, LOG_L_ERROR, from, "session[%d] was killed by signal %d (%s)",
                      (int)s->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        tell_of_exit(&id, from, WEXITSTATUS(status));
}

bool sessions_reaped(pid_t pid, int status)
{
    struct session *s = map_remove(&sessions, (uint64_t)pid);
    if (!s)
        return false;
    tell_of_end(s, status);
    count_end(status);
    if (s->dismissed)
        dismissed_count--;
    else if (s->handover >= 0)
        unlist_spare(s);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != ENDING_DIED)
        backoff_reset(&backoff);
    addresses_leave(s->address);
    free(s);
    return true;
}

void sessions_halted(pid_t pid, bool halted)
{
    struct session *s = map_get(&sessions, (uint64_t)pid);
    if (!s)
        return;
    s->halted_at = halted ? clock_ms() : 0;
    if (halted && halts_end == CLOCK_NEVER)
        halts_end = s->halted_at + conf->presence_lease;
}

int64_t sessions_end_halted(void)
{
    int64_t now = clock_ms();
    if (now < halts_end)
        return halts_end;
    halts_end = CLOCK_NEVER;
    struct session *s;
    for (size_t at = 0; (s = map_next(&sessions, &at));) {
        int64_t ends = s->halted_at ? s->halted_at + conf->presence_lease : CLOCK_NEVER;
        if (ends > now) {
            halts_end = ends < halts_end ? ends : halts_end;
            continue;
        }
        const struct log_session id = id_of(s);
        log_about(&id, LOG_L_WARN, "session[%d] was halted for presence_lease and is ended",
                  (int)s->pid);
        kill(s->pid, SIGKILL);
        s->halted_at = 0;
    }
    return halts_end;
}

void sessions_retire(void)
{
    stopped = true;
    sessions_renew_spares();
}

void sessions_drain(int64_t ms)
{
    sessions_retire();
    drain.pids = xcalloc(sessions.count + 1, sizeof(*drain.pids));
    struct session *s;
    for (size_t at = 0; (s = map_next(&sessions, &at));)
        if (!s->dismissed)
            drain.pids[drain.count++] = s->pid;
    drain.begun = clock_ms();
    /* The last one told still has a fifth of the time. */
    int64_t most = ms / 5 * 4, wanted = drain.count * DRAIN_STEP_MS;
    drain.span = wanted < most ? wanted : most;
    log_debug("%lld clients are told within %lld ms", (long long)drain.count,
              (long long)drain.span);
}

int64_t sessions_drain_due(void)
{
    int64_t passed = clock_ms() - drain.begun;
    /* A freed pid may be a broker's by now, but never a session's: no more are made. */
    while (drain.told < drain.count && drain.span * drain.told <= passed * drain.count) {
        pid_t pid = drain.pids[drain.told++];
        if (map_get(&sessions, (uint64_t)pid))
            kill(pid, SIGTERM);
        if (drain.told == drain.count)
            log_debug("every client was told");
    }
    if (drain.told == drain.count)
        return CLOCK_NEVER;
    return drain.begun + (drain.span * drain.told + drain.count - 1) / drain.count;
}

void sessions_stop(int signal)
{
    sessions_retire();
    struct session *s;
    for (size_t at = 0; (s = map_next(&sessions, &at));)
        kill(s->pid, signal);
}
