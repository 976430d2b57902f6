/*
 * The users that the master's children run as. A master that is root stays root: it makes children
 * of other users, and rereads root's files on a reload. Its children never run as root. A master
 * that is not root can only have children of its own user.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
    bool changes; /* false: they keep the master's user */
    uid_t uid;
    gid_t gid;
};

/* Looks up the user that this configuration key names; does nothing unless this process is root.
 * Dies if there is no such user, or if it is root. */
void identity_find(struct identity *who, const char *key, const char *name);

/* IDENTITY_CHROOT: the working directory becomes the root, too. IDENTITY_PROGRAM: a program runs
 * next, and must not take root's home for its own. */
enum identity_how { IDENTITY_CHROOT, IDENTITY_PROGRAM };

/* In a child: becomes that user, with its group only, for good. Until it runs a program, only root
 * may look into this process. Dies if that fails. */
void identity_assume(const struct identity *who, enum identity_how how);

#endif
