/* Users who cannot log in because of what is stored as their password_hash: the log says so, once
 * for each, since anybody who knows the name could repeat it. */
#ifndef ODD_HASHES_H
#define ODD_HASHES_H

#include <stdint.h>

#include "ipc.h"

/* Logs it, if that is what came of comparing this user's password. */
void odd_hashes_tell(int64_t user, const char *name, enum ipc_check check);

void odd_hashes_free(void);

#endif
