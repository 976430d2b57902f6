/* What keys do; see KEYS in chat(1). */
#ifndef KEYS_H
#define KEYS_H

/* Takes all that was typed. */
void keys_take(void);

#endif
