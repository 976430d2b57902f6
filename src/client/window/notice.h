/* What the line above the one that is typed says: the latest thing to know, until a key is pressed
 * or something else is to be said. */
#ifndef NOTICE_H
#define NOTICE_H

/* Says something, in our words or the server's. */
void notice_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void notice_clear(void);

/* ""; or as it was said, not escaped. */
const char *notice_text(void);

#endif
