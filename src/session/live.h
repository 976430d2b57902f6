/*
 * A client that is online: what a WebSocket and an event stream have in common.
 *
 * Two descriptors, one poll: what the client sends becomes requests, what the broker sends becomes
 * frames. When the broker's channel breaks it is built up again, step by step and without making
 * the client wait: connect, AUTH, ATTACH from where the client is, then the messages without
 * answer. Every change reaches the client once, in order, whichever broker it comes from.
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

/* What differs: one for each transport. */
struct live_kind {
    /* Writes a frame to the client; at: the cursor that it brings, or NULL. */
    void (*frame)(struct live *l, const void *json, size_t n, const struct cursor *at);
    /* Takes what is in client->in, as long as live_may_send(); sets input_waits if some is left. */
    void (*input)(struct live *l);
    /* Tells the client that this is the end, and why; sets close_by. Called at most once. */
    void (*goodbye)(struct live *l, int code, const char *reason);
    /* Does what is due at this time, such as a ping; returns when something will be again. */
    int64_t (*tick)(struct live *l, int64_t now);
};

/* CHANNEL_NONE: none is wanted, since the client has not said yet who it is. */
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
    uint32_t step_seq;    /* CHANNEL_AUTH, CHANNEL_ATTACH: the request that it waits for */
    unsigned posted;      /* messages that the broker has not answered */
    struct buf token;     /* to prove the client to the next broker */

    int64_t sign_in_by;    /* clock_ms(): it has to be online until then; 0: it is */
    struct buf auth_id;    /* of the auth frame that waits for an answer; empty: it had none */
    struct buf new_token;  /* online: takes the place of the other when the broker has taken it */
    uint32_t renew_seq;    /* of the AUTH with it */
    struct bucket renewed; /* what there may yet be of those */

    /* All changes from since (not included) to ask->cursor have reached the client. */
    uint64_t since;
    bool told_when_live; /* the client named a cursor when it came, and waits for "resumed" */
    bool resuming;       /* it sent a resume frame, and waits */
    uint32_t resume_seq; /* of the RESUME; 0: not sent yet */
    uint64_t replayed;   /* how far it has come */
    struct buf resume_cursor, resume_id;

    int64_t heard_at;  /* clock_ms() of the client's last bytes */
    int64_t close_by;  /* goodbye was said: exit then; 0: not yet */
    bool last_word;    /* and nothing more is expected: exit as soon as all is written */
    bool input_waits;  /* there is input of the client that was not looked at yet */
    bool broker_waits; /* and of the broker */
    bool gone;
};

/* Serves the client, whose channel is attached if it has said who it is, until the connection ends;
 * frees what l holds. */
void live_run(struct live *l);

/* Sets up; the transport's own part is the caller's. */
void live_init(struct live *l, const struct live_kind *kind, struct client *c, struct ask *a,
               const struct next *next);

/* May the client send more now? Not while its messages or their answers pile up, nor while the
 * broker judges its first token. */
bool live_may_send(const struct live *l);

/* Sends a message on its way: an acknowledgement or an error will come. */
void live_send(struct live *l, const struct chat_frame *f);

/* Starts what a resume frame asks for. */
void live_resume(struct live *l, const struct chat_frame *f);

#endif
