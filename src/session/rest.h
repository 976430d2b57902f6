/* The resources of the server: which methods each has, and what they do. */
#ifndef REST_H
#define REST_H

#include "exchange.h"

/* Answers the request in x; its body is there. */
void rest_serve(struct exchange *x);

#endif
