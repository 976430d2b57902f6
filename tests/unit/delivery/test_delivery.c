/*
 * The delivery of changes, held against a model: long random runs of the broker's own code on a
 * database that is none (database.h), every step checked.
 *
 * Users write, to each other and in groups, change what they wrote, come, go and read slowly; so do
 * those of other hosts; members come into groups and leave them; doorbells are lost, the link is
 * lost at any line, this host is taken for dead, another server takes over that lacks the last
 * changes. A client must see each change that concerns it once and
 * in order, without a hole, but for those that a later one of the same message has replaced; an
 * answer to each of its messages and edits, in the order of changes; and be told when the database
 * has lost what it knew. It hears of who comes and goes in the order of those changes, and knows in
 * the end who is online, but for those whom a block hides. It sees who writes to it only between
 * changes that are live, and only those whom it knows.
 *
 *   test_delivery [SEED [STEPS]]     one run, with the broker's log; otherwise RUNS of them
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "broker.h"
#include "database.h"
#include "feed.h"
#include "ipc_channel.h"
#include "limits.h"
#include "log.h"
#include "outbox.h"
#include "peer.h"
#include "requests.h"
#include "schedule.h"
#include "teams.h"

enum { RUNS = 120, STEPS = 4000, CLIENTS = 10, SENDS = 16, LIMIT = 8 * 1024, BURST = 150 };

struct sent {
    uint32_t seq;  /* 0: a free place */
    uint64_t edit; /* the message that it changes; 0: it sends one */
    char id[24];
};

static struct client {
    struct ipc_channel channel;
    int64_t user;
    uint64_t origin;
    bool open, attached, slow;
    bool knows;              /* last is the place of an earlier connection */
    bool resuming;           /* the answer to a RESUME is due */
    struct cursor last;      /* up to here it has everything */
    struct cursor resume_at; /* that it named with RESUME */
    uint32_t seq, attach_seq, resume_seq;
    struct sent sent[SENDS];
    uint64_t status; /* the number of the last status */
    bool online[STRANGERS];
} clients[CLIENTS];

static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0chatd-delivery-"};
static uint64_t seed;
static bool verbose; /* the broker's log is shown */
static unsigned events_seen, acks_seen, resumes_seen, losses_told, statuses_seen, typing_seen,
    edits_seen, group_messages_seen, moves_seen;

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# seed %llu: ", (unsigned long long)seed);                                     \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* In place of the C library's, for peer.c: each channel is one of another process, with a buffer
 * that is soon full. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    static int pid;
    int small = 1;
    (void)level;
    (void)name;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    *(struct ucred *)value = (struct ucred){.pid = ++pid};
    *size = sizeof(struct ucred);
    return 0;
}

/* --- the broker --- */

static void on_moment(void *arg)
{
    (void)arg;
}

/* One round of the main loop, which must not wait. */
static void turn(void)
{
    static struct loop_timer moment = {.call = on_moment};
    loop_timer_set(broker.loop, &moment, 0);
    loop_once(broker.loop);
    schedule_turn();
    outbox_flush();
    peers_reap();
}

static void start(void)
{
    static const struct peers_owner owner = {request_serve, feed_drained, feed_detach};
    conf_init(&broker.conf);
    broker.conf.session_queue = LIMIT;
    broker.conf.presence_debounce = 0;
    broker.conf.presence = CONF_PRESENCE_ALL;
    broker.conf.frame_rate = 0;
    broker.conf.max_connections_per_user = broker.conf.max_connections_per_address = 0;
    broker.conf.typing_rate = 1000;
    limits_init(&broker.conf, USERS);
    broker.loop = loop_new();
    log_init(verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE,
             verbose ? LOG_L_INFO : LOG_L_ERROR);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + 16, sizeof(address.sun_path) - 16, "%d", (int)getpid());
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, CLIENTS) < 0)
        die("no socket for the sessions");
    database_fill();
    schedule_init(-1);
    peers_init(fd, &owner);
}

