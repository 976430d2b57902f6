/* Where things are; see places.h. */
#include "places.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"

/* The folder of this executable. */
static const char *own_folder(void)
{
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n < 0)
        ctl_fail(CTL_FAILED, "/proc/self/exe: %s", strerror(errno));
    path[n] = 0;
    *strrchr(path, '/') = 0;
    return path;
}

/* "/usr/local" of "/usr/local/sbin"; false for a folder of another name. */
static bool own_prefix(char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s", own_folder());
    char *last = strrchr(out, '/');
    if (!last || (strcmp(last, "/sbin") != 0 && strcmp(last, "/bin") != 0))
        return false;
    *last = 0;
    return true;
}

const char *places_conf(void)
{
    static char path[PATH_MAX + 32];
    char prefix[PATH_MAX];
    if (!own_prefix(prefix))
        return "";
    bool system = strcmp(prefix, "/usr") == 0;
    snprintf(path, sizeof(path), "%s/etc/chatd.conf", system ? "" : prefix);
    return path;
}

const char *places_migrate(void)
{
    static char path[PATH_MAX + 64];
    static const char *const folders[] = {"../share/chatd/sql", "../sql", "../../sql"};
    if (*ctl.sql) {
        snprintf(path, sizeof(path), "%s/migrate", ctl.sql);
        if (access(path, X_OK) == 0)
            return path;
        ctl_fail(CTL_FAILED, "%s: %s; --sql names the folder with the migrations of chatd", path,
                 strerror(errno));
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s/migrate", own_folder(), folders[i]);
        if (access(path, X_OK) == 0)
            return path;
    }
    ctl_fail(CTL_FAILED, "the migrations are not in %s/%s; name their folder with --sql",
             own_folder(), folders[0]);
}

char *places_secrets(const char *conf)
{
    char *path, *folder = xstrdup(conf);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    const char *last = slash ? strrchr(folder, '/') : NULL;
    bool own = last && strcmp(last, "/chatd") == 0;
    if (asprintf(&path, "%s/%s", slash ? folder : ".", own ? "secrets" : "chatd") < 0)
        die("out of memory");
    free(folder);
    return path;
}
