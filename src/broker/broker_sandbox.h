/* What the broker may still do, from before its first session and connection to its end. */
#ifndef BROKER_SANDBOX_H
#define BROKER_SANDBOX_H

#include "conf.h"

/* Closes the broker in. Its log must be open. */
void broker_sandbox(const struct conf *conf);

#endif
