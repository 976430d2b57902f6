/* Users; see identity.h. */
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "sanitized.h"

void identity_find(struct identity *who, const char *key, const char *name)
{
    *who = (struct identity){.changes = geteuid() == 0};
    if (!who->changes)
        return;
    errno = 0;
    const struct passwd *found = getpwnam(name);
    if (!found)
        die("%s: there is no user \"%s\"%s%s; make one (useradd --system --shell /usr/sbin/nologin "
            "%s) or name another",
            key, name, errno ? ": " : "", errno ? strerror(errno) : "", name);
    if (found->pw_uid == 0 || found->pw_gid == 0)
        die("%s: \"%s\" is root, or in its group; name a user without rights", key, name);
    who->uid = found->pw_uid;
    who->gid = found->pw_gid;
}

/* A sanitizer build keeps its root directory: the runtime reads /proc at the end. */
static void enter_root(void)
{
#if !SANITIZED
    if (chroot(".") < 0 || chdir("/") < 0)
        die("chroot: %s", strerror(errno));
#endif
}

/* execve(2) fails for a user with more processes than the limit, and all sessions count. A
 * container may not let root lift it; if that matters, the log says what cannot run. The role's
 * sandbox sets the role's own limit. */
static void lift_process_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NPROC, &l) < 0)
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NPROC, &l);
    l.rlim_cur = l.rlim_max = RLIM_INFINITY;
    setrlimit(RLIMIT_NPROC, &l);
}

void identity_assume(const struct identity *who, enum identity_how how)
{
    if (!who->changes)
        return;
#if SANITIZED
    int dumpable = prctl(PR_GET_DUMPABLE);
#endif
    if (how == IDENTITY_CHROOT) {
        enter_root();
    } else {
        lift_process_limit();
        unsetenv("HOME"); /* libpq has files there, and asks getpwuid(3) otherwise */
    }
    if (setgroups(0, NULL) < 0 || setresgid(who->gid, who->gid, who->gid) < 0 ||
        setresuid(who->uid, who->uid, who->uid) < 0)
        die("becoming user %d: %s", (int)who->uid, strerror(errno));
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0 || getgroups(0, NULL) != 0)
        bug("root's privileges could be had again");
#if SANITIZED
    /* The kernel now keeps other processes of that user, of which there may be many, from looking
     * into this one. The leak checker is one of them. */
    if (dumpable == 1 && prctl(PR_SET_DUMPABLE, 1) < 0)
        die("PR_SET_DUMPABLE: %s", strerror(errno));
#endif
}
