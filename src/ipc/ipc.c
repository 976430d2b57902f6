/* Messages between processes: tables, encoder, decoder; see ipc.h. */
#include "ipc.h"

#include <string.h>

#include "log.h"

#define RULE_ROW(name, sender, max, when, waiting)                                                 \
    [IPC_##name] = {#name, IPC_BY_##sender, (max), (when), (waiting)},
static const struct ipc_rule message_rules[IPC_TYPE_COUNT] = {IPC_MESSAGES(RULE_ROW)};

#define FAILURE_ROW(name, code, status, temporary, text)                                           \
    [IPC_E_##name] = {(code), (status), (temporary) != 0, (text)},
static const struct ipc_failure failures[IPC_ERROR_COUNT] = {IPC_ERRORS(FAILURE_ROW)};

const struct ipc_rule *ipc_rule(enum ipc_type type)
{
    if (type <= IPC_NONE || type >= IPC_TYPE_COUNT)
        bug("ipc: no message of type %d", (int)type);
    return &message_rules[type];
}

const struct ipc_failure *ipc_failure(uint32_t error)
{
    if (error <= IPC_E_NONE || error >= IPC_ERROR_COUNT)
        error = IPC_E_INTERNAL;
    return &failures[error];
}

size_t ipc_begin(struct buf *out, enum ipc_type type, uint32_t seq)
{
    size_t begin = buf_len(out);
    struct ipc_header h = {.type = (uint32_t)type, .seq = seq};
    buf_append(out, &h, sizeof(h));
    return begin;
}

void ipc_put_u8(struct buf *out, uint8_t v)
{
    buf_append(out, &v, sizeof(v));
}

void ipc_put_u32(struct buf *out, uint32_t v)
{
    buf_append(out, &v, sizeof(v));
}

void ipc_put_u64(struct buf *out, uint64_t v)
{
    buf_append(out, &v, sizeof(v));
}

void ipc_put_text(struct buf *out, const char *p, size_t n)
{
    if (n > IPC_MAX_REPLY)
        bug("ipc: a text of %zu bytes", n);
    ipc_put_u32(out, (uint32_t)n);
    buf_append(out, p, n);
}

void ipc_put_cursor(struct buf *out, struct cursor c)
{
    ipc_put_u64(out, c.change);
    ipc_put_u32(out, c.stamp);
}

void ipc_end(struct buf *out, size_t begin)
{
    struct ipc_header h;
    memcpy(&h, buf_head(out) + begin, sizeof(h));
    size_t size = buf_len(out) - begin - sizeof(h);
    if (size > ipc_rule((enum ipc_type)h.type)->max)
        bug("ipc: %s of %zu bytes", message_rules[h.type].name, size);
    h.size = (uint32_t)size;
    memcpy(buf_head(out) + begin, &h, sizeof(h));
}

long ipc_take(const uint8_t *data, size_t n, enum ipc_role role, struct ipc_message *m)
{
    struct ipc_header h;
    if (n < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    if (h.type <= IPC_NONE || h.type >= IPC_TYPE_COUNT)
        return -1;
    if (message_rules[h.type].sender != role || h.size > message_rules[h.type].max)
        return -1;
    if (n - sizeof(h) < h.size)
        return 0;
    *m = (struct ipc_message){(enum ipc_type)h.type, h.seq, data + sizeof(h), h.size};
    return (long)(sizeof(h) + h.size);
}

struct ipc_reader ipc_read(const struct ipc_message *m)
{
    return (struct ipc_reader){m->payload, m->payload + m->size, false};
}

/* Copies the next n bytes to where they are aligned; zeros once the payload has run out. */
static void take_bytes(struct ipc_reader *r, void *to, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        memset(to, 0, n);
        return;
    }
    memcpy(to, r->p, n);
    r->p += n;
}

uint8_t ipc_get_u8(struct ipc_reader *r)
{
    uint8_t v;
    take_bytes(r, &v, sizeof(v));
    return v;
}

uint32_t ipc_get_u32(struct ipc_reader *r)
{
    uint32_t v;
    take_bytes(r, &v, sizeof(v));
    return v;
}

uint64_t ipc_get_u64(struct ipc_reader *r)
{
    uint64_t v;
    take_bytes(r, &v, sizeof(v));
    return v;
}

struct text ipc_get_text(struct ipc_reader *r, size_t max)
{
    uint32_t n = ipc_get_u32(r);
    if (r->bad || n > max || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return (struct text){"", 0};
    }
    struct text t = {(const char *)r->p, n};
    r->p += n;
    return t;
}

struct cursor ipc_get_cursor(struct ipc_reader *r)
{
    uint64_t change = ipc_get_u64(r);
    return (struct cursor){change, ipc_get_u32(r)};
}

bool ipc_read_end(const struct ipc_reader *r)
{
    return !r->bad && r->p == r->end;
}
