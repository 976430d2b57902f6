/* What the signer may still do, from before its first request to its end. */
#ifndef SIGNER_SANDBOX_H
#define SIGNER_SANDBOX_H

#include "conf.h"

/* Closes the signer in. Its log must be open and its keys read. */
void signer_sandbox(const struct conf *conf);

#endif
