/* What keys do; see The window in chat(1). */
#ifndef KEYBOARD_H
#define KEYBOARD_H

/* Takes all that was typed. */
void keyboard_take(void);

#endif
