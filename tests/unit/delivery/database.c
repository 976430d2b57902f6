/* The database of the model; see database.h. What each statement does is in sql/. */
#include "database.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "db.h"
#include "link.h"
#include "log.h"
#include "pool.h"
#include "position.h"
#include "teams.h"

enum { MESSAGES = 20000, ROWS = 1000, JOBS = 256, READERS = 2 };

struct message database_messages[MESSAGES];
unsigned database_count;
static uint64_t sequence;
static unsigned life = 1;

static struct row {
    int64_t host, session, user;
} rows[ROWS];
static unsigned row_count;
static int64_t attached; /* the number under which this host has a row; 0: it has none */
static uint64_t bells[ROWS];
static unsigned bell_count;

/* --- chance and time --- */

static uint64_t state;

void chance_seed(uint64_t seed)
{
    state = seed * 2 + 1;
}

unsigned chance(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 24) % n);
}

static int64_t now = 1000000;

int64_t clock_ms(void)
{
    return now;
}

int64_t clock_us(void)
{
    return now * 1000;
}

int clock_until(int64_t deadline)
{
    (void)deadline;
    return 0; /* nothing here waits for the time */
}

void database_pass_time(int64_t ms)
{
    now += ms;
}

/* --- what is stored --- */

bool message_coexists(const struct message *a, const struct message *b)
{
    unsigned a_lost = a->lost ? a->lost : life + 1, b_lost = b->lost ? b->lost : life + 1;
    return a->born < b_lost && b->born < a_lost;
}

static bool is_message(const struct message *m)
{
    return !m->lost && !m->of && !m->members;
}

const struct message *database_find(int64_t sender, const char *client_id)
{
    for (unsigned i = database_count; i-- > 0;) {
        const struct message *m = &database_messages[i];
        if (is_message(m) && m->sender == sender && strcmp(m->client_id, client_id) == 0)
            return m;
    }
    return NULL;
}

static struct message *store(int64_t sender, int64_t receiver, uint64_t origin, const char *id)
{
    if (database_count == MESSAGES)
        bug("more than %d messages", MESSAGES);
    struct message *m = &database_messages[database_count++];
    sequence += chance(8) ? 1 : 2; /* what is rolled back leaves a hole */
    *m = (struct message){.id = sequence,
                          .stamp = chance(1000000),
                          .sender = sender,
                          .receiver = receiver,
                          .origin = origin,
                          .born = life};
    snprintf(m->client_id, sizeof(m->client_id), "%s", id);
    return m;
}

bool message_stands(const struct message *m)
{
    unsigned place = (unsigned)(m - database_messages) + 1;
    return !m->lost && (!m->of || database_messages[m->of - 1].latest == place);
}

/* That of the last message at or before this change. */
static uint32_t stamp_at(uint64_t change)
{
    for (unsigned i = database_count; i-- > 0;) {
        const struct message *m = &database_messages[i];
        if (is_message(m) && m->id <= change)
            return m->stamp;
    }
    return 0;
}

static struct cursor last(void)
{
    for (unsigned i = database_count; i-- > 0;)
        if (message_stands(&database_messages[i]))
            return (struct cursor){database_messages[i].id, stamp_at(database_messages[i].id)};
    return (struct cursor){0, 0};
}

static bool honoured(int64_t change, int64_t stamp)
{
    return change >= 0 && (uint64_t)change <= last().change && stamp_at((uint64_t)change) == stamp;
}

const struct message *database_message_of(int64_t user)
{
    unsigned skip = chance(5);
    for (unsigned i = database_count; i-- > 0;) {
        const struct message *m = &database_messages[i];
        if (is_message(m) && m->sender == user && skip-- == 0)
            return m;
    }
    return NULL;
}

static struct message *find_id(uint64_t id)
{
    for (unsigned i = database_count; i-- > 0;)
        if (is_message(&database_messages[i]) && database_messages[i].id == id)
            return &database_messages[i];
    return NULL;
}

/* The new state stands at the place of the change, in place of the one before. */
static const struct message *edit(struct message *m)
{
    uint32_t stamp = stamp_at(UINT64_MAX);
    struct message *change = store(m->sender, m->receiver, 0, "");
    change->group = m->group;
    change->stamp = stamp;
    change->of = (unsigned)(m - database_messages) + 1;
    change->before = m->latest;
    if (m->latest)
        database_messages[m->latest - 1].replaced = true;
    m->latest = (unsigned)(change - database_messages) + 1;
    return change;
}

