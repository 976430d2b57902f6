/* One element of the server's lists as a line of JSON, which is what --json prints of each. */
#ifndef ELEMENT_H
#define ELEMENT_H

#include "buf.h"

struct json_object;

/* Appends the object in one line. */
void element_put(struct buf *out, struct json_object *o);

#endif
