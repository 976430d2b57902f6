/* The exporter's sandbox, closed before its first connection. */
#ifndef EXPORTER_SANDBOX_H
#define EXPORTER_SANDBOX_H

#include "conf.h"

/* Confines the exporter for good. Its log must be open. */
void exporter_sandbox(const struct conf *conf);

#endif
