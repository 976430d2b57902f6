/*
 * The session's channel to the broker: connecting, proving who the client is, and asking one
 * question at a time. live.c takes what arrives unasked on an attached channel.
 */
#ifndef ASK_H
#define ASK_H

#include "client.h"
#include "ipc_channel.h"

struct ask {
    struct client *client;
    struct ipc_channel channel; /* fd -1: not connected */
    uint64_t origin;            /* the same for the life of the session */
    uint32_t seq;               /* of the last request */
    struct buf token;           /* the channel is bound by it; empty: not bound */
    int64_t user;
    int64_t expires; /* Unix time */
    /* Once attached: everything up to here has arrived, in the database called tag. */
    struct cursor cursor;
    uint64_t presence;
    char tag[CURSOR_TAG];
    char name[64]; /* of the user, for title and log */
};

/* mark: of this session, in the log (log.h). */
void ask_init(struct ask *a, struct client *c, uint32_t mark);
void ask_close(struct ask *a);

/* Connects without waiting and queues HELLO. False with errno if it cannot connect now. */
bool ask_connect(struct ask *a);

/* Begins a request; its fields follow, then ask_end() or ipc_end() with the result as begin. */
size_t ask_begin(struct ask *a, enum ipc_type type);

/* Completes the request that ask_begin() started and waits for the answer. IPC_E_NONE if
 * it has the wanted type; *m is then a view, valid until the next call. Otherwise the error. */
enum ipc_error ask_end(struct ask *a, size_t begin, enum ipc_type wanted, struct ipc_message *m);

/* Is this the error of a channel that broke, so that the next channel may bring an answer before
 * the deadline (clock_ms())? */
bool ask_again(const struct ask *a, enum ipc_error error, int64_t deadline);

/* Frees the answer that ask_end() gave: it may be large, and the client slow to take its copy. */
void ask_forget(struct ask *a);

/* Connects unless there is a live channel; retries for up to request_timeout. */
enum ipc_error ask_require(struct ask *a);

/* As ask_require(), and binds the channel to the owner of this token. */
enum ipc_error ask_authenticate(struct ask *a, const char *token, size_t n);

/* Takes the channel's user from an AUTHED message. False if it is malformed. */
bool ask_take_authed(struct ask *a, const struct ipc_message *m);

/* A tls_sign() (tls.h): asks for a signature on a new channel, which then also serves requests.
 * Logs a failure. */
bool ask_signature(void *ask, const void *key, uint32_t scheme, const void *content, size_t n,
                   struct buf *signature);

/* Brings the user online through this channel. The client gets everything after the cursor;
 * n 0: from now on. */
enum ipc_error ask_attach(struct ask *a, const char *cursor, size_t n);

/* As ask_attach(), without waiting for the answer. NULL: from this session's own cursor. */
void ask_post_attach(struct ask *a, const char *cursor);

/* Takes an ATTACHED message: where live delivery starts. False if it is malformed. */
bool ask_take_attached(struct ask *a, const struct ipc_message *m);

#endif
