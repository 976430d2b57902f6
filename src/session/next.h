/* What becomes of a connection after its last HTTP response. */
#ifndef NEXT_H
#define NEXT_H

#include <stdbool.h>

#include "ipc_table.h"
#include "ws_deflate.h"

struct next {
    enum { NEXT_NOTHING, NEXT_WEBSOCKET, NEXT_STREAM } kind;
    /* Where live delivery starts. "resumed" is sent at once for FROM_NOW_TOLD, and for FROM_CURSOR
     * after what the client missed. */
    enum { FROM_NOW, FROM_NOW_TOLD, FROM_CURSOR } start;
    /* NEXT_WEBSOCKET: the client has yet to send its token, and then attaches at this cursor. */
    bool unproven;
    char cursor[IPC_MAX_CURSOR + 1];
    bool event_stream;         /* NEXT_STREAM: server-sent events, not JSON lines */
    bool chunked;              /* NEXT_STREAM: with the chunked coding */
    struct ws_deflate deflate; /* NEXT_WEBSOCKET: as agreed in the handshake */
};

#endif
