/*
 * What the commands of chatctl share: the configuration, the options of the command line, and how
 * the program ends.
 *
 * chatctl is for the operator. It reads chatd.conf as the server does, changes the database as its
 * owner, and asks the running server through a socket of its own (control.h). It holds no secret
 * longer than it needs it, and takes none from the command line.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

/* How it ends; chatctl(8) says the same. */
enum ctl_status {
    CTL_DONE = 0,
    CTL_FAILED = 1,  /* or doctor has found something, or migrate --dry-run something to apply */
    CTL_USAGE = 2,   /* the command line is wrong */
    CTL_AWAY = 3,    /* the database, or the server, cannot be reached */
    CTL_UNKNOWN = 4, /* there is no such user, conversation or connection */
};

struct ctl {
    struct conf conf;
    const char *file;  /* the configuration; "": none was found */
    const char *sql;   /* folder of the migrations; "": to be looked for */
    const char *owner; /* role to administer the database as; "": libpq's default */
    const char *room;  /* "": none was named */
    const char *email;
    int64_t after; /* list what comes behind this id */
    int64_t limit; /* rows of a list, at most */
    bool json;
    bool dry_run;
    bool new_secrets;
    bool conversations; /* delete them as well */
    bool watch;
    bool yes; /* do not ask */
};

/* The only one; main() fills it in before a command runs. */
extern struct ctl ctl;

/* Says on standard error what is wrong, and ends with this status. */
void ctl_fail(enum ctl_status status, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* Says something beside the result, on standard error. */
void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
