/* The master's loop; see master.h. */
#include "master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "addresses.h"
#include "admin.h"
#include "buf.h"
#include "clock.h"
#include "facts.h"
#include "identity.h"
#include "keyring.h"
#include "log.h"
#include "logfile.h"
#include "monitor.h"
#include "netaddr.h"
#include "notify.h"
#include "operators.h"
#include "password.h"
#include "process.h"
#include "proctitle.h"
#include "refuse.h"
#include "repeats.h"
#include "role.h"
#include "roles.h"
#include "rundir.h"

enum { ACCEPTS_AT_ONCE = 32, FINISH_MS = 5000, PAUSE_MS = 100 };

static int signals; /* signalfd(2) */
static bool child_died, reload_asked, takeover_asked;
static int stop_asked; /* how often */

static enum phase {
    SERVING,
    RETIRING, /* another master serves; remaining sessions go on */
    DRAINING, /* sessions were told to end */
    ENDING,   /* the broker was told to end; it writes what it accepted */
    CLEARING, /* its helpers were told to end */
} phase;
static int64_t phase_ends; /* clock_ms(): then force is used */
static int64_t accept_at;  /* do not accept before: out of descriptors */
static int64_t idle_since; /* no client since then; 0: there is one */
static bool ready;         /* the broker has said how it is */
static struct facts facts = {.reloaded = true};

/* Until this successor is ready, clients belong to the other master. */
static bool waits_to_take_over(const struct master *m)
{
    return !ready && m->inherited.word >= 0;
}

/* Signals arrive through signalfd(2): ppoll(2) would never deliver a pending one while a listener
 * stays ready. */
static void catch_signals(void)
{
    static const int caught[] = {SIGCHLD, SIGHUP, SIGUSR2, SIGTERM, SIGINT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        die("signalfd: %s", strerror(errno));
}

/* Ctrl-C arrives from the terminal as SIGINT, and often also from a script as SIGTERM: count them
 * once. */
static void count_stop(bool interrupt)
{
    static int interrupts, others;
    int asked = interrupt ? ++interrupts : ++others;
    if (asked > stop_asked)
        stop_asked = asked;
}

static void take_signals(void)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            child_died = true;
        else if (info.ssi_signo == SIGHUP)
            reload_asked = true;
        else if (info.ssi_signo == SIGUSR2)
            takeover_asked = true;
        else
            count_stop(info.ssi_signo == SIGINT);
    }
}

static void reap(void)
{
    child_died = false;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0)
        if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
            roles_halted(pid, WIFSTOPPED(status));
            sessions_halted(pid, WIFSTOPPED(status));
        } else if (!sessions_reaped(pid, status) && !roles_reaped(pid, status) &&
                   !takeover_reaped(pid, status) && !password_reaped(pid, status))
            log_warn("unknown child %d ended", (int)pid);
}

/* Serves or refuses a new client. Clients of a trusted proxy all show its address here: the broker
 * counts them. */
static void admit(const struct master *m, struct caller *c)
{
    if (!sessions_room()) {
        repeats_log(LOG_L_WARN, &c->from,
                    "a client was refused: there are %d, see max_clients in chatd.conf(5)",
                    m->conf->max_clients);
        refuse_client(c->fd, c->tls, REFUSE_CLIENTS);
        return;
    }
    int most = addresses_most(m->conf, &c->from);
    bool proxy = netaddr_listed(&c->from, m->conf->trusted_proxies);
    c->address = proxy ? NULL : addresses_enter(&c->from);
    if (most > 0 && addresses_clients(c->address) > most) {
        repeats_log(LOG_L_WARN, &c->from,
                    "a client was refused: its address has %d, see max_clients_per_address in "
                    "chatd.conf(5)",
                    most);
        addresses_leave(c->address);
        refuse_client(c->fd, c->tls, REFUSE_ADDRESS);
        return;
    }
    sessions_serve(c);
}

/* The one connection of a server that inetd started for it. */
static void serve_single(const struct sockets *s)
{
    struct caller caller = {.fd = s->client, .tls = s->client_tls};
    struct sockaddr_storage peer = {0};
    if (getpeername(s->client, (struct sockaddr *)&peer, &(socklen_t){sizeof(peer)}) == 0)
        netaddr_from_socket(&caller.from, &peer);
    sessions_serve(&caller);
}

static void accept_some(const struct master *m, int listener, bool tls)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof(peer);
        int fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (process_out_of_descriptors(errno)) {
                log_error("accept: %s", strerror(errno));
                accept_at = clock_ms() + PAUSE_MS;
            }
            return;
        }
        struct caller caller = {.fd = fd, .tls = tls};
        facts.accepted++;
        netaddr_from_socket(&caller.from, &peer);
        admit(m, &caller);
    }
}

