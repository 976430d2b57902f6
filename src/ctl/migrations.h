/* Runs sql/migrate, the one program that knows how a database is brought up to date. */
#ifndef MIGRATIONS_H
#define MIGRATIONS_H

#include <stdbool.h>

/* Applies what is missing, or with dry_run only looks, and gives each line that it says to take.
 * password: what the role of chatd gets; NULL: it keeps the one that it has. Returns its exit
 * status; what went wrong it has said itself, on standard error. */
int migrations_run(bool dry_run, const char *password, void (*take)(char *line));

#endif