static bool has_session(int64_t host, int64_t user)
{
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].host == host && rows[i].user == user)
            return true;
    return false;
}

/* --- who is online --- */

static struct stranger {
    bool shown, online; /* shown: has a row */
    bool known;         /* this host has read that he is online, and takes him for it */
    uint64_t change;
} strangers[STRANGERS];
static uint64_t presence_sequence;
static uint64_t presence_rung; /* a bell is on its way */

/* The first strangers and each user: who blocks whom is the same both ways. */
enum { BLOCKERS = 60 };
static struct pair {
    uint64_t change; /* of the last block, or end of one; 0: there was none */
    bool blocked;
} pairs[BLOCKERS][USERS + 1];

static struct pair *pair_of(const struct stranger *s, int64_t user)
{
    return s - strangers < BLOCKERS ? &pairs[s - strangers][user] : NULL;
}

static bool is_blocked(const struct stranger *s, int64_t user, uint64_t below)
{
    const struct pair *p = pair_of(s, user);
    return p && p->blocked && p->change < below;
}

static void flip(struct stranger *s, bool online)
{
    *s = (struct stranger){true, online, s->known, ++presence_sequence};
}

void database_fill(void)
{
    for (unsigned i = 0; i < STRANGERS; i++)
        flip(&strangers[i], chance(4) == 0);
}

bool database_shows_online(int64_t stranger, int64_t user)
{
    const struct stranger *s = &strangers[stranger - STRANGER];
    return s->shown && s->online && !is_blocked(s, user, UINT64_MAX);
}

void database_flip_elsewhere(void)
{
    struct stranger *s = &strangers[chance(2) ? chance(STRANGERS) : chance(BLOCKERS)];
    if (!s->shown) /* only this host knows, and says so in a moment */
        return;
    flip(s, !s->online);
    presence_rung = attached ? presence_sequence : 0;
}

void database_block_elsewhere(void)
{
    struct stranger *s = &strangers[chance(BLOCKERS)];
    struct pair *p = pair_of(s, 1 + chance(USERS));
    presence_sequence += 2; /* one number tells of the stranger */
    *p = (struct pair){presence_sequence, !p->blocked};
    presence_rung = attached ? presence_sequence : 0;
}

static uint64_t presence_last(void)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < STRANGERS; i++)
        if (strangers[i].shown && strangers[i].change > found)
            found = strangers[i].change;
    for (struct pair *p = pairs[0]; p < pairs[BLOCKERS]; p++)
        if (p->change > found)
            found = p->change;
    return found;
}

/* What came behind the last number is no more. */
static void forget_blocks(void)
{
    for (struct pair *p = pairs[0]; p < pairs[BLOCKERS]; p++)
        if (p->change > presence_sequence)
            *p = (struct pair){0};
}

/* A crash empties the table. Who was online comes back, but for some of those whom this host knows.
 * Whoever had gone keeps the row: a client that is behind learns of it nowhere else. */
static void forget_presence(bool back)
{
    if (back)
        presence_sequence -= chance(200);
    forget_blocks();
    uint64_t last = presence_sequence;
    for (unsigned i = 0; i < STRANGERS; i++) {
        struct stranger *s = &strangers[i];
        if (s->online && s->known && i >= BLOCKERS && chance(4) == 0)
            *s = (struct stranger){.known = true};
        else if (s->online || s->change > last)
            flip(s, s->online);
    }
}

/* --- parameters and results --- */

struct params {
    const struct db_params *p;
    int next;
};

