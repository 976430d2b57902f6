/* Checks the public keys of outside token issuers. */
#ifndef PUBLIC_KEYS_H
#define PUBLIC_KEYS_H

struct conf;
struct conf_error;

/* Checks jwt_public_key: each key must be RSA of 2048 bits or more (for RS256), or on the curve
 * P-256 (for ES256). 0, or -1 with an error that names the place and the remedy. */
int public_keys_check(const struct conf *c, struct conf_error *e);

#endif
