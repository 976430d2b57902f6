/* What an online client is told. */
#ifndef LIVE_PUT_H
#define LIVE_PUT_H

#include "live.h"

/* Sends a frame; at: the cursor that it brings, or NULL. Nothing follows a goodbye. */
void live_put_frame(struct live *l, const void *json, size_t n, const struct cursor *at);

/* Sends a frame that brings no cursor, and frees its text. */
void live_put_json(struct live *l, struct buf *json);

/* Sends an error; id: NULL for none. live_put_failure() takes its text from ipc_table.h. */
void live_put_error(struct live *l, struct text id, const char *code, bool temporary,
                    const char *text);
void live_put_failure(struct live *l, struct text id, enum ipc_error error);

/* Sends "resumed" with the client's present cursor; id: empty for none. */
void live_put_resumed(struct live *l, const struct buf *id, bool recovered);

/* Answers the auth frame. */
void live_put_authenticated(struct live *l);

/* Ends the connection; the first call counts. */
void live_goodbye(struct live *l, int code, const char *reason);

#endif
