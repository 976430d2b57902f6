/* Asking the servers; see inquiry.h. */
#include "inquiry.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"

#define PREFIX "control."

enum { PATIENCE_S = 10, LINE = 1024, WORDS = 12 };

/* The pid in the name of a control socket; 0: it is something else. */
static int pid_of(const char *name)
{
    int pid;
    char end;
    return sscanf(name, PREFIX "%9d%c", &pid, &end) == 1 ? pid : 0;
}

/* -1 if nobody is there any more, without a word, as a server that was killed leaves its name. */
static int connect_to(int pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" PREFIX "%d",
                     ctl.conf.run_dir, pid);
    if (n >= (int)sizeof(address.sun_path))
        ctl_fail(CTL_FAILED, "run_dir: %s is too long for the name of a socket", ctl.conf.run_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        ctl_fail(CTL_FAILED, "socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (errno != ECONNREFUSED && errno != ENOENT)
        ctl_note("%s: %s; run chatctl as root, or as the user who started chatd", address.sun_path,
                 strerror(errno));
    close(fd);
    return -1;
}

/* Whatever it is, it will be text that any terminal and any JSON takes. */
static int split(char *line, char **words)
{
    int count = 0;
    char *rest;
    for (char *s = line; *s; s++)
        if (*s != '\n' && (*s < ' ' || *s > '~'))
            *s = '?';
    for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS;
         word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    words[count] = NULL;
    return count;
}

/* Reads the answer up to its end; false if that did not come. */
static bool read_answer(int pid, FILE *f, void (*take)(int pid, char **words))
{
    char line[LINE], *words[WORDS + 1];
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "error ", 6) == 0) {
            line[strcspn(line, "\n")] = 0;
            ctl_note("chatd[%d]: %s", pid, line + 6);
            return false;
        }
        if (split(line, words) == 0)
            continue;
        if (strcmp(words[0], "end") == 0)
            return true;
        take(pid, words);
    }
    ctl_note("chatd[%d] has not answered within %d seconds, or not to the end: its broker is away, "
             "or has too much to do; the log says more",
             pid, PATIENCE_S);
    return false;
}

static bool ask(int pid, int fd, const char *request, void (*take)(int pid, char **words))
{
    char line[128];
    int n = snprintf(line, sizeof(line), "%s\n", request);
    bool good = false;
    FILE *f = fdopen(fd, "r");
    if (!f)
        ctl_fail(CTL_FAILED, "fdopen: %s", strerror(errno));
    /* A server that takes no more says so and closes: read that even if it took nothing. */
    ssize_t sent = send(fd, line, (size_t)n, MSG_NOSIGNAL);
    if (sent == n || (sent < 0 && errno == EPIPE))
        good = read_answer(pid, f, take);
    else
        ctl_note("chatd[%d]: %s", pid, strerror(errno));
    fclose(f);
    return good;
}

int inquiry_all(const char *request, void (*take)(int pid, char **words))
{
    int answered = 0;
    DIR *dir = opendir(ctl.conf.run_dir);
    if (!dir)
        ctl_fail(CTL_AWAY,
                 "run_dir: %s: %s; start chatd, name its configuration with -f, or run chatctl as "
                 "the user who started it",
                 ctl.conf.run_dir, strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        int pid = pid_of(entry->d_name);
        int fd = pid ? connect_to(pid) : -1;
        if (fd >= 0)
            answered += ask(pid, fd, request, take);
    }
    closedir(dir);
    return answered;
}

void inquiry_none(void)
{
    ctl_fail(CTL_AWAY, "no chatd answers in %s; start it, or name its configuration with -f",
             ctl.conf.run_dir);
}
