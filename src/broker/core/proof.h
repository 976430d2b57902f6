/* What a token says that decides whether it was revoked. */
#ifndef PROOF_H
#define PROOF_H

#include <stdbool.h>
#include <stdint.h>

struct proof {
    int64_t issued;     /* iat, Unix time */
    int64_t generation; /* of the user's tokens: gen; of ours only */
    bool foreign;       /* issued elsewhere, verified with a public key */
};

#endif
