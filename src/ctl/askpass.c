/* Questions; see askpass.h. */
#include "askpass.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

enum { MOST = 72 }; /* bcrypt reads no more */

static struct termios before;

/* Ctrl-C at the question leaves a terminal that shows what is typed. */
static void on_interrupt(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    signal(number, SIG_DFL);
    raise(number);
}

static void hide(bool hidden)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (hidden && tcgetattr(STDIN_FILENO, &before) < 0)
        ctl_fail(CTL_FAILED, "the terminal: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        signal(ends[i], hidden ? on_interrupt : SIG_DFL);
    struct termios now = before;
    if (hidden)
        now.c_lflag &= ~(tcflag_t)(ECHO);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) < 0)
        ctl_fail(CTL_FAILED, "the terminal: %s", strerror(errno));
}

/* A line of standard input, without its end; byte by byte, so that nothing behind it is read. One
 * byte more than allowed is kept, to be refused. */
static void read_line(struct buf *out)
{
    buf_reserve(out, MOST + 2);
    for (;;) {
        char ch = 0;
        ssize_t n = read(STDIN_FILENO, &ch, 1);
        if (n < 0 && errno != EINTR)
            ctl_fail(CTL_FAILED, "standard input: %s", strerror(errno));
        if (n == 0 || (n > 0 && ch == '\n'))
            return;
        if (n > 0 && buf_len(out) <= MOST)
            buf_append(out, &ch, 1);
    }
}

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
    fprintf(stderr, "%s %s: ", question, whose);
    fflush(stderr);
    read_line(out);
    fputc('\n', stderr);
}

void askpass_new(struct buf *out, const char *whose, int least)
{
    if (!isatty(STDIN_FILENO)) {
        read_line(out);
        check(out, least);
        return;
    }
    struct buf again = BUF_INIT;
    hide(true);
    ask(out, "New password of", whose);
    ask(&again, "Once more, of", whose);
    hide(false);
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
