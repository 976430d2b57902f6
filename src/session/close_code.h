/* Close codes for clients that cannot see an HTTP status. */
#ifndef CLOSE_CODE_H
#define CLOSE_CODE_H

/* The close code (RFC 6455 section 7.4) that corresponds to this error status. */
int close_code_of(int status);

#endif