/* --- what a client must see --- */

/* The connection that sent it has the acknowledgement. */
static bool is_own(const struct client *c, const struct message *m)
{
    return m->sender != m->receiver && m->origin == c->origin;
}

static bool concerns(const struct client *c, const struct message *m)
{
    if (m->group)
        return team_may_show(c->user, m) && !is_own(c, m);
    return (m->sender == c->user || m->receiver == c->user) && !is_own(c, m);
}

/* A client that is past its place must have got it. In a group that holds while the user's present
 * time there lasts, or the last one: what was missed of an earlier one is not shown any more. at:
 * as below. */
static bool is_due(const struct client *c, const struct message *m, const struct message *at)
{
    if (m->replaced || !concerns(c, m))
        return false;
    if (m->group)
        return team_is_due(c->user, m) && !(at && at->lost) &&
               (!m->members || team_shows(c->user, m));
    return at ? message_coexists(m, at) : !m->lost;
}

/* Nothing that concerns it lies between its place and this change. at: the change as it was, in a
 * life of the database that may be over; NULL: it is of today. */
static void require_no_hole(const struct client *c, uint64_t change, const struct message *at,
                            const char *what)
{
    for (unsigned i = database_count; i-- > 0;) {
        const struct message *m = &database_messages[i];
        if (m->id > c->last.change && m->id < change)
            REQUIRE(!is_due(c, m, at), "%s %llu: user %lld was at %llu and never got %llu", what,
                    (unsigned long long)change, (long long)c->user,
                    (unsigned long long)c->last.change, (unsigned long long)m->id);
    }
}

static void take_event(struct client *c, struct ipc_reader *r)
{
    struct cursor at = ipc_get_cursor(r);
    struct text frame = ipc_get_text(r, IPC_MAX_FRAME);
    REQUIRE(frame.n > 0 && c->attached, "an event for nobody");
    const struct message *m = &database_messages[strtoul(frame.p, NULL, 10)];
    REQUIRE(m->id == at.change && m->stamp == at.stamp, "event %llu with the place of another",
            (unsigned long long)m->id);
    REQUIRE(concerns(c, m), "event %llu, of group %lld, is not one of user %lld",
            (unsigned long long)m->id, (long long)m->group, (long long)c->user);
    if (c->resuming && at.change <= c->last.change)
        c->last = c->resume_at; /* from here on once more */
    REQUIRE(at.change > c->last.change, "event %llu behind %llu for user %lld",
            (unsigned long long)at.change, (unsigned long long)c->last.change, (long long)c->user);
    require_no_hole(c, at.change, m, "event");
    c->last = at;
    events_seen++;
    edits_seen += m->of > 0;
    group_messages_seen += m->group && !m->members;
    moves_seen += m->members > 0;
}

static void take_status(struct client *c, struct ipc_reader *r)
{
    uint64_t change = ipc_get_u64(r);
    struct text frame = ipc_get_text(r, IPC_MAX_FRAME);
    char text[256], online[6] = "";
    long long user = 0;
    snprintf(text, sizeof(text), "%.*s", (int)frame.n, frame.p);
    sscanf(text, "{\"type\":\"user_status\",\"data\":{\"user_id\":%lld,\"online\":%5[a-z]", &user,
           online);
    REQUIRE(c->attached, "a status for nobody");
    REQUIRE(user >= STRANGER && user < STRANGER + STRANGERS, "the status of nobody");
    REQUIRE(change > c->status, "status %llu behind %llu for user %lld", (unsigned long long)change,
            (unsigned long long)c->status, (long long)c->user);
    c->status = change;
    c->online[user - STRANGER] = strcmp(online, "true") == 0;
    statuses_seen++;
}

