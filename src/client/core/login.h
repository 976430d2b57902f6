/*
 * Which server, as whom: from the command line, the environment, and the file that `chat login`
 * leaves, mode 0600.
 *
 * A token goes to the server that gave it and to no other: the file's counts only where its server
 * is the one in use. CHATD_TOKEN counts before it, for whichever server is named.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include "buf.h"

struct login {
    char *server;  /* owned; a URL without a slash at its end */
    char *ca_file; /* owned; NULL: the system's certificates */
    char *token;   /* owned; NULL: none */
};

/* Finds server, certificates and token. Ends the program if the server's URL is none, or has a
 * user, a path or a query, or if the file cannot be read. */
void login_find(struct login *l);
void login_free(struct login *l);

/* Keeps these for later. */
void login_save(const struct login *l, struct text token);

/* Forgets them. */
void login_forget(void);

#endif
