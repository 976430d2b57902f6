/* Running sql/migrate; see migrations.h. */
#include "migrations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "owner.h"
#include "places.h"

/* In the child. The password goes through the environment, which only the same user can read. */
static void __attribute__((noreturn)) become(const char *path, bool dry_run, const char *password)
{
    char name[] = "migrate", role[] = "--role", status[] = "--status";
    char *apply[] = {name, role, (char[64]){0}, NULL}, *look[] = {name, status, NULL};
    snprintf(apply[2], 64, "%s", ctl.conf.db_user);
    owner_become();
    if (password && setenv("ROLE_PASSWORD", password, 1) < 0)
        _exit(127);
    if (!password)
        unsetenv("ROLE_PASSWORD");
    if (chdir("/") == 0)
        execv(path, dry_run ? look : apply);
    ctl_note("%s: %s; let everybody read the migrations and enter their folder", path,
             strerror(errno));
    _exit(127);
}

static void take_lines(int fd, void (*take)(char *line))
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fdopen(fd, "r");
    if (!f)
        ctl_fail(CTL_FAILED, "fdopen: %s", strerror(errno));
    for (ssize_t n; (n = getline(&line, &room, f)) > 0;) {
        line[n - (line[n - 1] == '\n')] = 0;
        if (*line)
            take(line);
    }
    free(line);
    fclose(f);
}

int migrations_run(bool dry_run, const char *password, void (*take)(char *line))
{
    char *path = realpath(places_migrate(), NULL);
    int ends[2], status;
    if (!path || pipe(ends) < 0)
        ctl_fail(CTL_FAILED, "%s: %s", places_migrate(), strerror(errno));
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        ctl_fail(CTL_FAILED, "fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        become(path, dry_run, password);
    }
    close(ends[1]);
    free(path);
    take_lines(ends[0], take);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            ctl_fail(CTL_FAILED, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}