static int64_t big_endian(const uint8_t *p, int size)
{
    uint64_t v = 0;
    for (int i = 0; i < size; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

static int64_t param_int(struct params *p)
{
    int i = p->next++;
    return big_endian(buf_head(&p->p->bytes) + p->p->at[i], p->p->length[i]);
}

/* An array: how many there are, then one element after the other. */
struct array {
    const uint8_t *at;
    int64_t count;
};

static struct array param_array(struct params *p)
{
    const uint8_t *at = buf_head(&p->p->bytes) + p->p->at[p->next++];
    if (big_endian(at, 4) == 0)
        return (struct array){at, 0};
    return (struct array){at + 20, big_endian(at + 12, 4)};
}

static const uint8_t *array_next(struct array *a, int *size)
{
    const uint8_t *at = a->at + 4;
    *size = (int)big_endian(a->at, 4);
    a->at = at + *size;
    return at;
}

static int64_t array_int(struct array *a)
{
    int size;
    const uint8_t *at = array_next(a, &size);
    return big_endian(at, size);
}

static PGresult *table(int columns)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc d[8] = {0};
    for (int i = 0; i < columns; i++)
        d[i] = (PGresAttDesc){.name = (char *)"", .format = 1};
    PQsetResultAttrs(r, columns, d);
    return r;
}

static PGresult *refused(void)
{
    return PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
}

static void set_int(PGresult *r, int row, int column, int64_t v)
{
    uint64_t big = htobe64((uint64_t)v);
    PQsetvalue(r, row, column, (char *)&big, sizeof(big));
}

static void set_bool(PGresult *r, int row, int column, bool v)
{
    char byte = v;
    PQsetvalue(r, row, column, &byte, 1);
}

static void set_text(PGresult *r, int row, int column, const char *text)
{
    PQsetvalue(r, row, column, (char *)text, (int)strlen(text));
}

static void set_cursor(PGresult *r, int row, int column, struct cursor c)
{
    set_int(r, row, column, (int64_t)c.change);
    set_int(r, row, column + 1, c.stamp);
}

/* A frame names the message, and is as long as it takes to fill queues now and then. */
static int frame_size(const struct message *m)
{
    return m->id % 23 ? 100 : 4000;
}

static void set_frame(PGresult *r, int row, int column, const struct message *m)
{
    char text[4096];
    int n = snprintf(text, sizeof(text), "%u ", (unsigned)(m - database_messages));
    int size = frame_size(m);
    memset(text + n, '.', (size_t)(size - n));
    PQsetvalue(r, row, column, text, size);
}

static void set_users(PGresult *r, int row, int column, const int64_t *users, int count)
{
    struct db_params p = {0};
    db_param_array(&p, DB_INT8_OID, (size_t)count);
    for (int i = 0; i < count; i++)
        db_array_int8(&p, users[i]);
    db_array_end(&p);
    PQsetvalue(r, row, column, (char *)buf_head(&p.bytes), (int)buf_len(&p.bytes));
    buf_free(&p.bytes);
}

static void set_event(PGresult *r, int row, const struct message *m)
{
    int64_t users[] = {m->receiver, m->sender};
    set_cursor(r, row, 0, (struct cursor){m->id, m->stamp});
    set_users(r, row, 2, users, m->group ? 0 : m->sender == m->receiver ? 1 : 2);
    if (m->sender != m->receiver)
        set_int(r, row, 3, (int64_t)m->origin);
    set_frame(r, row, 4, m);
    if (!m->group)
        return;
    set_int(r, row, 5, GROUP + m->group);
    set_int(r, row, 6, (int64_t)message_subject(m));
}

/* What became of the users whom a change of a group names: for the host, by the rows as they are.
 */
static void set_membership(PGresult *r, int row, int64_t here, const struct message *m)
{
    int64_t users[USERS], since = (int64_t)m->id;
    int count = 0;
    for (int64_t user = 1; user <= USERS; user++) {
        const struct member *member = team_member(m->group, user);
        if (!(m->members & 1u << user) ||
            (m->made && (member->joined != m->id || !has_session(here, user))))
            continue;
        users[count++] = user;
        since = (int64_t)member->since;
    }
    set_users(r, row, 2, users, count);
    set_int(r, row, 7, m->gone ? -1 : since);
}

/* --- statements --- */

enum { PAGE_BYTES = 12000 };

struct page {
    PGresult *rows;
    int64_t rows_left, bytes_left;
};

static bool has_room(const struct page *p)
{
    return p->rows_left > 0 && p->bytes_left > 0;
}

static void put_event(struct page *p, const struct message *m)
{
    set_event(p->rows, PQntuples(p->rows), m);
    p->rows_left--;
    p->bytes_left -= frame_size(m);
}

/* May it concern anybody at this host? */
static bool is_here(const struct message *m, int64_t here)
{
    if (!m->group)
        return has_session(here, m->receiver) || has_session(here, m->sender);
    bool found = m->members || team_is_large(m->group);
    for (int64_t user = 1; user <= USERS && !found; user++)
        found = team_member(m->group, user)->is_row &&
                team_member(m->group, user)->until > message_subject(m) && has_session(here, user);
    return found;
}

static PGresult *event_read(struct params *p)
{
    int64_t host = param_int(p), after = param_int(p), most = param_int(p);
    if (host != attached)
        return refused();
    struct page page = {table(8), most, PAGE_BYTES};
    for (unsigned i = 0; i < database_count && has_room(&page); i++) {
        const struct message *m = &database_messages[i];
        if (!message_stands(m) || m->id <= (uint64_t)after || !is_here(m, host))
            continue;
        put_event(&page, m);
        if (m->members)
            set_membership(page.rows, PQntuples(page.rows) - 1, host, m);
    }
    if (has_room(&page) && last().change > (uint64_t)after)
        set_cursor(page.rows, PQntuples(page.rows), 0, last());
    return page.rows;
}

static PGresult *event_read_user(struct params *p)
{
    int64_t user = param_int(p), after = param_int(p), upto = param_int(p), most = param_int(p);
    struct page page = {table(8), most, PAGE_BYTES};
    for (unsigned i = 0; i < database_count && has_room(&page); i++) {
        const struct message *m = &database_messages[i];
        if (message_stands(m) && m->id > (uint64_t)after && m->id <= (uint64_t)upto &&
            (m->group ? team_shows(user, m) : m->receiver == user || m->sender == user))
            put_event(&page, m);
    }
    if (has_room(&page))
        set_cursor(page.rows, PQntuples(page.rows), 0, (struct cursor){(uint64_t)upto, 0});
    return page.rows;
}

static bool is_grouped(int64_t user)
{
    for (int64_t group = 1; group <= GROUPS; group++)
        if (team_member(group, user)->here)
            return true;
    return false;
}

static PGresult *group_list(struct params *p)
{
    struct array users = param_array(p);
    uint64_t after = (uint64_t)param_int(p);
    PGresult *r = table(5);
    for (int64_t i = 0; i < users.count; i++) {
        int64_t user = array_int(&users);
        for (int64_t group = 1; group <= GROUPS; group++) {
            const struct member *m = team_member(group, user);
            int row = PQntuples(r);
            if (!m->is_row || m->until <= after)
                continue;
            set_int(r, row, 0, user);
            set_int(r, row, 1, GROUP + group);
            set_int(r, row, 2, (int64_t)m->since);
            if (!m->here)
                set_int(r, row, 3, (int64_t)m->until);
            set_int(r, row, 4, (int64_t)m->joined);
        }
        set_int(r, PQntuples(r), 0, user); /* without a group */
    }
    return r;
}

static PGresult *session_open(struct params *p)
{
    int64_t host = param_int(p);
    if (host != attached)
        return refused();
    struct array ids = param_array(p), users = param_array(p), changes = param_array(p),
                 stamps = param_array(p);
    PGresult *r = table(7);
    for (int row = 0; row < ids.count; row++) {
        int64_t id = array_int(&ids), user = array_int(&users);
        rows[row_count++] = (struct row){host, id, user};
        if (row_count == ROWS)
            bug("more than %d sessions", ROWS);
        set_int(r, row, 0, id);
        set_bool(r, row, 1, true);
        set_cursor(r, row, 2, last());
        set_int(r, row, 4, (int64_t)presence_sequence);
        int64_t change = array_int(&changes), stamp = array_int(&stamps);
        set_bool(r, row, 5, honoured(change, stamp));
        set_bool(r, row, 6, is_grouped(user));
    }
    return r;
}

static PGresult *session_close(struct params *p)
{
    int64_t host = param_int(p);
    if (host != attached)
        return refused();
    struct array ids = param_array(p);
    for (int64_t i = 0; i < ids.count; i++) {
        int64_t id = array_int(&ids);
        for (unsigned n = row_count; n-- > 0;)
            if (rows[n].host == host && rows[n].session == id)
                rows[n] = rows[--row_count];
    }
    return table(1);
}

/* The last parameter: which conversations are named; null: none. */
static struct array param_conversations(struct params *p)
{
    p->next += 2; /* the quota */
    return p->p->length[p->next] < 0 ? (struct array){NULL, 0} : param_array(p);
}

static const struct message *store_to(int64_t sender, int64_t receiver, int64_t group,
                                      uint64_t origin, const char *id)
{
    struct message *m = store(sender, receiver, origin, id);
    m->group = group;
    return m;
}

static PGresult *message_send(struct params *p)
{
    int64_t host = param_int(p);
    if (host != attached)
        return refused();
    struct array senders = param_array(p), receivers = param_array(p), ids = param_array(p),
                 origins = param_array(p), contents = param_array(p), framed = param_array(p);
    struct array conversations = param_conversations(p);
    (void)contents;
    PGresult *r = table(8);
    bool all_new = true;
    for (int row = 0; row < senders.count; row++) {
        int size;
        int64_t sender = array_int(&senders), receiver = array_int(&receivers);
        int64_t conversation = conversations.count > 0 ? array_int(&conversations) : 0;
        int64_t group = conversation > GROUP ? conversation - GROUP : 0;
        if (group)
            receiver = 0;
        else if (conversation)
            receiver = conversation - CONVERSATION;
        uint64_t origin = (uint64_t)array_int(&origins);
        char id[24];
        const uint8_t *text = array_next(&ids, &size);
        snprintf(id, sizeof(id), "%.*s", size, (const char *)text);
        const struct message *m = database_find(sender, id);
        bool new = !m, refused = new &&group && !team_member(group, sender)->here;
        all_new = all_new && new && !refused;
        set_int(r, row, 0, row + 1);
        if (refused) {
            set_text(r, row, 1, "unknown_conversation");
            array_int(&framed);
            continue;
        }
        if (new)
            m = store_to(sender, receiver, group, origin, id);
        set_text(r, row, 1, "ok");
        set_cursor(r, row, 2, (struct cursor){m->id, m->stamp});
        set_bool(r, row, 4, !new);
        set_bool(r, row, 5, m->origin == origin);
        if (!group)
            set_int(r, row, 7, receiver);
        if (array_int(&framed) && new)
            set_frame(r, row, 6, m);
    }
    for (int row = 0; !all_new && row < PQntuples(r); row++)
        PQsetvalue(r, row, 6, NULL, -1);
    return r;
}

/* Whoever has left changes nothing, and who came again nothing of before. */
static bool may_change(int64_t user, const struct message *m)
{
    return team_member(m->group, user)->here && team_shows(user, m);
}

/* Now and then a change is none: the message is so already. */
static PGresult *message_change(struct params *p)
{
    int64_t host = param_int(p);
    if (host != attached)
        return refused();
    struct array users = param_array(p), conversations = param_array(p), ids = param_array(p);
    (void)conversations;
    PGresult *r = table(5);
    for (int row = 0; row < users.count; row++) {
        int64_t user = array_int(&users);
        struct message *m = find_id((uint64_t)array_int(&ids));
        bool known = m && m->sender == user && (!m->group || may_change(user, m));
        set_int(r, row, 0, row + 1);
        set_text(r, row, 1, known ? "ok" : "unknown_message");
        if (!known)
            continue;
        const struct message *present = m->latest ? &database_messages[m->latest - 1] : m;
        if (chance(4))
            present = edit(m);
        set_cursor(r, row, 2, (struct cursor){present->id, present->stamp});
        set_int(r, row, 4, 5);
    }
    return r;
}

static PGresult *cursor_is_honoured(struct params *p)
{
    int64_t change = param_int(p), stamp = param_int(p);
    PGresult *r = table(1);
    set_bool(r, 0, 0, honoured(change, stamp));
    return r;
}

static PGresult *host_beat(struct params *p)
{
    return param_int(p) == attached ? table(3) : refused();
}

static struct stranger *next_after(uint64_t change)
{
    struct stranger *found = NULL;
    for (unsigned i = 0; i < STRANGERS; i++)
        if (strangers[i].shown && strangers[i].change > change &&
            (!found || strangers[i].change < found->change))
            found = &strangers[i];
    return found;
}

/* The first change after this one by which a user sees a stranger otherwise; 0: there is none. */
static uint64_t next_view(uint64_t change, struct stranger **s, int64_t *user)
{
    uint64_t found = 0;
    for (int i = 0; i < BLOCKERS; i++)
        for (int64_t u = 1; u <= USERS; u++) {
            uint64_t at = pairs[i][u].change;
            if (at <= change || (found && at > found))
                continue;
            found = at;
            *s = &strangers[i];
            *user = u;
        }
    return found;
}

static void set_status(PGresult *r, int row, uint64_t change, const struct stranger *s, bool online)
{
    set_int(r, row, 0, (int64_t)change);
    set_int(r, row, 1, STRANGER + (s - strangers));
    set_text(r, row, 2, "stranger");
    set_bool(r, row, 3, online);
}

static void set_change(PGresult *r, int row, const struct stranger *s)
{
    int64_t hidden[USERS];
    int count = 0;
    set_status(r, row, s->change, s, s->online);
    for (int64_t user = 1; user <= USERS; user++)
        if (is_blocked(s, user, s->change))
            hidden[count++] = user;
    set_users(r, row, 5, hidden, count);
}

static void set_view(PGresult *r, int row, uint64_t change, const struct stranger *s, int64_t user)
{
    bool blocked = is_blocked(s, user, UINT64_MAX);
    set_status(r, row, change, s, s->online && !blocked);
    bool heard = s->online || (blocked && s->change > change);
    set_users(r, row, 4, &user, heard ? 1 : 0);
    set_bool(r, row, 6, true);
}

static PGresult *presence_page(int64_t after, int64_t most)
{
    PGresult *r = table(7);
    for (int row = 0; row < most; row++) {
        struct stranger *s = next_after((uint64_t)after), *other = NULL;
        int64_t user = 0;
        uint64_t view = next_view((uint64_t)after, &other, &user);
        if (!s && !view)
            break;
        if (view && (!s || view < s->change))
            set_view(r, row, view, other, user);
        else
            set_change(r, row, s);
        after = big_endian((uint8_t *)PQgetvalue(r, row, 0), 8);
    }
    return r;
}

static PGresult *presence_read_page(struct params *p)
{
    int64_t host = param_int(p), after = param_int(p), most = param_int(p);
    return host == attached ? presence_page(after, most) : refused();
}

static PGresult *presence_read_user(struct params *p)
{
    param_int(p);
    int64_t after = param_int(p), most = param_int(p);
    return presence_page(after, most);
}

static PGresult *presence_online(struct params *p)
{
    int64_t host = param_int(p), after = param_int(p), upto = param_int(p), most = param_int(p);
    if (host != attached)
        return refused();
    PGresult *r = table(2);
    struct stranger *s;
    for (int row = 0; row < most && (s = next_after((uint64_t)after));) {
        after = (int64_t)s->change;
        if (after > upto)
            break;
        if (!s->online)
            continue;
        set_int(r, row, 0, after);
        set_int(r, row++, 1, STRANGER + (s - strangers));
    }
    return r;
}

static PGresult *presence_check(struct params *p)
{
    struct array ids = param_array(p);
    for (int64_t i = 0; i < ids.count; i++) {
        struct stranger *s = &strangers[array_int(&ids) - STRANGER];
        if (!s->shown || !s->online)
            flip(s, false);
    }
    presence_rung = presence_sequence;
    return table(1);
}

bool database_knows(int64_t user, int64_t other)
{
    return (user + other) % 3 > 0;
}

static PGresult *typing_tell(struct params *p)
{
    int64_t here = param_int(p);
    struct array senders = param_array(p), receivers = param_array(p),
                 conversations = param_array(p);
    PGresult *r = table(4);
    for (int64_t i = 0, row = 0; i < senders.count; i++) {
        int64_t sender = array_int(&senders), receiver = array_int(&receivers),
                conversation = array_int(&conversations);
        if (conversation)
            receiver = conversation - CONVERSATION;
        if (sender == receiver || !database_knows(sender, receiver) || !has_session(here, receiver))
            continue;
        set_int(r, (int)row, 0, receiver);
        set_int(r, (int)row, 1, 7);
        set_int(r, (int)row, 2, sender);
        set_text(r, (int)row++, 3, "name");
    }
    return r;
}

static PGresult *execute(enum statement statement, const struct db_params *params)
{
    struct params p = {params, 0};
    switch (statement) {
    case STATEMENT_EVENT_READ:
        return event_read(&p);
    case STATEMENT_EVENT_READ_USER:
        return event_read_user(&p);
    case STATEMENT_GROUP_LIST:
        return group_list(&p);
    case STATEMENT_SESSION_OPEN:
        return session_open(&p);
    case STATEMENT_SESSION_CLOSE:
        return session_close(&p);
    case STATEMENT_MESSAGE_SEND:
        return message_send(&p);
    case STATEMENT_MESSAGE_CHANGE:
        return message_change(&p);
    case STATEMENT_CURSOR_HONOURED:
        return cursor_is_honoured(&p);
    case STATEMENT_TYPING_TELL:
        return typing_tell(&p);
    case STATEMENT_HOST_BEAT:
        return host_beat(&p);
    case STATEMENT_PRESENCE_READ:
        return presence_read_page(&p);
    case STATEMENT_PRESENCE_ONLINE:
        return presence_online(&p);
    case STATEMENT_PRESENCE_READ_USER:
        return presence_read_user(&p);
    case STATEMENT_PRESENCE_CHECK:
        return presence_check(&p);
    default:
        return table(5); /* no token ever changes */
    }
}

/* --- connections --- */

struct db {
    bool busy;
    enum statement statement;
    struct db_params params;
    db_done *done;
    void *arg;
    PGresult *result; /* once it is executed */
};

static struct db listener, writer, readers[READERS];

bool db_ready(const struct db *db)
{
    return !db->busy;
}

void db_run(struct db *db, enum statement statement, struct db_params *p, db_done *done, void *arg)
{
    static enum statement before;
    if (db->busy)
        bug("two statements at a time");
    if (db == &listener) {
        if (statement == STATEMENT_PRESENCE_READ && before == statement && position_is_started() &&
            position_is_behind())
            bug("a page of presence after the other while there are changes to read");
        before = statement;
    }
    *db = (struct db){true, statement, *p, done, arg, NULL};
    *p = (struct db_params){0};
}

bool db_ok(const PGresult *result)
{
    return result && PQresultStatus(result) == PGRES_TUPLES_OK;
}

bool db_host_removed(const PGresult *result)
{
    return result && PQresultStatus(result) == PGRES_FATAL_ERROR; /* nothing else is refused */
}

enum ipc_error db_error(const PGresult *result)
{
    return result ? IPC_E_INTERNAL : IPC_E_UNAVAILABLE;
}

/* What this host learns of who is online. */
static void learn(enum statement statement, const PGresult *result)
{
    bool changes = statement == STATEMENT_PRESENCE_READ;
    if (!changes && statement != STATEMENT_PRESENCE_ONLINE)
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        bool view = changes && !PQgetisnull(result, i, 6);
        int64_t user = big_endian((uint8_t *)PQgetvalue(result, i, 1), 8);
        if (!view)
            strangers[user - STRANGER].known = !changes || *PQgetvalue(result, i, 3);
    }
}

