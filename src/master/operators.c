/* Operators; see operators.h. */
#include "operators.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "facts.h"
#include "log.h"
#include "process.h"
#include "repeats.h"
#include "roles.h"
#include "rundir.h"

enum { AT_ONCE = 4 };

/* The mode of the socket says the same; this holds if somebody changes that. */
static bool is_operator(int fd)
{
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t size = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
        (cred.uid == 0 || cred.uid == geteuid()))
        return true;
    repeats_log(LOG_L_WARN, NULL, "control socket: user %d was refused", (int)cred.uid);
    return false;
}

static void pass_on(int fd, const struct facts *facts)
{
    struct buf text = BUF_INIT;
    facts_put(facts, &text);
    if (!roles_pass_operator(fd, (const char *)buf_head(&text), buf_len(&text)))
        repeats_log(LOG_L_WARN, NULL, "control socket: too many wait for the broker");
    buf_free(&text);
}

bool operators_admit(const struct facts *facts)
{
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = accept4(rundir_control(), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return !process_out_of_descriptors(errno);
        if (is_operator(fd))
            pass_on(fd, facts);
        close(fd);
    }
    return true;
}
