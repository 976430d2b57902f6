/*
 * Clients behind a trusted proxy. The proxy names the client in a PROXY header at the start of the
 * connection, or in X-Forwarded-For with each request. Both are ignored from anybody else.
 */
#ifndef PROXIED_H
#define PROXIED_H

#include "client.h"
#include "http.h"

/* Reads the PROXY header, if this peer must send one, and no byte beyond it. False if it did not
 * send a valid one: end the connection. */
bool proxied_begin(struct client *c);

/* Takes the client's address from X-Forwarded-For, if that counts here. True if it differs from
 * that of the last request. */
bool proxied_request(struct client *c, const struct http_request *r);

#endif