/* answered: false: the connection is lost. */
static void finish(struct db *db, bool answered)
{
    struct db was = *db;
    *db = (struct db){0};
    buf_free(&was.params.bytes);
    if (answered)
        learn(was.statement, was.result);
    was.done(was.arg, answered ? was.result : NULL);
    PQclear(was.result);
}

static bool readers_hang; /* what they have read arrives late: when the link is back */

static bool step(struct db *db)
{
    if (!db->busy || (readers_hang && db != &listener && db != &writer))
        return false;
    if (db->result)
        finish(db, true);
    else
        db->result = execute(db->statement, &db->params);
    return true;
}

/* What waits for one of the readers. */
static struct db jobs[JOBS];
static unsigned job_count;

void pool_run(const struct peer *p, enum statement statement, struct db_params *params,
              db_done *done, void *arg)
{
    (void)p;
    if (job_count == JOBS) {
        buf_free(&params->bytes);
        done(arg, NULL);
        return;
    }
    jobs[job_count++] = (struct db){true, statement, *params, done, arg, NULL};
    *params = (struct db_params){0};
}

void pool_link_up(void)
{
}

void pool_link_lost(void)
{
}

static void start_jobs(void)
{
    for (int i = 0; i < READERS; i++) {
        if (readers[i].busy || job_count == 0)
            continue;
        readers[i] = jobs[0];
        memmove(&jobs[0], &jobs[1], --job_count * sizeof(jobs[0]));
    }
}

