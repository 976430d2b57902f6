/* Where a peer starts, and starts again; see resume.h. */
#include "resume.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "events.h"
#include "feed.h"
#include "link.h"
#include "log.h"
#include "outbox.h"
#include "pool.h"

static void answer_attach(struct peer *p)
{
    uint32_t seq = p->attach_seq;
    p->attach_seq = 0;
    p->state = IPC_IS_ATTACHED;
    peer_answering(p->id, IPC_ATTACH);
    struct buf *out = &p->channel.out;
    size_t begin = ipc_begin(out, IPC_ATTACHED, seq);
    ipc_put_text(out, link_tag(), strlen(link_tag()));
    ipc_put_cursor(out, p->cursor);
    ipc_put_u64(out, p->presence);
    ipc_end(out, begin);
    outbox_add(p);
}

static void refuse_attach(struct peer *p)
{
    uint32_t seq = p->attach_seq;
    feed_detach(p);
    if (seq)
        peer_fail(p->id, IPC_ATTACH, seq, IPC_E_UNAUTHORIZED);
    else
        peer_end(p, "its user was removed");
}

/* Where the peer starts: at the cursor that it named, or now. */
static void place(struct peer *p, const struct row *row)
{
    struct cursor c;
    bool fresh = p->presence == 0;
    p->opened = p->cursor = row->cursor;
    if (fresh)
        p->presence = row->presence;
    if (!p->named)
        return;
    if (!fresh && !row->honoured)
        p->presence = 0; /* it knows the presence of another database, or of another time */
    if (row->honoured && cursor_parse(p->named, strlen(p->named), link_tag(), &c))
        p->cursor = c;
    p->resumed =
        (struct resumed){.due = true, .recovered = row->honoured, .from = p->cursor.change};
    free(p->named);
    p->named = NULL;
}

void resume_opened(struct peer *p, const struct row *row)
{
    if (!row->known) {
        refuse_attach(p);
        return;
    }
    p->row = true;
    if (p->feed != FEED_OPENING)
        return; /* a row for the new host of a peer that is long attached */
    place(p, row);
    answer_attach(p);
    feed_begin(p, p->cursor.change < row->cursor.change || p->presence < row->presence);
}

struct resuming {
    uint64_t peer;
    uint32_t seq;
    struct cursor from;
};

static void resume(struct peer *p, uint32_t seq, struct cursor from, bool recovered)
{
    if (p->resumed.due && !p->resumed.recovered)
        feed_put_resumed(p); /* of the hole it has to hear in any case */
    p->resumed = (struct resumed){true, recovered, seq, from.change};
    if (recovered && from.change < p->cursor.change)
        p->cursor = from;
    feed_start_over(p);
}

static void on_honoured(void *arg, const PGresult *result)
{
    struct resuming *r = arg;
    struct peer *p = peer_find(r->peer);
    if (p && p->feed != FEED_OFF && db_ok(result) && PQntuples(result) == 1)
        resume(p, r->seq, r->from, db_bool(result, 0, 0));
    else
        peer_fail(r->peer, IPC_RESUME, r->seq, db_error(result));
    free(r);
}

void resume_asked(struct peer *p, uint32_t seq, struct ipc_text named)
{
    struct cursor from = p->cursor;
    if (named.n == 0 || !cursor_parse(named.p, named.n, link_tag(), &from)) {
        resume(p, seq, from, named.n == 0);
        return;
    }
    struct resuming *r = xcalloc(1, sizeof(*r));
    *r = (struct resuming){p->id, seq, from};
    struct db_params params = {0};
    db_param_int8(&params, (int64_t)from.change);
    db_param_int4(&params, (int32_t)from.stamp);
    pool_run(STATEMENT_CURSOR_HONOURED, &params, on_honoured, r);
}

/* What was handed out, or read, or asked for, is of a past that is not there any more. */
static void start_anew(struct peer *p, struct cursor now)
{
    if (p->resumed.due && p->resumed.seq)
        peer_fail(p->id, IPC_RESUME, p->resumed.seq, IPC_E_UNAVAILABLE);
    answers_void(p);
    p->cursor = p->opened = now;
    p->presence = 0;
    p->resumed = (struct resumed){.due = true, .recovered = false, .from = now.change};
    feed_put_resumed(p); /* ahead of what comes now: its numbers may be lower than those before */
    feed_start_over(p);
}

void resume_all(struct cursor now)
{
    log_warn("the database went back: change %llu, up to which all was handed out, is not there; "
             "going on from %llu",
             (unsigned long long)events_position().change, (unsigned long long)now.change);
    events_restart(now);
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));) {
        if (p->feed == FEED_OPENING) {
            buf_free(&p->held);
            p->held_overflow = false;
        } else if (p->feed != FEED_OFF) {
            start_anew(p, now);
        }
    }
}
