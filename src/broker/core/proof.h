/* The parts of a token that decide whether it was revoked. */
#ifndef PROOF_H
#define PROOF_H

#include <stdbool.h>
#include <stdint.h>

struct proof {
    int64_t issued;     /* iat, Unix time */
    int64_t generation; /* gen; in our own tokens only */
    bool foreign;       /* issued elsewhere, verified with a public key */
};

#endif
