/*
 * The database's password, changed while the server runs.
 *
 * As with other secrets, no byte of it is ever in this process: a child reads the file and, if its
 * password differs from the broker's, writes a new configuration for the broker into sealed memory.
 */
#ifndef PASSWORD_H
#define PASSWORD_H

#include <stdbool.h>
#include <sys/types.h>

/* The database refuses db_user: a child looks into db_password_file, relative to folder, at most
 * once a second. Does nothing if file is empty. */
void password_look(const char *file, const char *folder);

/* Was it this child that ended? If it found another password, replaces the broker. */
bool password_reaped(pid_t pid, int status);

#endif
