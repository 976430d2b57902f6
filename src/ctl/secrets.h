/*
 * The configuration and its secrets, as init makes them.
 *
 * Nothing that is there is changed, but for lines at the end of the configuration that name new
 * files of secrets. Each file is complete before it has its name.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include "buf.h"

/* Are the database password and the token key there, in the configuration or in their files? */
bool secrets_there(void);

/* Makes what is missing of the two, and of the configuration; says so (done.h). Ends the program if
 * it cannot. */
void secrets_make(void);

/* The database password, for the caller to wipe. */
void secrets_password(struct buf *out);

#endif
