/* What becomes of a connection after its last HTTP response. */
#ifndef NEXT_H
#define NEXT_H

#include <stdbool.h>

#include "ipc_table.h"
#include "ws_deflate.h"

struct next {
    enum { NEXT_NOTHING, NEXT_WEBSOCKET, NEXT_STREAM } kind;
    /* From where the client is live. The last two wait for a "resumed" frame: at once, or when
     * what the client missed has been sent. */
    enum { FROM_NOW, FROM_NOW_TOLD, FROM_CURSOR } start;
    /* NEXT_WEBSOCKET: the client has yet to say who it is; from this cursor on it is live then. */
    bool unproven;
    char cursor[IPC_MAX_CURSOR + 1];
    bool event_stream;         /* NEXT_STREAM: server-sent events, not JSON lines */
    bool chunked;              /* NEXT_STREAM: with the chunked coding */
    struct ws_deflate deflate; /* NEXT_WEBSOCKET: what was agreed on */
};

#endif
