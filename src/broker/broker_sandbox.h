/* The broker's sandbox, closed before its first session and database connection. */
#ifndef BROKER_SANDBOX_H
#define BROKER_SANDBOX_H

#include "conf.h"

/* Confines the broker for good. Its log must be open. */
void broker_sandbox(const struct conf *conf);

#endif
