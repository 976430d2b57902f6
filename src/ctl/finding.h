/* What doctor finds: each check with its result and, where something is wrong, what to do. */
#ifndef FINDING_H
#define FINDING_H

/* All is well with this. */
void finding_good(const char *check, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* chatd will not work, or not safely. remedy: what to do. */
void finding_bad(const char *check, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints them all, and forgets them; returns how many are bad. */
int finding_print(void);

/* The checks, in files of their own: what the database is, and what this host is. */
void doctor_database(void);
void doctor_host(void);
void doctor_tls(void);

#endif
