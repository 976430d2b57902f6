/*
 * Clients that come through a trusted proxy: who they are, the proxy says, before the first byte of
 * the connection or with each request. From anybody else neither is looked at.
 */
#ifndef PROXIED_H
#define PROXIED_H

#include "client.h"
#include "http.h"

/* Reads the PROXY header, if this peer has to send one; nothing that follows it is taken from the
 * socket. False if it did not: then there is nobody to serve. */
bool proxied_begin(struct client *c);

/* Whose request this is, according to X-Forwarded-For, if that counts here. True if it is another
 * client's than the last one. */
bool proxied_request(struct client *c, const struct http_request *r);

#endif
