/*
 * The private keys of TLS on their way from their file to the signer.
 *
 * Their bytes are never in this process: the kernel copies them from the file into sealed memory,
 * and a short-lived child checks that it holds a key. That memory holds the newest key and the
 * previous one, which serves handshakes that began before a reload.
 */
#ifndef KEYRING_H
#define KEYRING_H

#include <stdbool.h>

#include "conf.h"

/* Reads tls_key_file. False with an error text, and nothing changed, if it cannot be read, or holds
 * no key whose public half has this fingerprint (tls_key.h). */
bool keyring_load(const struct conf *conf, const unsigned char *fingerprint, struct conf_error *e);

/* The memory for the signer; -1: no key is loaded. New content comes under a new descriptor. */
int keyring_fd(void);

#endif
