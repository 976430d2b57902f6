/* The auth worker's sandbox, closed before its first request. */
#ifndef AUTH_SANDBOX_H
#define AUTH_SANDBOX_H

#include "conf.h"

/* Confines the worker for good. Its log must be open. */
void auth_sandbox(const struct conf *conf);

#endif
