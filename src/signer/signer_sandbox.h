/* The signer's sandbox, closed before its first request. */
#ifndef SIGNER_SANDBOX_H
#define SIGNER_SANDBOX_H

#include "conf.h"

/* Confines the signer for good. Its log must be open and its keys read. */
void signer_sandbox(const struct conf *conf);

#endif
