/*
 * A client that is online: what a WebSocket and an event stream have in common.
 *
 * Two descriptors, one poll: what the client sends becomes requests, what the broker sends becomes
 * frames. A broken channel to the broker is rebuilt step by step, while the client is served:
 * connect, AUTH, ATTACH from where the client is, then the messages that have no answer yet. Every
 * change reaches the client once, in order, even across a broker's restart.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdint.h>

#include "ask.h"
#include "backoff.h"
#include "bucket.h"
#include "chat_frame.h"
#include "next.h"
#include "pending.h"

struct live;

/* What differs between the transports. */
struct live_kind {
    /* Writes a frame to the client; at: the cursor that it brings, or NULL. */
    void (*frame)(struct live *l, const void *json, size_t n, const struct cursor *at);
    /* Takes what is in client->in while live_may_send(); sets input_waits if some is left. */
    void (*input)(struct live *l);
    /* Tells the client that the connection ends, and why; sets close_by. Called at most once. */
    void (*goodbye)(struct live *l, int code, const char *reason);
    /* Does what is due now, such as a ping; returns when something is due next. */
    int64_t (*tick)(struct live *l, int64_t now);
};

/* CHANNEL_NONE: none is needed until the client sends its token. */
enum channel_state { CHANNEL_NONE, CHANNEL_AWAY, CHANNEL_AUTH, CHANNEL_ATTACH, CHANNEL_READY };

struct live {
    const struct live_kind *kind;
    const struct conf *conf;
    struct client *client;
    struct ask *ask;
    const struct next *next;
    struct pending pending;

    enum channel_state channel;
    struct backoff backoff;
    int64_t reconnect_at; /* CHANNEL_AWAY: the next attempt */
    uint32_t step_seq;    /* CHANNEL_AUTH, CHANNEL_ATTACH: the request that awaits its answer */
    unsigned posted;      /* messages, changes and receipts that the broker has not answered */
    struct buf token;     /* proves to the next broker who the client is */

    int64_t sign_in_by;    /* clock_ms(): deadline for coming online; 0: it is online */
    struct buf auth_id;    /* of the auth frame that awaits its answer; empty: it had none */
    struct buf new_token;  /* online: replaces token once the broker accepts it */
    uint32_t renew_seq;    /* of the AUTH with new_token */
    struct bucket renewed; /* renewals that are still allowed */

    /* The client has all changes after since, up to ask->cursor. */
    uint64_t since;
    bool told_when_live; /* the client connected with a cursor, and waits for "resumed" */
    bool resuming;       /* its resume frame awaits "resumed" */
    uint32_t resume_seq; /* of the RESUME; 0: not sent yet */
    uint64_t replayed;   /* the last change that was sent again */
    struct buf resume_cursor, resume_id;

    int64_t heard_at;  /* clock_ms() of the client's last bytes */
    int64_t close_by;  /* clock_ms(): exit then, since goodbye was said; 0: it was not */
    bool last_word;    /* exit as soon as all is written */
    bool input_waits;  /* some input of the client is not processed yet */
    bool broker_waits; /* or some of the broker's */
    bool gone;
};

/* Serves the client until the connection ends, and frees what l holds. The channel is attached
 * unless next->unproven. */
void live_run(struct live *l);

/* Sets up; the transport's own part is the caller's. */
void live_init(struct live *l, const struct live_kind *kind, struct client *c, struct ask *a,
               const struct next *next);

/* May the client send more now? Not while its messages or their answers pile up, nor while the
 * broker checks its first token. */
bool live_may_send(const struct live *l);

/* Sends a message, a change of one, or a receipt, now or once the channel is ready. An error
 * follows, or an acknowledgement if it has an id and is no receipt. */
void live_send(struct live *l, const struct chat_frame *f);

/* Says that the client's user writes to somebody, if that can be said at once. */
void live_typing(struct live *l, const struct chat_frame *f);

/* Starts what a resume frame asks for. */
void live_resume(struct live *l, const struct chat_frame *f);

#endif