static void take_ephemeral(const struct client *c, struct ipc_reader *r)
{
    struct text frame = ipc_get_text(r, IPC_MAX_EPHEMERAL);
    char text[IPC_MAX_EPHEMERAL + 1];
    long long user = 0;
    snprintf(text, sizeof(text), "%.*s", (int)frame.n, frame.p);
    sscanf(text,
           "{\"type\":\"typing\",\"data\":{\"conversation_id\":7,\"user_id\":%lld,\"username\":"
           "\"name\"}}",
           &user);
    REQUIRE(user > 0 && user != c->user && database_knows(user, c->user), "typing of user %lld",
            user);
    REQUIRE(c->attached && (!c->resuming || c->resume_seq), "typing before what was missed");
    typing_seen++;
}

static struct sent *find_sent(struct client *c, uint32_t seq)
{
    for (int i = 0; i < SENDS; i++)
        if (c->sent[i].seq == seq)
            return &c->sent[i];
    return NULL;
}

static void take_sent(struct client *c, const struct ipc_message *got, struct ipc_reader *r)
{
    struct sent *s = find_sent(c, got->seq);
    uint64_t id = ipc_get_u64(r);
    ipc_get_u8(r);
    struct text text = ipc_get_text(r, IPC_MAX_CURSOR);
    REQUIRE(s && got->seq, "an answer to nothing");
    const struct message *m = s->edit ? NULL : database_find(c->user, s->id);
    REQUIRE(m ? m->id == id : s->edit == id, "\"%s\" was acknowledged as %llu, which is not stored",
            s->id, (unsigned long long)id);
    s->seq = 0;
    acks_seen++;
    struct cursor place;
    if (!cursor_parse(text.p, text.n, "0123456789ab", &place) || c->resuming)
        return;
    REQUIRE(place.change >= c->last.change, "acknowledgement %llu behind %llu",
            (unsigned long long)place.change, (unsigned long long)c->last.change);
    require_no_hole(c, place.change, NULL, "acknowledgement");
    c->last = place;
}

static void take_attached(struct client *c, const struct ipc_message *got, struct ipc_reader *r)
{
    REQUIRE(got->seq == c->attach_seq && !c->attached, "attached twice");
    ipc_get_text(r, IPC_MAX_TAG);
    struct cursor at = ipc_get_cursor(r);
    c->status = ipc_get_u64(r);
    for (int i = 0; i < STRANGERS; i++) /* it asks for the list of users */
        c->online[i] = database_shows_online(STRANGER + i, c->user);
    c->resuming = c->knows;
    c->resume_seq = 0;
    c->resume_at = at;
    c->last = at;
    c->attached = true;
}

static void take_resumed(struct client *c, const struct ipc_message *got, struct ipc_reader *r)
{
    bool recovered = ipc_get_u8(r);
    ipc_get_u64(r);
    struct cursor now = ipc_get_cursor(r);
    /* Without a number: after ATTACH, or because the database lost what this client knew. */
    REQUIRE(got->seq == 0 || got->seq == c->resume_seq, "resumed for somebody else");
    REQUIRE(c->resuming || (got->seq == 0 && !recovered), "resumed without a cause");
    if (recovered && c->last.change < now.change)
        require_no_hole(c, now.change + 1, NULL, "resumed at");
    if (got->seq == c->resume_seq)
        c->resuming = false;
    losses_told += !recovered;
    if (!recovered)
        c->status = 0; /* everything is told once more */
    resumes_seen++;
    c->last = now;
}

static void take_failed(struct client *c, const struct ipc_message *got)
{
    struct sent *s = find_sent(c, got->seq);
    if (c->resuming && got->seq == c->resume_seq)
        c->resuming = false;
    else if (got->seq == c->attach_seq && !c->attached)
        c->attach_seq = 0;
    else
        REQUIRE(s, "a refusal of nothing");
    if (s)
        s->seq = 0;
}

static void hang_up(struct client *c)
{
    ipc_channel_close(&c->channel);
    c->knows = c->knows || c->attached;
    c->open = c->attached = c->resuming = c->slow = false;
    memset(c->sent, 0, sizeof(c->sent));
}

