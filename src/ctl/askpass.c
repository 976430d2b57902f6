/* Questions; see askpass.h. */
#include "askpass.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"
#include "secret.h"

enum { MOST = 72 }; /* bcrypt reads no more */

static void check(const struct buf *password, int least)
{
    size_t n = buf_len(password);
    if (n < (size_t)least || n == 0)
        ctl_fail(CTL_FAILED, "the password must have at least %d bytes (min_password)",
                 least > 0 ? least : 1);
    if (n > MOST)
        ctl_fail(CTL_FAILED, "the password must have at most %d bytes: bcrypt reads no more", MOST);
    if (memchr(buf_head(password), 0, n))
        ctl_fail(CTL_FAILED, "the password must not contain a NUL byte");
}

static void ask(struct buf *out, const char *question, const char *whose)
{
    char *text;
    if (asprintf(&text, "%s %s: ", question, whose) < 0)
        die("out of memory");
    if (!secret_read(out, text, MOST))
        ctl_fail(CTL_FAILED, "standard input: %s", strerror(errno));
    free(text);
}

void askpass_new(struct buf *out, const char *whose, int least)
{
    ask(out, "New password of", whose);
    if (!isatty(STDIN_FILENO)) {
        check(out, least);
        return;
    }
    struct buf again = BUF_INIT;
    ask(&again, "Once more, of", whose);
    check(out, least);
    if (buf_len(out) != buf_len(&again) ||
        memcmp(buf_head(out), buf_head(&again), buf_len(out)) != 0)
        ctl_fail(CTL_FAILED, "the two differ; nothing was changed");
    buf_wipe(&again);
}

bool askpass_agreed(const char *question)
{
    char line[8] = "";
    if (ctl.yes || !isatty(STDIN_FILENO))
        return ctl.yes;
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}
