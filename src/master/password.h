/*
 * The database's password, changed while the server runs.
 *
 * As with the other secrets, no byte of it is ever in this process: a child reads the file and, if
 * another password is in it than the broker has, writes the broker's configuration anew into sealed
 * memory.
 */
#ifndef PASSWORD_H
#define PASSWORD_H

#include <stdbool.h>
#include <sys/types.h>

/* The database refuses db_user: has the child look into db_password_file, which is named from
 * folder, at most once a second. Empty: there is none, and nothing happens. */
void password_look(const char *file, const char *folder);

/* Was it this child that ended? If it has found another password, the broker is replaced. */
bool password_reaped(pid_t pid, int status);

#endif