/* False: there was nothing. */
static bool read_some(struct client *c)
{
    struct ipc_message m;
    int got, filled = ipc_channel_fill(&c->channel);
    REQUIRE(filled >= 0, "the broker ended the channel of user %lld", (long long)c->user);
    while ((got = ipc_channel_next(&c->channel, &m)) > 0) {
        struct ipc_reader r = ipc_read(&m);
        switch (m.type) {
        case IPC_EVENT:
            take_event(c, &r);
            break;
        case IPC_SENT:
            take_sent(c, &m, &r);
            break;
        case IPC_STATUS:
            take_status(c, &r);
            break;
        case IPC_EPHEMERAL:
            take_ephemeral(c, &r);
            break;
        case IPC_ATTACHED:
            take_attached(c, &m, &r);
            break;
        case IPC_RESUMED:
            take_resumed(c, &m, &r);
            break;
        case IPC_FAILED:
            take_failed(c, &m);
            break;
        default:
            REQUIRE(false, "a message of type %d", m.type);
        }
    }
    REQUIRE(got == 0, "not a message");
    return filled > 0;
}

/* --- what clients do --- */

static size_t begin(struct client *c, enum ipc_type type)
{
    return ipc_begin(&c->channel.out, type, ++c->seq);
}

static void end(struct client *c, size_t at)
{
    ipc_end(&c->channel.out, at);
    REQUIRE(ipc_channel_flush(&c->channel) == 0, "the broker is gone");
}

static void attach(struct client *c)
{
    char text[CURSOR_TEXT];
    size_t n = c->knows ? cursor_format(text, "0123456789ab", c->last) : 0;
    size_t at = begin(c, IPC_ATTACH);
    c->attach_seq = c->seq;
    ipc_put_text(&c->channel.out, text, n);
    ipc_put_u64(&c->channel.out, 0);
    end(c, at);
}

/* With what HELLO and AUTH come to. */
static void come(struct client *c)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "cannot connect");
    ipc_channel_init(&c->channel, fd, IPC_BY_BROKER);
    struct peer *p, *fresh = NULL;
    turn();
    for (size_t at = 0; (p = peer_next(&at));)
        if (p->state == IPC_IS_SILENT)
            fresh = p;
    REQUIRE(fresh, "not accepted");
    c->open = true;
    if (!c->user || chance(4) == 0) { /* another device, which knows nothing */
        c->user = 1 + chance(USERS);
        c->origin = ((uint64_t)chance(1u << 30) << 1) + 1;
        c->knows = false;
    }
    fresh->user = c->user;
    fresh->origin = c->origin;
    fresh->state = IPC_IS_BOUND;
    fresh->due_since = 0;
    attach(c);
}

static void put_group(struct client *c, uint64_t group)
{
    ipc_put_u64(&c->channel.out, GROUP + group);
    ipc_put_u8(&c->channel.out, IPC_NAMES_CONVERSATION);
}

/* By the user's id, or the conversation's. */
static void put_addressee(struct client *c, uint64_t receiver)
{
    bool by_conversation = chance(2);
    ipc_put_u64(&c->channel.out, by_conversation ? CONVERSATION + receiver : receiver);
    ipc_put_u8(&c->channel.out, by_conversation ? IPC_NAMES_CONVERSATION : IPC_NAMES_USER);
}

static void say(struct client *c)
{
    static unsigned count;
    struct sent *s = find_sent(c, 0);
    if (!s)
        return;
    if (!*s->id || chance(4))
        snprintf(s->id, sizeof(s->id), "m %u", ++count); /* otherwise the one before once more */
    size_t at = begin(c, IPC_SEND);
    s->seq = c->seq;
    s->edit = 0;
    /* The receiver is part of the id, so that the same id means the same message. */
    unsigned long number = strtoul(s->id + 2, NULL, 10);
    if (number % 3 == 0)
        put_group(c, 1 + number / 3 % GROUPS);
    else
        put_addressee(c, 1 + number % USERS);
    ipc_put_text(&c->channel.out, s->id, strlen(s->id));
    ipc_put_text(&c->channel.out, "hello", 5);
    ipc_put_u64(&c->channel.out, 0);
    ipc_put_u8(&c->channel.out, 0);
    end(c, at);
}

