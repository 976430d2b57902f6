/* What a client that cannot see the HTTP status is told in its place. */
#ifndef CLOSE_CODE_H
#define CLOSE_CODE_H

/* The code of a close frame (RFC 6455 section 7.4) that says what this status of an error says. */
int close_code_of(int status);

#endif
