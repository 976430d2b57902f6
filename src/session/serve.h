/* The part of a connection's life that speaks HTTP: one request after the other. */
#ifndef SERVE_H
#define SERVE_H

#include "ask.h"
#include "next.h"

/* Serves requests until the connection ends or leaves HTTP; returns what comes next. */
struct next serve_http(struct client *c, struct ask *a);

/* Tells a client that sent a request without TLS to use TLS. One attempt: a client that does not
 * take the answer is not waited for. */
void serve_plain_http(struct client *c);

#endif
