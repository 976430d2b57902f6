/*
 * What the commands of chat(1) share: the options of the command line, and how the program ends.
 *
 * chat is a client like any other: it knows the server by its protocol alone. Nothing that a server
 * or another user sends is trusted, least of all on its way to a terminal.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/* How it ends; chat(1) says the same. */
enum chat_status {
    CHAT_DONE = 0,
    CHAT_FAILED = 1,  /* files, standard input and output, what is no answer of a chatd */
    CHAT_USAGE = 2,   /* the command line is wrong */
    CHAT_AWAY = 3,    /* the server cannot be reached, or asks to come back later */
    CHAT_UNKNOWN = 4, /* there is no such user or group */
    CHAT_DENIED = 5,  /* not logged in, or the server does not take password or token */
    CHAT_REFUSED = 6, /* the server does not accept what was asked for */
};

struct program {
    const char *server;  /* NULL: by environment, or login */
    const char *ca_file; /* NULL: as the server */
    const char *email;
    const char *cursor_file; /* NULL: a file of its own for each account and conversation */
    const char *history;     /* of a new group; NULL: the server's default */
    int64_t after, before;   /* message ids; -1: none */
    int64_t limit;           /* messages of a history */
    int64_t wait;            /* seconds for which a message is sent again */
    bool json;
    bool lines;
    bool all;
    bool admin;
    bool local;
    bool now; /* begin a tail with what comes from now on */
};

/* The only one; main() fills it in before a command runs. */
extern struct program program;

/* If this is set, it is called before anything is said: it gives the terminal back. */
extern void (*program_leave)(void);

/* Says on standard error what is wrong, and ends with this status. What a terminal must not get is
 * escaped. */
void program_fail(enum chat_status status, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* Says something beside the result, in the same way. */
void program_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
