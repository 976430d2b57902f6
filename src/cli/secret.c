/* A line that nobody sees; see secret.h. */
#include "secret.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;

static void on_interrupt(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    signal(number, SIG_DFL);
    raise(number);
}

static bool hide(bool hidden)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (hidden && tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        signal(ends[i], hidden ? on_interrupt : SIG_DFL);
    struct termios now = before;
    if (hidden)
        now.c_lflag &= ~(tcflag_t)(ECHO);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) == 0;
}

/* Byte by byte, so that nothing behind the line is read; into memory that never moves, so that no
 * copy stays behind. */
static bool read_line(struct buf *out, size_t most)
{
    size_t before_it = buf_len(out);
    buf_reserve(out, most + 2);
    for (;;) {
        char ch = 0;
        ssize_t n = read(STDIN_FILENO, &ch, 1);
        if (n < 0 && errno != EINTR)
            return false;
        if (n == 0 || (n > 0 && ch == '\n'))
            return true;
        if (n > 0 && buf_len(out) - before_it <= most)
            buf_append(out, &ch, 1);
    }
}

bool secret_read(struct buf *out, const char *question, size_t most)
{
    if (!isatty(STDIN_FILENO))
        return read_line(out, most);
    if (!hide(true))
        return false;
    fputs(question, stderr);
    fflush(stderr);
    bool good = read_line(out, most);
    int error = errno;
    fputc('\n', stderr);
    good = hide(false) && good;
    errno = good ? 0 : error;
    return good;
}