static void edit(struct client *c)
{
    struct sent *s = find_sent(c, 0);
    const struct message *m = database_message_of(c->user);
    if (!c->attached || !s || !m)
        return;
    bool reacts = chance(2) == 0;
    size_t at = begin(c, reacts ? IPC_REACT : IPC_EDIT);
    *s = (struct sent){.seq = c->seq, .edit = m->id};
    ipc_put_u64(&c->channel.out, 7);
    ipc_put_u64(&c->channel.out, m->id);
    ipc_put_u8(&c->channel.out, chance(2) == 0);
    ipc_put_text(&c->channel.out, "+1", reacts ? 2 : 0);
    end(c, at);
}

static void type(struct client *c)
{
    if (!c->attached)
        return;
    size_t at = begin(c, IPC_TYPING);
    put_addressee(c, 1 + chance(USERS));
    end(c, at);
}

static void ask_again(struct client *c)
{
    if (!c->attached || c->resuming)
        return;
    uint64_t back = chance(40);
    for (unsigned i = database_count; i-- > 0;) { /* the cursor of a change that there is */
        const struct message *m = &database_messages[i];
        if (m->lost || m->id + back > c->last.change)
            continue;
        c->resume_at = (struct cursor){m->id, m->stamp};
        char text[CURSOR_TEXT];
        size_t n = cursor_format(text, "0123456789ab", c->resume_at), at = begin(c, IPC_RESUME);
        c->resuming = true;
        c->resume_seq = c->seq;
        ipc_put_text(&c->channel.out, text, n);
        end(c, at);
        return;
    }
}

static void act(struct client *c)
{
    if (!c->open && chance(6))
        return; /* away for a while, without a row */
    if (!c->open)
        come(c);
    else if (!c->slow)
        read_some(c);
    switch (chance(16)) {
    case 0:
        hang_up(c);
        break;
    case 1:
        c->slow = true;
        break;
    case 2:
    case 3:
        c->slow = false;
        break;
    case 4:
        ask_again(c);
        break;
    case 5:
    case 6:
    case 7:
        say(c);
        break;
    case 8:
    case 9:
        type(c);
        break;
    case 10:
    case 11:
        edit(c);
        break;
    default:
        break;
    }
}

/* --- a run --- */

/* Until nothing moves any more. */
static void settle(void)
{
    for (int still = 0; still < 20; still++) {
        turn();
        if (database_step())
            still = 0;
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i].open && read_some(&clients[i]))
                still = 0;
    }
}

/* The link is lost for good; what was on its way to clients arrives before the database changes. */
static void fail_over(void)
{
    database_lose_link();
    settle();
    database_go_back();
}

static void harm(void)
{
    switch (chance(40)) {
    case 0:
        database_lose_link();
        break;
    case 1:
        database_remove_host();
        break;
    case 2:
        fail_over();
        break;
    case 3:
    case 4:
        database_ring(false);
        break;
    case 5:
        database_pass_time(chance(1500));
        break;
    case 9:
    case 10:
        database_pass_time(chance(50));
        break;
    case 6:
        for (int i = 0; i < BURST; i++)
            database_store_elsewhere();
        break;
    case 8:
        for (int i = 0; i < BURST; i++)
            database_flip_elsewhere();
        break;
    case 7: /* sessions come before anything is read, and more is lost */
        fail_over();
        database_attach();
        database_store_elsewhere();
        for (struct client *c = clients; c < clients + CLIENTS; c++)
            if (!c->open)
                come(c);
        for (int i = 0; i < 4; i++) {
            turn();
            database_step();
        }
        fail_over();
        break;
    default:
        break;
    }
}

