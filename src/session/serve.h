/* The part of a connection's life that speaks HTTP: one request after the other. */
#ifndef SERVE_H
#define SERVE_H

#include "ask.h"

/* Serves requests until the connection ends (false) or has become a WebSocket (true). */
bool serve_http(struct client *c, struct ask *a);

#endif
