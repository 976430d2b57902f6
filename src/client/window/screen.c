/* The terminal; see screen.h. */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "program.h"
#include "sanitized.h"
#include "show.h"
#include "utf8.h"

/* Behind all others: they make macros of words such as "lines". */
#include <curses.h>
#include <term.h>

enum { PASTE = KEY_MAX + 1, PASTED };
enum { ESCAPE_MS = 50, KEPT_MOST = 1 << 16 };

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";

static SCREEN *screen;
static bool is_open;
static int real_stderr = -1, kept_stderr = -1;
static const char *kept; /* what was written to it */

/* --- standard error --- */

static void keep_stderr(void)
{
    if (SANITIZED || !isatty(STDERR_FILENO))
        return;
    real_stderr = dup(STDERR_FILENO);
    kept_stderr = memfd_create("stderr", MFD_CLOEXEC);
    if (real_stderr < 0 || kept_stderr < 0 || dup2(kept_stderr, STDERR_FILENO) < 0)
        die("standard error: %s", strerror(errno));
    kept = mmap(NULL, KEPT_MOST, PROT_READ, MAP_SHARED, kept_stderr, 0);
    if (kept == MAP_FAILED)
        die("mmap: %s", strerror(errno));
}

/* Also where the program crashes: nothing but what a handler may call. */
static void release_stderr(void)
{
    struct stat st;
    if (real_stderr < 0)
        return;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    real_stderr = -1;
    if (!kept || fstat(kept_stderr, &st) < 0 || st.st_size == 0)
        return;
    size_t n = st.st_size < KEPT_MOST ? (size_t)st.st_size : KEPT_MOST;
    if (write(STDERR_FILENO, kept, n) < 0)
        return; /* nobody is left to tell */
}

/* --- a crash --- */

static struct termios as_it_was;
static char farewell[200]; /* what leaves the window */

/* Nothing but what a handler may call: signal-safety(7). */
static void crash(int signal_number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
    if (write(STDOUT_FILENO, farewell, strlen(farewell)) < 0)
        _exit(1);
    release_stderr();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void add_farewell(const char *capability)
{
    const char *text = tigetstr(capability);
    size_t n = strlen(farewell);
    if (text && text != (const char *)-1)
        snprintf(farewell + n, sizeof(farewell) - n, "%s", text);
}

/* A sanitizer has handlers of its own. */
static void expect_crashes(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    snprintf(farewell, sizeof(farewell), "%s", paste_off);
    add_farewell("sgr0");
    add_farewell("cnorm");
    add_farewell("rmkx");
    add_farewell("rmcup");
    for (size_t i = 0; !SANITIZED && i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], crash);
}

/* --- the terminal --- */

static void write_out(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

bool screen_possible(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void begin_screen(void)
{
    const char *term = getenv("TERM"), *move;
    screen = newterm(NULL, stdout, stdin);
    move = screen ? tigetstr("cup") : NULL;
    if (!move || move == (const char *)-1) {
        if (screen)
            endwin();
        program_fail(CHAT_FAILED, "TERM is \"%s\": this is no terminal that can show a window",
                     term ? term : "");
    }
}

static void set_modes(void)
{
    raw(); /* a ^C that is pasted is no ^C */
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE);
    set_escdelay(ESCAPE_MS);
    define_key("\033[200~", PASTE);
    define_key("\033[201~", PASTED);
}

void screen_open(void)
{
    tcgetattr(STDIN_FILENO, &as_it_was);
    begin_screen();
    is_open = true;
    program_leave = screen_close;
    atexit(screen_close);
    set_modes();
    expect_crashes();
    write_out(paste_on);
    keep_stderr();
}

void screen_close(void)
{
    if (!is_open)
        return;
    is_open = false;
    write_out(paste_off);
    endwin();
    release_stderr();
    delscreen(screen);
}

void screen_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
}

int screen_rows(void)
{
    return LINES;
}

int screen_columns(void)
{
    return COLS;
}

/* As the terminal does it: with who has started it, and not where nobody could continue it. */
static void stop(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    signal(SIGTSTP, SIG_DFL);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void screen_suspend(void)
{
    write_out(paste_off);
    endwin();
    stop();
    write_out(paste_on);
    screen_resize();
    screen_redraw();
}

void screen_redraw(void)
{
    clearok(curscr, TRUE);
}

/* --- cells --- */

void screen_clear(void)
{
    erase();
}

void screen_put(int row, int column, struct text t, enum screen_style style)
{
    static const attr_t attributes[] = {[SCREEN_PLAIN] = A_NORMAL,
                                        [SCREEN_DIM] = A_DIM,
                                        [SCREEN_BOLD] = A_BOLD,
                                        [SCREEN_REVERSE] = A_REVERSE};
    if (row < 0 || row >= LINES || column < 0 || column >= COLS || t.n == 0)
        return;
    attrset((int)(show_coloured() ? attributes[style] : A_NORMAL));
    mvaddnstr(row, column, t.p, (int)t.n);
    attrset(A_NORMAL);
}

void screen_show(int cursor_row, int cursor_column)
{
    move(cursor_row, cursor_column);
    refresh();
}

/* --- keys --- */

static enum screen_code code_of(int key)
{
    static const struct {
        int key;
        enum screen_code code;
    } keys[] = {{KEY_UP, SCREEN_UP},         {KEY_DOWN, SCREEN_DOWN},       {KEY_LEFT, SCREEN_LEFT},
                {KEY_RIGHT, SCREEN_RIGHT},   {KEY_HOME, SCREEN_HOME},       {KEY_END, SCREEN_END},
                {KEY_PPAGE, SCREEN_PAGE_UP}, {KEY_NPAGE, SCREEN_PAGE_DOWN}, {KEY_DC, SCREEN_DELETE},
                {PASTE, SCREEN_PASTE},       {PASTED, SCREEN_PASTED}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i].key == key)
            return keys[i].code;
    return SCREEN_OTHER;
}

static void set_control(struct screen_key *k, int c)
{
    k->code = SCREEN_CONTROL;
    k->control = (unsigned char)c;
}

/* Bytes of a character, which need not come together. True with the last one; what is no UTF-8 is
 * dropped. */
static bool take_byte(struct screen_key *k, int byte)
{
    static struct utf8 state;
    static char bytes[5];
    static size_t n;
    uint8_t c = (uint8_t)byte;
    if (n == 4 || !utf8_feed(&state, &c, 1)) {
        memset(&state, 0, sizeof(state));
        n = 0;
        return false;
    }
    bytes[n++] = (char)c;
    if (!utf8_complete(&state))
        return false;
    k->code = SCREEN_CHARACTER;
    memcpy(k->text, bytes, n);
    k->text[n] = '\0';
    n = 0;
    return true;
}

bool screen_key(struct screen_key *k)
{
    for (int c; (c = getch()) != ERR;) {
        *k = (struct screen_key){0};
        if (c == KEY_BACKSPACE || c == KEY_ENTER)
            set_control(k, c == KEY_ENTER ? '\r' : 127);
        else if (c >= KEY_MIN)
            k->code = code_of(c);
        else if (c < 0x20 || c == 127)
            set_control(k, c);
        else if (!take_byte(k, c))
            continue;
        return true;
    }
    return false;
}

bool screen_gone(void)
{
    struct pollfd p = {.fd = STDIN_FILENO};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}