static void step(void)
{
    switch (chance(5)) {
    case 0:
        act(&clients[chance(CLIENTS)]);
        break;
    case 1:
        database_step();
        break;
    case 2:
        database_ring(true);
        break;
    case 3:
        if (chance(3) == 0)
            database_store_elsewhere();
        if (chance(3) == 0)
            database_flip_elsewhere();
        if (chance(5) == 0)
            database_block_elsewhere();
        if (chance(3) == 0)
            database_type_elsewhere();
        if (chance(3) == 0)
            database_edit_elsewhere();
        if (chance(3) == 0)
            database_move_elsewhere();
        break;
    default:
        turn();
        break;
    }
    if (chance(6) == 0)
        database_attach();
    if (chance(8) == 0)
        harm();
}

/* Now that everything works again, everybody has everything. */
static void require_all(void)
{
    for (int round = 0; round < 4; round++) { /* the host finds out that it was removed; ticks */
        database_attach();
        settle();
        database_pass_time(3000);
    }
    settle();
    REQUIRE(database_link_is_up(), "the link is down");
    for (struct client *c = clients; c < clients + CLIENTS; c++) {
        for (int i = 0; i < SENDS; i++)
            REQUIRE(!c->sent[i].seq, "no answer to \"%s\"", c->sent[i].id);
        if (!c->open)
            continue;
        REQUIRE(c->attached && !c->resuming, "user %lld is not attached", (long long)c->user);
        require_no_hole(c, UINT64_MAX, NULL, "the end");
        for (int i = 0; i < STRANGERS; i++)
            REQUIRE(c->online[i] == database_shows_online(STRANGER + i, c->user),
                    "user %lld, told up to %llu, takes %d for %s", (long long)c->user,
                    (unsigned long long)c->status, STRANGER + i, c->online[i] ? "online" : "gone");
    }
}

static void run(uint64_t number, unsigned steps)
{
    seed = number;
    chance_seed(number);
    start();
    for (unsigned i = 0; i < steps; i++)
        step();
    for (unsigned i = 0; i < steps && typing_seen == 0; i++) /* where few were ever live */
        step();
    require_all();
    peers_stop();
    peers_free();
    schedule_free();
    limits_free();
    loop_free(broker.loop);
    conf_free(&broker.conf);
    REQUIRE(events_seen > steps / 20 && acks_seen > 0 && resumes_seen > 0 && statuses_seen > 0 &&
                typing_seen > 0 && edits_seen > 0 && group_messages_seen > 0 && moves_seen > 0,
            "too little happened: %u events, %u of them edits, %u messages of groups and %u of "
            "members, %u acks, %u resumes, %u statuses, %u typing",
            events_seen, edits_seen, group_messages_seen, moves_seen, acks_seen, resumes_seen,
            statuses_seen, typing_seen);
}

/* A run in a process of its own: the broker's parts have their state in static variables. */
static bool run_apart(uint64_t number, unsigned steps)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run(number, steps);
        exit(0);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void every_client_sees_each_change_once_and_in_order(void)
{
    for (uint64_t number = 1; number <= RUNS; number++)
        CHECK(run_apart(number, STEPS));
}

static void so_it_does_with_a_seed_that_nobody_chose(void)
{
    uint64_t number = (uint64_t)getpid() * 1000003u;
    printf("# seed %llu\n", (unsigned long long)number);
    CHECK(run_apart(number, STEPS));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        verbose = true;
        run(strtoull(argv[1], NULL, 10), argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : STEPS);
        printf("%u events, %u acknowledgements, %u resumes, %u losses told of, %u typing, "
               "%u messages\n",
               events_seen, acks_seen, resumes_seen, losses_told, typing_seen, database_count);
        return 0;
    }
    RUN(every_client_sees_each_change_once_and_in_order);
    RUN(so_it_does_with_a_seed_that_nobody_chose);
    return DONE();
}