bool database_step(void)
{
    start_jobs();
    struct db *all[] = {&listener, &writer, &readers[0], &readers[1]};
    unsigned first = chance(4);
    for (unsigned i = 0; i < 4; i++)
        if (step(all[(first + i) % 4]))
            return true;
    return false;
}

/* --- the link --- */

static const struct link_owner *owner;
static enum { DOWN, OPENING, UP } link;
static int64_t host, last_host;

void link_init(int status_fd, const struct link_owner *hears)
{
    (void)status_fd;
    owner = hears;
}

void link_free(void)
{
}

bool link_is_up(void)
{
    return link == UP;
}

bool database_link_is_up(void)
{
    return link == UP;
}

bool link_is_hopeless(void)
{
    return false;
}

int64_t link_host(void)
{
    return host;
}

const char *link_tag(void)
{
    return "0123456789ab";
}

struct db *link_listener(void)
{
    return link != DOWN && !listener.busy ? &listener : NULL;
}

struct db *link_writer(void)
{
    return link != DOWN && !writer.busy ? &writer : NULL;
}

void link_set_up(void)
{
    link = UP;
    owner->up();
}

static void lose(void)
{
    if (link == DOWN)
        return;
    link = DOWN;
    host = attached = 0;
    bell_count = 0;
    presence_rung = 0;
    row_count = 0; /* removed by another host */
    if (listener.busy)
        finish(&listener, false);
    if (writer.busy)
        finish(&writer, false);
    owner->down();
}

