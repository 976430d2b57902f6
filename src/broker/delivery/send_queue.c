/* What waits for its batch; see send_queue.h. */
#include "send_queue.h"

#include <stdlib.h>

#include "attached.h"
#include "broker.h"
#include "connections.h"
#include "groups.h"
#include "log.h"

enum {
    /* In bytes of content. */
    STORE_COST = 512,        /* beside the content */
    SHARE = 8192,            /* of each account in its turn */
    BATCH_COST = 256 * 1024, /* of a transaction, and of what waits of one account: see most() */
};

/* A peer whose account has as many messages waiting as it may. */
struct pause {
    struct turn turn;
    uint64_t peer;
};

static struct turns waiting; /* by sender */
static TAILQ_HEAD(, send) arrivals = TAILQ_HEAD_INITIALIZER(arrivals);
static struct turns pauses; /* by user: struct pause, of which there are no more than sends */
static struct send_batch returned = {STAILQ_HEAD_INITIALIZER(returned.sends), 0}; /* goes first */
static const struct send *lead; /* the last one to a conversation in the batch in the making */

struct send *send_batch_pop(struct send_batch *batch)
{
    struct send *s = STAILQ_FIRST(&batch->sends);
    STAILQ_REMOVE_HEAD(&batch->sends, next);
    batch->count--;
    return s;
}

/* --- costs --- */

/* The connection that sends needs no copy. Copies to a receiver who is not known yet are charged
 * later, by send_queue_learn(). */
static size_t copies_of(const struct send *s)
{
    size_t own = connections_of(s->sender);
    size_t copies = own > 0 ? own - 1 : 0;
    if (s->receiver && s->receiver != s->sender)
        copies += connections_of(s->receiver);
    if (!s->receiver)
        copies += groups_count(s->conversation);
    return copies;
}

static size_t cost_alone(const struct send *s)
{
    return STORE_COST + s->content_size + attached_cost(copies_of(s), s->content_size);
}

/* If the one before it is in the same batch. */
static size_t cost_together(const struct send *s)
{
    return STORE_COST + s->content_size + attached_cost_more(copies_of(s), s->content_size);
}

/* What may wait of one account whose first message costs so much: a message to a crowd costs more
 * than BATCH_COST by itself. */
static size_t most(size_t first)
{
    return first < BATCH_COST ? BATCH_COST : 2 * first;
}

/* Do both go to the same conversation, from the same user? */
static bool are_together(const struct send *a, const struct send *b)
{
    return a->sender == b->sender && !a->receiver && !b->receiver &&
           a->conversation == b->conversation;
}

/* --- to come and to go --- */

/* So many messages of one account as one batch takes may wait, so that a busy account alone fills
 * it. With more its sessions wait: they would not be faster, but keep the processors busy. */
static void pause_if_full(struct peer *p)
{
    uint64_t user = (uint64_t)p->user;
    if (turns_count(&waiting, user) < (size_t)broker.conf.batch_max &&
        turns_cost(&waiting, user) < most(turns_first_of(&waiting, user)->cost))
        return;
    struct pause *pause = xcalloc(1, sizeof(*pause));
    pause->peer = p->id;
    turns_add(&pauses, user, &pause->turn, 1);
    peer_pause(p);
}

/* One message less of this account waits: one of its peers may go on. */
static void resume_one(int64_t user)
{
    struct pause *pause;
    struct peer *p = NULL;
    while (!p && (pause = (struct pause *)turns_take_of(&pauses, (uint64_t)user))) {
        p = peer_find(pause->peer);
        free(pause);
    }
    if (p)
        peer_resume(p);
}

void send_queue_add(struct peer *p, struct send *s)
{
    uint64_t user = (uint64_t)s->sender;
    const struct send *before = (struct send *)turns_last_of(&waiting, user);
    s->alone = cost_alone(s);
    turns_add(&waiting, user, &s->turn,
              before && are_together(before, s) ? cost_together(s) : s->alone);
    TAILQ_INSERT_TAIL(&arrivals, s, arrived);
    pause_if_full(p);
}

static struct send *leave(struct turn *turn)
{
    struct send *s = (struct send *)turn;
    TAILQ_REMOVE(&arrivals, s, arrived);
    resume_one(s->sender);
    return s;
}

const struct send *send_queue_oldest(void)
{
    return returned.count > 0 ? STAILQ_FIRST(&returned.sends) : TAILQ_FIRST(&arrivals);
}

struct send *send_queue_take_oldest(void)
{
    if (returned.count > 0)
        return send_batch_pop(&returned);
    return leave(turns_take_of(&waiting, (uint64_t)TAILQ_FIRST(&arrivals)->sender));
}

/* --- a batch --- */

/* What goes next into the batch; NULL: nothing waits. A message that was to be handed out with the
 * one before it costs more if that is not in this batch. */
static struct send *take_next(void)
{
    if (returned.count > 0)
        return send_batch_pop(&returned);
    struct turn *turn = turns_take(&waiting);
    if (!turn)
        return NULL;
    struct send *s = leave(turn);
    if (s->turn.cost < s->alone && !(lead && are_together(lead, s))) {
        turns_charge(&waiting, (uint64_t)s->sender, s->alone - s->turn.cost);
        s->turn.cost = s->alone;
    }
    return s;
}

/* The next one of the same account, out of turn, if it goes where the last one to a conversation
 * goes, and costs no more than this; NULL: there is none. */
static struct send *take_along(size_t room)
{
    if (!lead || returned.count > 0)
        return NULL;
    uint64_t user = (uint64_t)lead->sender;
    struct send *s = (struct send *)turns_first_of(&waiting, user);
    if (!s || !are_together(lead, s) || s->turn.cost > room)
        return NULL;
    turns_take_of(&waiting, user);
    turns_charge(&waiting, user, s->turn.cost);
    return leave(&s->turn);
}

/* Returns what it costs. */
static size_t put(struct send_batch *batch, struct send *s)
{
    STAILQ_INSERT_TAIL(&batch->sends, s, next);
    batch->count++;
    if (!s->receiver)
        lead = s;
    return s->turn.cost;
}

void send_queue_gather(struct send_batch *batch)
{
    size_t cost = 0;
    struct send *s;
    while (batch->count < broker.conf.batch_max && cost < BATCH_COST && (s = take_next()))
        cost += put(batch, s);
    size_t end = lead ? cost + lead->alone : 0; /* as long again as the first to the same crowd */
    while (batch->count < broker.conf.batch_max && cost < end && (s = take_along(end - cost)))
        cost += put(batch, s);
    lead = NULL;
}

void send_queue_return(struct send_batch *batch)
{
    /* It goes before what was left of an earlier one, too. */
    STAILQ_CONCAT(&batch->sends, &returned.sends);
    STAILQ_CONCAT(&returned.sends, &batch->sends);
    returned.count += batch->count;
    batch->count = 0;
}

void send_queue_learn(struct send *s, int64_t receiver)
{
    s->receiver = receiver;
    turns_charge(&waiting, (uint64_t)s->sender, cost_alone(s) - s->alone);
}

size_t send_queue_fresh(void)
{
    return waiting.count;
}

size_t send_queue_count(void)
{
    return waiting.count + (size_t)returned.count;
}

void send_queue_init(void)
{
    turns_init(&waiting, SHARE);
    turns_init(&pauses, 1);
}

void send_queue_free(void)
{
    turns_free(&waiting);
    turns_free(&pauses);
}
