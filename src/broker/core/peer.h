/*
 * The sessions of this host as the broker sees them: one peer for each connected channel.
 *
 * A session is not trusted. Whatever it sends must fit its row of ipc_table.h for the state that
 * its channel is in; anything else ends that channel and nothing but that channel. So does a
 * message that is not there as a whole within request_timeout, or no first one.
 */
#ifndef PEER_H
#define PEER_H

#include "bucket.h"
#include "ipc_channel.h"
#include "loop.h"
#include "proof.h"

/* How the changes that concern its user reach a peer (feed.h). */
enum feed_state {
    FEED_OFF,      /* not attached */
    FEED_OPENING,  /* waits for its row in the database; changes are held */
    FEED_LIVE,     /* gets each change as it is handed out */
    FEED_BEHIND,   /* its queue overflowed; gets nothing until it has drained */
    FEED_CATCHING, /* re-reads from its cursor; live changes are held */
};

/* A RESUMED that is due. */
struct resumed {
    bool due;
    bool recovered;
    uint32_t seq;  /* of the RESUME; 0: nobody asked, or ATTACH did */
    uint64_t from; /* the change that the client named */
};

/* How far an attached peer is. For the files of delivery/ alone. */
struct feed {
    enum feed_state state;
    uint32_t attach_seq;    /* the ATTACH to be answered; 0: none */
    char *named;            /* owned; the cursor that came with it; NULL: none */
    struct cursor opened;   /* the database's last change when its row was made */
    struct cursor cursor;   /* up to here it has everything */
    uint64_t presence;      /* up to here it knows who is online */
    uint32_t round;         /* counts its catchings up: results of an earlier one are void */
    struct resumed resumed; /* what it is to be told when it is live again */
    struct buf answers;     /* struct held_answer: to messages, not handed out that far yet */
    struct buf held;        /* messages that wait for FEED_OPENING or FEED_CATCHING to end */
    bool held_overflow;     /* some did not fit */
    bool dirty;             /* in the outbox */
    bool row;               /* has a row in the database, or one is on its way there */
    struct peer *same_user; /* the next attached peer of this user */
    struct peer *next_open; /* in the queue of rows to be made */
};

struct peer {
    struct ipc_channel channel;
    struct loop_watch watch;
    uint64_t id;                     /* of the channel: never used twice by this broker */
    uint64_t origin;                 /* the session's own number, the same after it reconnects */
    int pid;                         /* SO_PEERCRED */
    unsigned state;                  /* one of IPC_IS_... */
    int64_t due_since;               /* clock_ms(): its first message, or the rest of one, is due;
                                      * 0: none is */
    uint8_t waiting[IPC_TYPE_COUNT]; /* requests of each type without an answer yet */
    struct bucket messages;          /* what it may yet send */
    int64_t user;                    /* 0 until bound */
    struct proof proof;              /* of the token that it was bound by */
    uint64_t address;                /* netaddr_owner() of its client, as it says; 0: none */
    uint64_t remote;                 /* the same; 0 for this machine's own addresses, too */
    bool counted;                    /* among the connections of its user and address */
    bool signs;                      /* a signature for its handshake was asked for */
    bool closing;                    /* ended; freed by peers_reap() */
    bool look;                       /* there is something to be done when its queue is empty */
    struct peer *next_ended;
    struct feed feed;
};

/* Who hears of what the peers send, and of their ends. */
struct peers_owner {
    /* Serves a message that fits its row of ipc_table.h. NULL, or what is wrong with it, which ends
     * the peer. */
    const char *(*serve)(struct peer *p, const struct ipc_message *m);
    void (*drained)(struct peer *p); /* its queue has been written */
    void (*ended)(struct peer *p);   /* its channel is about to be closed */
};

/* Starts to accept sessions on the listening socket fd. */
void peers_init(int fd, const struct peers_owner *owner);

/* Stops accepting; those that are connected stay. */
void peers_stop(void);

/* Frees the peers that have ended. For the main loop, when nobody up the stack looks at one. */
void peers_reap(void);

/* Closes every channel and forgets it. */
void peers_free(void);

/* The peer with this id, or NULL if it has gone since. */
struct peer *peer_find(uint64_t id);

/* Walks all peers: start with *at = 0, NULL at the end. Peers may end meanwhile. */
struct peer *peer_next(size_t *at);
size_t peer_count(void);

/* Sends what a handler put into peer->channel.out; ends the peer if it is gone. */
void peer_flush(struct peer *p);

/* Ends the channel. why: NULL when the session just left, or what it did wrong, for the log. */
void peer_end(struct peer *p, const char *why);

/* The answer to a request: one of these, once for each. The peer may have gone: then nothing. */
void peer_fail(uint64_t id, enum ipc_type asked, uint32_t seq, enum ipc_error error);
void peer_reply(uint64_t id, enum ipc_type asked, uint32_t seq, int status, const char *json,
                size_t n);

/* For other answers: counts the request as answered and returns the peer, or NULL. */
struct peer *peer_answering(uint64_t id, enum ipc_type asked);

#endif
