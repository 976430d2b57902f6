/* Users with a password_hash that cannot be compared; see odd_hashes.h. */
#include "odd_hashes.h"

#include "log.h"
#include "map.h"

enum { MOST = 1000 }; /* that are named */

static struct map logged; /* user id -> any value */

void odd_hashes_tell(int64_t user, const char *name, enum ipc_check check)
{
    if ((check != IPC_NO_HASH && check != IPC_DEAR_HASH) || logged.count > MOST ||
        map_get(&logged, (uint64_t)user))
        return;
    map_put(&logged, (uint64_t)user, &logged);
    if (logged.count > MOST)
        log_warn("more users cannot log in for their password_hash; they are not named");
    else if (check == IPC_NO_HASH)
        log_warn("%s cannot log in: the password_hash of user %lld is not bcrypt's ($2a$, $2b$, "
                 "$2y$)",
                 name, (long long)user);
    else
        log_warn("%s cannot log in: the cost of the password_hash of user %lld is too far above "
                 "bcrypt_cost",
                 name, (long long)user);
}

void odd_hashes_free(void)
{
    map_free(&logged);
}
