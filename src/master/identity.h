/*
 * Whom the master's children run as. A master that is root stays root: it has to make children of
 * other users, and files that only root reads are read again on a reload. Its children never are.
 * A master that is not root can only have children of its own user.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
    bool changes; /* false: they stay who the master is */
    uid_t uid;
    gid_t gid;
};

/* Finds the user that this key of the configuration names; when this process is not root, nothing
 * is looked for. Dies if there is no such user, or if it is root. */
void identity_find(struct identity *who, const char *key, const char *name);

/* IDENTITY_CHROOT: the working directory becomes the root, too. IDENTITY_PROGRAM: a program is run
 * next, which must not take root's home for its own. */
enum identity_how { IDENTITY_CHROOT, IDENTITY_PROGRAM };

/* In a child: becomes that user, with its group and no other, for good. Nobody but root
 * may look into this process then, until it runs a program. Dies if that fails. */
void identity_assume(const struct identity *who, enum identity_how how);

#endif