bool link_ok(const PGresult *result, const char *what)
{
    (void)what;
    if (db_ok(result))
        return true;
    if (result)
        lose();
    return false;
}

void database_lose_link(void)
{
    if (writer.busy && !writer.result && chance(2))
        writer.result = execute(writer.statement, &writer.params); /* committed, and not answered */
    lose();
    readers_hang = chance(2);
    for (int i = 0; i < READERS; i++)
        if (readers[i].busy && !readers_hang)
            finish(&readers[i], false);
}

void database_attach(void)
{
    if (link != DOWN)
        return;
    readers_hang = false;
    link = OPENING;
    host = attached = ++last_host;
    owner->attached(honoured((int64_t)position_known().change, position_known().stamp), last(),
                    presence_last());
}

void database_remove_host(void)
{
    attached = 0;
    row_count = 0;
}

static void ring_for(const struct message *m)
{
    if (attached && bell_count < ROWS && is_here(m, attached))
        bells[bell_count++] = m->id;
}

void database_store_elsewhere(void)
{
    static unsigned count;
    char id[24];
    snprintf(id, sizeof(id), "elsewhere %u", ++count);
    int64_t sender = 1 + chance(USERS), receiver = 1 + chance(USERS), group = 1 + chance(GROUPS);
    if (team_member(group, sender)->here && chance(2))
        ring_for(store_to(sender, 0, group, 0, id));
    else
        ring_for(store(sender, receiver, 0, id));
}

