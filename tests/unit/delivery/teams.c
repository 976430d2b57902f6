/* Groups of the model; see teams.h. */
#include "teams.h"

#include <string.h>

static struct member members[GROUPS + 1][USERS + 1];
static bool made[GROUPS + 1];

static bool is_full(int64_t group)
{
    return group == 1;
}

bool team_is_large(int64_t group)
{
    return group == 2;
}

const struct member *team_member(int64_t group, int64_t user)
{
    return &members[group][user];
}

bool team_exists(int64_t group)
{
    return made[group];
}

static bool names(const struct message *m, int64_t user)
{
    return m->members & 1u << user;
}

uint64_t message_subject(const struct message *m)
{
    return m->of ? database_messages[m->of - 1].id : m->id;
}

/* --- the rows --- */

static void come(struct member *row, const struct message *m)
{
    *row = (struct member){.is_row = true,
                           .here = true,
                           .joined = m->id,
                           .since = is_full(m->group) ? 0 : m->id,
                           .until = UINT64_MAX,
                           .changed = m->made ? 0 : m->id,
                           .lost = row->lost};
}

static void go(struct member *row, const struct message *m)
{
    row->here = false;
    row->until = row->changed = m->id;
}

void team_take(const struct message *m)
{
    made[m->group] = true;
    for (int64_t user = 1; user <= USERS; user++) {
        if (!names(m, user))
            continue;
        if (m->gone)
            go(&members[m->group][user], m);
        else
            come(&members[m->group][user], m);
    }
}

/* From nothing, but for what was lost, now or earlier. */
static void forget(void)
{
    memset(made, 0, sizeof(made));
    for (int group = 1; group <= GROUPS; group++)
        for (int user = 1; user <= USERS; user++)
            members[group][user] = (struct member){.lost = members[group][user].lost};
}

static void note_lost(const struct message *m)
{
    for (int64_t user = 1; user <= USERS; user++)
        if (names(m, user) && members[m->group][user].lost < m->id)
            members[m->group][user].lost = m->id;
}

void teams_restore(void)
{
    forget();
    for (unsigned i = 0; i < database_count; i++) {
        const struct message *m = &database_messages[i];
        if (m->members && m->lost)
            note_lost(m);
        else if (m->members)
            team_take(m);
    }
}

/* --- what a user sees --- */

/* By the rows as they are. A row of which there is a later state is shown in that alone. */
bool team_shows(int64_t user, const struct message *m)
{
    const struct member *row = team_member(m->group, user);
    if (!row->is_row || m->id > row->until)
        return false;
    if (!m->members)
        return message_subject(m) > row->since;
    if (m->id < row->joined)
        return false;
    bool latest = m->made;
    for (int64_t other = 1; other <= USERS; other++)
        latest = latest || (names(m, other) && team_member(m->group, other)->changed == m->id);
    return latest;
}

/* Is this about the user, in a life in which there was the other, too? */
static bool is_said(int64_t user, const struct message *e, const struct message *m)
{
    return e->members && e->group == m->group && names(e, user) && message_coexists(e, m);
}

/* What was last said of the user at or before this. */
static const struct message *last_said(int64_t user, const struct message *m)
{
    const struct message *found = NULL;
    for (unsigned i = 0; i < database_count; i++) {
        const struct message *e = &database_messages[i];
        if (is_said(user, e, m) && e->id <= m->id && (!found || e->id > found->id))
            found = e;
    }
    return found;
}

static bool came_later(int64_t user, const struct message *m)
{
    for (unsigned i = 0; i < database_count; i++) {
        const struct message *e = &database_messages[i];
        if (is_said(user, e, m) && e->id > m->id && !e->gone)
            return true;
    }
    return false;
}

bool team_may_show(int64_t user, const struct message *m)
{
    if (is_full(m->group) && !m->members && came_later(user, m))
        return true;
    const struct message *said = last_said(user, m);
    if (!said || (said->gone && said != m))
        return false;
    return is_full(m->group) || said == m || said->id <= message_subject(m);
}

/* Where a failover has lost a later change of the same member, the host may have read that before
 * it came to its place, and take the user for gone until the next one. */
bool team_is_due(int64_t user, const struct message *m)
{
    const struct member *row = team_member(m->group, user);
    return row->is_row && !m->lost && m->id >= row->joined && m->id <= row->until &&
           message_subject(m) >= row->since && row->lost < row->joined;
}
