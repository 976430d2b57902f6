/* What can be an address of mail. */
#ifndef EMAIL_H
#define EMAIL_H

#include <stdbool.h>
#include <stddef.h>

enum { EMAIL_MAX = 254 };

/* Could these n bytes be one? Whether mail arrives is for a mail to find out; this refuses what
 * cannot be an address. */
bool email_fits(const char *p, size_t n);

#endif
