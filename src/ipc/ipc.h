/*
 * The messages between the processes of one host.
 *
 * A message is a header (struct ipc_header) and a payload, written by an encoder and read by a
 * decoder that must end exactly at the end. The same bytes travel over stream sockets, between
 * sessions and the broker, and as packets, between the broker and its helpers: auth workers,
 * signer. The reader trusts nothing: it checks type, sender and size against ipc_table.h before it
 * reads any field.
 */
#ifndef IPC_H
#define IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "cursor.h"
#include "ipc_table.h"
#include "text.h"

enum { IPC_VERSION = 8 };

enum ipc_role { IPC_BY_SESSION, IPC_BY_BROKER, IPC_BY_AUTH, IPC_BY_SIGNER };

#define IPC_ENUM_TYPE(name, sender, max, when, waiting) IPC_##name,
enum ipc_type { IPC_NONE, IPC_MESSAGES(IPC_ENUM_TYPE) IPC_TYPE_COUNT };

#define IPC_ENUM_ERROR(name, code, status, temporary, text) IPC_E_##name,
enum ipc_error { IPC_E_NONE, IPC_ERRORS(IPC_ENUM_ERROR) IPC_ERROR_COUNT };

/* What VERIFIED says of a password and the hash that is stored. */
enum ipc_check {
    IPC_WRONG,
    IPC_RIGHT,
    IPC_STALE,     /* right, but the hash has another cost or form than new ones */
    IPC_NO_HASH,   /* the stored text is not a usable hash */
    IPC_DEAR_HASH, /* its cost is too high to compute */
};

/* Seconds for one password. After that the broker gives up, and the worker ends. */
enum { IPC_HASHING_S = 10 };

struct ipc_rule {
    const char *name;
    enum ipc_role sender;
    uint32_t max;     /* bytes of payload */
    unsigned when;    /* channel states in which a session may send it */
    unsigned waiting; /* how many may await their answer; 0: they get none */
};

struct ipc_failure {
    const char *code;
    int status;
    bool temporary;
    const char *text;
};

struct ipc_header {
    uint32_t size; /* of the payload */
    uint32_t type;
    uint32_t seq; /* chosen by the asker, repeated in the answer; 0: unasked */
};

struct ipc_message {
    enum ipc_type type;
    uint32_t seq;
    const uint8_t *payload; /* a view */
    size_t size;
};

/* The row of a type; the type must be a valid one. */
const struct ipc_rule *ipc_rule(enum ipc_type type);

/* The row of an error. For a number outside the table, that of IPC_E_INTERNAL. */
const struct ipc_failure *ipc_failure(uint32_t error);

/* --- writing: begin, the fields in the table's order, end --- */

/* Starts a message at the end of out; returns its place, for ipc_end(). */
size_t ipc_begin(struct buf *out, enum ipc_type type, uint32_t seq);
void ipc_put_u8(struct buf *out, uint8_t v);
void ipc_put_u32(struct buf *out, uint32_t v);
void ipc_put_u64(struct buf *out, uint64_t v);
void ipc_put_text(struct buf *out, const char *p, size_t n);
void ipc_put_cursor(struct buf *out, struct cursor c); /* u64 u32 */
/* Completes the message. Calls bug() if the payload exceeds its row's size. */
void ipc_end(struct buf *out, size_t begin);

/* --- reading --- */

/* Takes the first message from data. Returns the bytes it spans, 0 if it is not complete yet,
 * or -1 if it is none that this role may send. The view lives as long as data. */
long ipc_take(const uint8_t *data, size_t n, enum ipc_role role, struct ipc_message *m);

/* Reads a payload field by field. After a missing field every further result is zero or empty, and
 * ipc_read_end() is false. */
struct ipc_reader {
    const uint8_t *p, *end;
    bool bad;
};

struct ipc_reader ipc_read(const struct ipc_message *m);
uint8_t ipc_get_u8(struct ipc_reader *r);
uint32_t ipc_get_u32(struct ipc_reader *r);
uint64_t ipc_get_u64(struct ipc_reader *r);
struct text ipc_get_text(struct ipc_reader *r, size_t max);
struct cursor ipc_get_cursor(struct ipc_reader *r);
/* True if every field was there and nothing is left over. */
bool ipc_read_end(const struct ipc_reader *r);

#endif
