/*
 * How a session ended, as its exit status.
 *
 * What a client does wrong before its first request would be a line of the log for each connection,
 * and a session lives too short to count such lines. So it says how it ended, and the master, which
 * sees all connections of an address, writes the line or counts it (repeats.h).
 */
#ifndef ENDINGS_H
#define ENDINGS_H

enum ending {
    ENDING_GOOD = 0,
    ENDING_DIED = 1,      /* die() */
    ENDING_TLS_LATE = 64, /* the handshake did not end in time */
    ENDING_TLS_LEFT,      /* the client left during the handshake */
    ENDING_TLS_FAILED,    /* libssl found fault, in the handshake or later */
    ENDING_TLS_UNSIGNED,  /* the handshake got no signature */
    ENDING_TLS_PLAIN,     /* plain HTTP on a port of TLS */
    ENDING_NO_PROXY,      /* a trusted proxy did not begin with a PROXY header */
};

#endif