/* A successor that cannot serve ends, so that the old master goes on. */
static void give_up(const struct master *m)
{
    log_error("not taking over: the database cannot be used");
    takeover_refuse(&m->inherited, "its broker cannot use the database");
    sockets_leave(m->sockets);
    stop_asked = 1;
}

static void take_status(const struct master *m)
{
    bool refused;
    int up = roles_read_status(&refused);
    if (refused)
        password_look(m->conf->db_password_file, m->program.folder);
    if (up < 0)
        return;
    if (!up && waits_to_take_over(m)) {
        give_up(m);
        return;
    }
    if (!ready && phase == SERVING)
        roles_start_exporter();
    ready = true;
    notify_status(up ? "serving" : "the database is away; the log says why");
    notify_ready(m->sockets->names);
}

static void reload(const struct master *m)
{
    reload_asked = false;
    logfile_reopen();
    struct conf fresh;
    facts.reloaded = m->reload(&fresh);
    if (facts.reloaded) {
        facts.read_at = time(NULL);
        struct buf fixed = BUF_INIT;
        conf_reload(m->conf, &fresh, &fixed);
        if (buf_len(&fixed) > 0)
            log_warn("changed, but needs a restart to take effect: %.*s", (int)buf_len(&fixed),
                     (const char *)buf_head(&fixed));
        buf_free(&fixed);
        log_set_level((enum log_level)m->conf->log_level);
        roles_renew_signer(keyring_fd());
        sessions_renew_spares();
        log_info("configuration reloaded; connections that are open keep theirs");
    }
    conf_free(&fresh);
}

/* SIGUSR2. */
static void take_over(const struct master *m)
{
    takeover_asked = false;
    if (m->sockets->client >= 0)
        log_warn("SIGUSR2 is ignored: this chatd serves a single connection");
    else if (m->sockets->inetd)
        log_warn("SIGUSR2 is ignored: inetd waits for this process, and for no other");
    else if (phase == RETIRING)
        log_warn("SIGUSR2 is ignored: chatd[%d] has taken over", (int)takeover_successor());
    else if (phase != SERVING)
        log_warn("SIGUSR2 is ignored: this chatd is stopping");
    else if (takeover_under_way())
        log_warn("SIGUSR2 is ignored: a takeover is under way");
    else
        takeover_start(&m->program, m->sockets);
}

static void enter(enum phase next, int64_t ms)
{
    phase = next;
    phase_ends = clock_ms() + ms;
}

static void retire(const struct master *m)
{
    log_info("chatd[%d] has taken over; clients that stay here: %d", (int)takeover_successor(),
             sessions_clients());
    proctitle_set("master, retiring");
    notify_successor(takeover_successor());
    takeover_let_go();
    sockets_leave(m->sockets);
    roles_stop_exporter();
    admin_leave();
    sessions_retire();
    phase = RETIRING;
    phase_ends = CLOCK_NEVER;
}

static void begin_to_stop(const struct master *m)
{
    log_info("stopping");
    takeover_cancel();
    if (!waits_to_take_over(m)) /* else the previous master still serves */
        notify_stopping();
    sockets_close(m->sockets);
    sessions_drain(m->conf->drain_time);
    enter(DRAINING, m->conf->drain_time);
}

/* Kills, and checks again later. */
static void force(void (*stop)(int signal))
{
    stop(SIGKILL);
    stop_asked = 1;
    phase_ends = clock_ms() + FINISH_MS;
}

/* Enters the next phase when what this one waits for has happened, or has taken too long. */
static void move_on(const struct master *m)
{
    bool late = clock_ms() >= phase_ends || stop_asked > 1;
    if ((phase == SERVING || phase == RETIRING) && stop_asked) {
        begin_to_stop(m);
    } else if (phase == SERVING && takeover_successor()) {
        retire(m);
    } else if ((phase == DRAINING || phase == RETIRING) && sessions_clients() == 0) {
        roles_stop_broker(ROLE_STOP);
        enter(ENDING, FINISH_MS);
    } else if (phase == DRAINING && late) {
        force(sessions_stop);
    } else if (phase == ENDING && roles_broker_gone()) {
        roles_stop_helpers(ROLE_STOP);
        enter(CLEARING, FINISH_MS);
    } else if (phase == ENDING && late) {
        force(roles_stop_broker);
    } else if (phase == CLEARING && late) {
        force(roles_stop_helpers);
    }
}

static bool finished(const struct master *m)
{
    enum phase before;
    do {
        before = phase;
        move_on(m);
    } while (phase != before);
    return phase == CLEARING && roles_all_gone();
}

