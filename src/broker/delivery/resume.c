/* Where a peer starts, or starts over; see resume.h. */
#include "resume.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "deliveries.h"
#include "feed.h"
#include "groups.h"
#include "link.h"
#include "log.h"
#include "outbox.h"
#include "pool.h"
#include "position.h"

static void answer_attach(struct peer *p)
{
    uint32_t seq = p->feed.attach_seq;
    p->feed.attach_seq = 0;
    p->state = IPC_IS_ATTACHED;
    peer_answering((struct asker){p->id, IPC_ATTACH, seq});
    struct buf *out = &p->channel.out;
    size_t begin = ipc_begin(out, IPC_ATTACHED, seq);
    ipc_put_text(out, link_tag(), strlen(link_tag()));
    ipc_put_cursor(out, p->feed.cursor);
    ipc_put_u64(out, p->feed.presence);
    ipc_end(out, begin);
    outbox_add(p);
}

static void refuse_attach(struct peer *p)
{
    uint32_t seq = p->feed.attach_seq;
    feed_detach(p);
    if (seq)
        peer_fail((struct asker){p->id, IPC_ATTACH, seq}, IPC_E_UNAUTHORIZED);
    else
        peer_end(p, "its user was removed");
}

/* Starts the peer at the cursor that it named, or now. */
static void place(struct peer *p, const struct row *row)
{
    struct cursor c;
    bool fresh = p->feed.presence == 0;
    p->feed.opened = p->feed.cursor = row->cursor;
    if (fresh)
        p->feed.presence = p->feed.listed = row->presence;
    if (!p->feed.named)
        return;
    if (!fresh && (!row->honoured || p->feed.presence > row->presence))
        p->feed.presence = 0; /* what it knows is of another database, or of another past */
    if (row->honoured && cursor_parse(p->feed.named, strlen(p->feed.named), link_tag(), &c))
        p->feed.cursor = c;
    p->feed.resumed =
        (struct resumed){.due = true, .recovered = row->honoured, .from = p->feed.cursor.change};
    free(p->feed.named);
    p->feed.named = NULL;
}

void resume_opened(struct peer *p, const struct row *row)
{
    if (!row->known) {
        refuse_attach(p);
        return;
    }
    p->feed.row = true;
    if (p->feed.state != FEED_OPENING || p->feed.placed)
        return; /* only a row under the new host number: it was attached before */
    place(p, row);
    answer_attach(p);
    feed_begin(p, p->feed.cursor.change < row->cursor.change || p->feed.presence < row->presence,
               row->grouped);
}

struct resuming {
    struct asker asker;
    struct cursor from;
};

static void resume(struct peer *p, uint32_t seq, struct cursor from, bool recovered)
{
    if (p->feed.resumed.due && !p->feed.resumed.recovered)
        feed_put_resumed(p); /* it must hear of the gap in any case */
    p->feed.resumed = (struct resumed){true, recovered, seq, from.change};
    if (recovered && from.change < p->feed.cursor.change)
        p->feed.cursor = from;
    feed_start_over(p);
}

static void on_honoured(void *arg, const PGresult *result)
{
    struct resuming *r = arg;
    struct peer *p = peer_find(r->asker.peer);
    if (p && p->feed.state != FEED_OFF && db_ok(result) && PQntuples(result) == 1)
        resume(p, r->asker.seq, r->from, db_bool(result, 0, 0));
    else
        peer_fail(r->asker, db_error(result));
    free(r);
}

void resume_asked(struct peer *p, uint32_t seq, struct text named)
{
    struct cursor from = p->feed.cursor;
    if (named.n == 0 || !cursor_parse(named.p, named.n, link_tag(), &from)) {
        resume(p, seq, from, named.n == 0);
        return;
    }
    struct resuming *r = xcalloc(1, sizeof(*r));
    *r = (struct resuming){{p->id, IPC_RESUME, seq}, from};
    struct db_params params = {0};
    db_param_int8(&params, (int64_t)from.change);
    db_param_int4(&params, (int32_t)from.stamp);
    db_param_int8(&params, p->user);
    pool_run(p, STATEMENT_CURSOR_HONOURED, &params, on_honoured, r);
}

/* All that was handed out, read or asked for belongs to a past that no longer exists. */
static void start_anew(struct peer *p, struct cursor now)
{
    if (p->feed.resumed.due && p->feed.resumed.seq)
        peer_fail((struct asker){p->id, IPC_RESUME, p->feed.resumed.seq}, IPC_E_UNAVAILABLE);
    answers_void(p);
    p->feed.cursor = p->feed.opened = now;
    p->feed.presence = 0;
    p->feed.resumed = (struct resumed){.due = true, .recovered = false, .from = now.change};
    feed_put_resumed(p); /* before any new change: the new numbers may be lower than those before */
    feed_start_over(p);
}

void resume_all(struct cursor now)
{
    log_warn("the database went back: change %llu, which this host has seen, is not there; "
             "going on from %llu",
             (unsigned long long)position_known().change, (unsigned long long)now.change);
    position_restart(now);
    deliveries_forget();
    groups_forget();
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));) {
        if (p->feed.state == FEED_OPENING && !p->feed.placed) {
            buf_free(&p->feed.held);
            p->feed.held_overflow = false;
        } else if (p->feed.state != FEED_OFF) {
            start_anew(p, now);
        }
    }
}
