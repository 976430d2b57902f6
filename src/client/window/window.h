/*
 * chat without a command: a window with the conversations, for people.
 *
 * It asks and is told by the same requests and the same stream as the commands, all at once and
 * without waiting for any: calls.c does that. reader.c, room.c, thread.c and people.c keep what is
 * known, fetch.c asks for what is missing, follow.c takes what comes, posting.c sends; desk.c,
 * keyboard.c and slash.c are the user's side, view.c, paint.c and screen.c what is shown.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>

/* Is there a terminal? */
bool window_possible(void);

/* Opens it, with the conversation with whom, or "#group", if that is not NULL. Returns when the
 * user leaves. */
void window_run(const char *whom);

#endif