/* A server for one connection ends with it; one on inherited sockets may end when idle. */
static int64_t watch_idle(const struct master *m)
{
    bool single = m->sockets->count == 0;
    if (phase != SERVING || takeover_under_way() || waits_to_take_over(m) ||
        (!single && (!m->conf->idle_exit || !m->sockets->handed_over)))
        return CLOCK_NEVER;
    if (sessions_clients() > 0) {
        idle_since = 0;
        return CLOCK_NEVER;
    }
    if (!idle_since)
        idle_since = clock_ms();
    int64_t ends = idle_since + (single ? 0 : m->conf->idle_exit);
    if (clock_ms() >= ends)
        stop_asked = 1;
    return ends;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Does what is due; returns when the next thing is. */
static int64_t do_chores(const struct master *m)
{
    int64_t next = phase == SERVING ? CLOCK_NEVER : phase_ends;
    next = earlier(next, roles_turn());
    next = earlier(next, sessions_end_halted());
    if (m->sockets->count > 0)
        next = earlier(next, sessions_keep_spares());
    next = earlier(next, watch_idle(m));
    next = earlier(next, sessions_drain_due());
    next = earlier(next, takeover_due());
    next = earlier(next, repeats_due());
    return earlier(next, refuse_close_due());
}

static const char *phase_name(const struct master *m)
{
    static const char *const names[] = {"serving", "retiring", "draining", "ending", "ending"};
    return waits_to_take_over(m) ? "starting" : names[phase];
}

static const struct facts *facts_now(const struct master *m)
{
    facts.phase = phase_name(m);
    facts.clients = sessions_clients();
    facts.spares = sessions_spares();
    facts.max_clients = m->conf->max_clients;
    facts.tls_expiry = m->tls_expiry();
    return &facts;
}

static void wait_for_work(const struct master *m, int64_t deadline)
{
    struct pollfd fds[SOCKETS_MAX + 5 + LOGFILE_SOCKETS];
    int logs[LOGFILE_SOCKETS];
    nfds_t n = 0;
    bool paused = accept_at > clock_ms() || waits_to_take_over(m);
    if (accept_at > clock_ms())
        deadline = earlier(deadline, accept_at);
    for (int i = 0; i < m->sockets->count && !paused; i++)
        fds[n++] = (struct pollfd){.fd = m->sockets->fds[i], .events = POLLIN};
    nfds_t listeners = n;
    fds[n++] = (struct pollfd){.fd = roles_status_fd(), .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = takeover_fd(), .events = POLLIN};
    fds[n++] =
        (struct pollfd){.fd = accept_at > clock_ms() ? -1 : rundir_control(), .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = monitor_fd(&deadline), .events = POLLIN};
    for (int i = 0, count = logfile_sockets(logs); i < count; i++)
        fds[n++] = (struct pollfd){.fd = logs[i], .events = POLLIN};
    if (poll(fds, n, clock_until(deadline)) <= 0)
        return;
    logfile_pass_on();
    take_signals();
    if (fds[listeners].revents)
        take_status(m);
    if (fds[listeners + 2].revents)
        takeover_listen();
    if (fds[listeners + 3].revents && !operators_admit(facts_now(m)))
        accept_at = clock_ms() + PAUSE_MS;
    if (fds[listeners + 4].revents)
        monitor_answer(facts_now(m));
    for (nfds_t i = 0; i < listeners; i++)
        if (fds[i].revents)
            accept_some(m, fds[i].fd, m->sockets->tls[i]);
}

static void begin(const struct master *m)
{
    bool single = m->sockets->count == 0;
    static struct identity user, session_user;
    identity_find(&user, "user", m->conf->user);
    bool same = !*m->conf->session_user;
    identity_find(&session_user, "session_user", same ? m->conf->user : m->conf->session_user);
    facts.read_at = time(NULL);
    if (!single)
        admin_open(m->conf, m->inherited.admin);
    int listener =
        rundir_enter(m->conf->run_dir, m->conf->backlog, single, m->inherited.lock, &session_user);
    const struct roles_exporter exporter = {admin_fd(), monitor_init(),
                                            logfile_for_exporter(m->log_fd), &session_user};
    roles_init(m->conf, listener, logfile_for_roles(m->log_fd), single ? 1 : m->conf->auth_workers,
               &user, &exporter);
    roles_renew_signer(keyring_fd());
    conf_wipe_secrets(m->conf);
    conf_wipe_environment();

    proctitle_set("master");
    catch_signals();
    sessions_init(m->conf, logfile_for_sessions(m->log_fd), &session_user, m->session);
    if (!waits_to_take_over(m))
        roles_start_exporter();
    roles_turn();
    if (single)
        serve_single(m->sockets);
}

int master_run(const struct master *m)
{
    begin(m);
    while (!finished(m)) {
        int64_t next = do_chores(m);
        if (!stop_asked || phase != SERVING)
            wait_for_work(m, next);
        if (child_died)
            reap();
        if (reload_asked && phase == SERVING)
            reload(m);
        if (takeover_asked)
            take_over(m);
    }
    if (waits_to_take_over(m))
        admin_leave();
    admin_close();
    rundir_leave();
    while (logfile_pass_on())
        continue;
    repeats_end();
    log_info("stopped");
    return 0;
}
