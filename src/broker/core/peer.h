/*
 * The sessions of this host as the broker sees them: one peer for each connected channel.
 *
 * A session is not trusted. Whatever it sends must fit its row of ipc_table.h in the channel's
 * present state; anything else ends that channel, and only that. So does a message that is not
 * complete within request_timeout, or a first one that does not come.
 */
#ifndef PEER_H
#define PEER_H

#include "bucket.h"
#include "ipc_channel.h"
#include "log.h"
#include "loop.h"
#include "netaddr.h"
#include "proof.h"
#include "username.h"

/* How changes reach a peer (feed.h). */
enum feed_state {
    FEED_OFF,      /* not attached */
    FEED_OPENING,  /* waits for its row in the database; changes are held */
    FEED_LIVE,     /* gets each change as it is handed out */
    FEED_BEHIND,   /* its queue overflowed; gets nothing until it has drained */
    FEED_CATCHING, /* re-reads from its cursor; live changes are held */
};

/* The RESUMED that a peer is to get. */
struct resumed {
    bool due;
    bool recovered;
    uint32_t seq;  /* of the RESUME; 0: not asked for, or by ATTACH */
    uint64_t from; /* the change that the client named */
};

/* How far an attached peer is. Only files of delivery/ use it. */
struct feed {
    enum feed_state state;
    uint32_t attach_seq;    /* the ATTACH to be answered; 0: none */
    char *named;            /* owned; the cursor in ATTACH; NULL: none */
    bool placed;            /* has its cursor, and waits for the groups of its user */
    bool missed;            /* the same: there is something to catch up with */
    struct cursor opened;   /* the database's last change when its row was made */
    struct cursor cursor;   /* it has everything up to here */
    uint64_t presence;      /* it knows who is online up to here */
    uint64_t listed;        /* the same, as it learned from the database by itself */
    uint32_t round;         /* number of its catch-up: drop results of earlier ones */
    struct resumed resumed; /* told when it is live again */
    struct buf answers;     /* struct held_answer: wait until all before them is handed out */
    struct buf held;        /* wait for FEED_OPENING or FEED_CATCHING to end */
    bool held_overflow;     /* some did not fit */
    bool dirty;             /* in the outbox */
    bool row;               /* has a row in the database, or one is on its way there */
    struct peer *same_user; /* the next attached peer of this user */
    struct peer *next_open; /* in the queue of rows to be made */
};

struct peer {
    struct ipc_channel channel;
    struct loop_watch watch;
    uint64_t id;                     /* of the channel: this broker never reuses one */
    uint64_t origin;                 /* the session's number; survives reconnecting */
    int pid;                         /* SO_PEERCRED */
    unsigned state;                  /* one of IPC_IS_... */
    int64_t due_since;               /* clock_ms(): its first message, or the rest of one, is due;
                                      * 0: none is */
    uint8_t waiting[IPC_TYPE_COUNT]; /* requests of each type without an answer yet */
    struct bucket messages;          /* how much it may send now */
    int64_t user;                    /* 0 until bound */
    char name[USERNAME_MAX + 1];     /* of that user, as the token has it; "": it has none */
    int64_t since;                   /* clock_ms(): it connected */
    struct proof proof;              /* from the token that bound it */
    struct netaddr client;           /* as it says */
    uint64_t address;                /* netaddr_owner() of that; 0: none */
    uint64_t remote;                 /* the same; 0 for this machine's own addresses, too */
    bool counted;                    /* in connections.c */
    bool signs;                      /* has asked for its one signature */
    bool paused;                     /* nothing is read from it */
    bool closing;                    /* ended; freed by peers_reap() */
    bool wants_drained;              /* something waits for an empty queue */
    struct peer *next_ended;
    struct feed feed;
};

/* Which peer asked for what: kept until the answer is there. The peer may be gone by then. */
struct asker {
    uint64_t peer; /* its id */
    enum ipc_type type;
    uint32_t seq;
};

/* Callbacks for the peers' messages and ends. */
struct peers_owner {
    /* Serves a message that fits its row of ipc_table.h. Returns NULL, or what is wrong with it,
     * which ends the peer. */
    const char *(*serve)(struct peer *p, const struct ipc_message *m);
    void (*drained)(struct peer *p); /* its queue is written */
    void (*ended)(struct peer *p);   /* its channel is about to be closed */
};

/* Starts to accept sessions on the listening socket fd. */
void peers_init(int fd, const struct peers_owner *owner);

/* Stops accepting; connected peers stay. */
void peers_stop(void);

/* Frees the peers that have ended. For the main loop, where no caller holds one. */
void peers_reap(void);

/* Closes and frees all peers. */
void peers_free(void);

/* The peer with this id, or NULL if it has gone since. */
struct peer *peer_find(uint64_t id);

/* Walks all peers: start with *at = 0, NULL at the end. Peers may end meanwhile. */
struct peer *peer_next(size_t *at);
size_t peer_count(void);

/* For lines of the log about it. Its id is known once it has said hello. */
struct log_session peer_session(const struct peer *p);

/* Sends what a handler put into peer->channel.out; ends the peer if it is gone. */
void peer_flush(struct peer *p);

/* Serves and reads nothing more of this peer, so that its session waits, until it is resumed. */
void peer_pause(struct peer *p);
void peer_resume(struct peer *p);

/* Ends the channel. why: what the session did wrong, for the log; NULL when it just left. */
void peer_end(struct peer *p, const char *why);

/* The asker of this message. */
struct asker asker_of(const struct peer *p, const struct ipc_message *m);

/* The same, for a callback that frees it. */
struct asker *asker_new(const struct peer *p, const struct ipc_message *m);

/* Answers a request; exactly one of these for each. Does nothing if the peer has gone. */
void peer_fail(struct asker a, enum ipc_error error);
void asker_fail(struct asker *a, enum ipc_error error); /* and frees it */
void peer_reply(struct asker a, int status, const char *json, size_t n);

/* As peer_reply(), with status 200, for one page; next as in REPLY (ipc_table.h). */
void peer_reply_page(struct asker a, const char *json, size_t n, uint64_t next);

/* For other answers: counts the request as answered and returns the peer, or NULL. And for those
 * that refuse it for this reason: counts that. */
struct peer *peer_answering(struct asker a);
void peer_refusing(enum ipc_error error);

/* How many messages of this type sessions have sent, and how many were refused for this reason. */
uint64_t peers_served(enum ipc_type type);
uint64_t peers_refused(enum ipc_error error);

#endif
