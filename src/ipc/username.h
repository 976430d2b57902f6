/* What a username is made of: nothing that JSON, a process title or the log has to escape. */
#ifndef USERNAME_H
#define USERNAME_H

#define USERNAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

enum { USERNAME_MAX = 32 };

#endif
