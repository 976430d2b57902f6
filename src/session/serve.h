/* The part of a connection's life that speaks HTTP: one request after the other. */
#ifndef SERVE_H
#define SERVE_H

#include "ask.h"
#include "next.h"

/* Serves requests until the connection ends or becomes something else; returns what. */
struct next serve_http(struct client *c, struct ask *a);

/* Tells a client that sent a request without TLS to use it, and ends the connection. The answer is
 * written once: nobody waits for a client that does not take it. */
void serve_plain_http(struct client *c);

#endif