/* Those who are in a group from its beginning, at least one. */
static unsigned first_members(void)
{
    unsigned found = 1u << (1 + chance(USERS));
    for (int user = 1; user <= USERS; user++)
        found |= chance(3) ? 0 : 1u << user;
    return found;
}

/* What was last said of the member is shown to nobody any more who comes back. */
static void replace_row(int64_t group, int64_t user)
{
    uint64_t changed = team_member(group, user)->changed;
    for (unsigned i = database_count; i-- > 0 && changed;)
        if (!database_messages[i].lost && database_messages[i].id == changed)
            database_messages[i].replaced = true;
}

void database_move_elsewhere(void)
{
    int64_t group = 1 + chance(GROUPS), user = 1 + chance(USERS);
    uint32_t stamp = stamp_at(UINT64_MAX);
    struct message *m = store(0, 0, 0, "");
    m->group = group;
    m->stamp = stamp;
    m->made = !team_exists(group);
    m->members = m->made ? first_members() : 1u << user;
    m->gone = !m->made && team_member(group, user)->here;
    if (!m->made)
        replace_row(group, user);
    team_take(m);
    ring_for(m);
}

void database_edit_elsewhere(void)
{
    const struct message *m = database_message_of(1 + chance(USERS));
    if (m)
        ring_for(edit(&database_messages[m - database_messages]));
}

