/* What an auth worker may still do, from before its first request to its end. */
#ifndef AUTH_SANDBOX_H
#define AUTH_SANDBOX_H

#include "conf.h"

/* Closes the worker in. Its log must be open. */
void auth_sandbox(const struct conf *conf);

#endif
