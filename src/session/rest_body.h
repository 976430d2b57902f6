/* What the handlers of requests share: the body as a JSON object, and the broker's answer. */
#ifndef REST_BODY_H
#define REST_BODY_H

#include <json-c/json.h>

#include "exchange.h"

/* A member of the body; name is set by the caller. */
struct field {
    const char *name;
    struct text text; /* in the object */
};

/* Calls handle with the request's body, a JSON object, and frees it. If the body is none, that is
 * answered instead. */
void rest_with_body(struct exchange *x, void (*handle)(struct exchange *, struct json_object *));

/* Fills in the named members, which must be strings; false when that was answered. */
bool rest_take_fields(struct exchange *x, struct json_object *object, struct field *fields,
                      size_t count);

/* Is this a name to show, of a user or a group: 1 to 64 characters on one line, no space at either
 * end? */
bool rest_name_fits(struct text t);

/* An answer of the broker. */
struct rest_reply {
    int status;
    uint64_t next;    /* where the next page begins, IPC_NO_BOUND: this is all */
    struct text json; /* a view, until the next request or ask_forget() */
};

/* Waits for the broker's answer to the request that ask_begin() started here. */
enum ipc_error rest_take_reply(struct exchange *x, size_t begin, struct rest_reply *r);

/* Passes it on, and forgets it here. */
void rest_pass_on(struct exchange *x, const struct rest_reply *r);

/* Both. */
void rest_forward_reply(struct exchange *x, size_t begin);

#endif