void database_type_elsewhere(void)
{
    int64_t sender = 1 + chance(USERS), receiver = 1 + chance(USERS);
    char bell[64];
    snprintf(bell, sizeof(bell), "t %lld 7 %lld name", (long long)receiver, (long long)sender);
    if (attached && sender != receiver && database_knows(sender, receiver))
        owner->bell(bell);
}

void database_ring(bool arrives)
{
    if (presence_rung && chance(2)) {
        presence_rung = 0;
        if (arrives)
            owner->bell("p 1");
        return;
    }
    if (bell_count == 0)
        return;
    char payload[32];
    snprintf(payload, sizeof(payload), "e %llu", (unsigned long long)bells[0]);
    memmove(&bells[0], &bells[1], --bell_count * sizeof(bells[0]));
    if (arrives)
        owner->bell(payload);
}

/* The last few. A change of a group does not go without the message before it: the stamp of a
 * cursor is that of a message, so nobody could tell that number from the one that is given next. */
static void lose_changes(unsigned n)
{
    bool unmarked = false;
    for (unsigned i = database_count; i-- > 0 && (n > 0 || unmarked);) {
        struct message *m = &database_messages[i];
        if (m->lost)
            continue;
        m->lost = life;
        if (m->of) /* the state before it is the latest again */
            database_messages[m->of - 1].latest = m->before;
        unmarked = m->members || (unmarked && m->of);
        n -= n > 0;
    }
}

void database_go_back(void)
{
    if (link != DOWN)
        return;
    life++;
    lose_changes(chance(6));
    sequence = last().change + chance(3);
    teams_restore();
    forget_presence(!honoured((int64_t)position_known().change, position_known().stamp));
    for (int i = 0; i < READERS; i++)
        if (readers[i].busy && !readers[i].result)
            finish(&readers[i], false);
}
