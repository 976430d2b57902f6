/*
 * The session's channel to the broker: connecting, proving who the client is, and asking one
 * question at a time. What arrives unasked on an attached channel is live.c's.
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
    struct buf token;           /* the one that the channel is bound by; empty: not bound */
    int64_t user;
    int64_t expires; /* Unix time */
    /* Once attached: up to here everything was received, in the database called tag. */
    struct cursor cursor;
    uint64_t presence;
    char tag[CURSOR_TAG];
    char name[64]; /* of the user, for title and log */
};

void ask_init(struct ask *a, struct client *c);
void ask_close(struct ask *a);

/* Connects without waiting and says hello. False with errno when it cannot be now. */
bool ask_connect(struct ask *a);

/* A request: begin, the fields, then ask_end() or ipc_end(). Returns its place, for the end. */
size_t ask_begin(struct ask *a, enum ipc_type type);

/* Completes the request that ask_begin() started and waits for the answer. IPC_E_NONE and *m, a
 * view until the next call, when it is of the type wanted; otherwise what is wrong. */
enum ipc_error ask_end(struct ask *a, size_t begin, enum ipc_type wanted, struct ipc_message *m);

/* Sees to it that there is a channel; waits for a broker that restarts, up to request_timeout. */
enum ipc_error ask_require(struct ask *a);

/* As ask_require(), and the channel acts for the owner of this token. */
enum ipc_error ask_authenticate(struct ask *a, const char *token, size_t n);

/* Takes an AUTHED message: whom the channel acts for, from now on. False if it is malformed. */
bool ask_take_authed(struct ask *a, const struct ipc_message *m);

/* A tls_sign(), which see: asks for a signature with the key of this fingerprint, in a channel of
 * its own, which goes on to serve. What went wrong is logged. */
bool ask_signature(void *ask, const void *key, uint32_t scheme, const void *content, size_t n,
                   struct buf *signature);

/* The user comes online through this channel. cursor: the client's, after which it wants to have
 * everything; n 0: from now on. */
enum ipc_error ask_attach(struct ask *a, const char *cursor, size_t n);

/* As ask_attach(), without waiting for the answer. NULL: from where this session is. */
void ask_post_attach(struct ask *a, const char *cursor);

/* Takes an ATTACHED message: where live delivery starts. False if it is malformed. */
bool ask_take_attached(struct ask *a, const struct ipc_message *m);

#endif
