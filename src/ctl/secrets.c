/* Configuration and secrets; see secrets.h. */
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "done.h"
#include "log.h"
#include "places.h"
#include "random.h"

/* The two secrets without which chatd does not start. */
static const struct secret {
    const char *what, *name, *key;
    enum conf_id id, file_id;
} secrets[] = {
    {"secret", "db_password", "db_password_file", CONF_K_db_password, CONF_K_db_password_file},
    {"secret", "jwt_secret", "jwt_secret_file", CONF_K_jwt_secret, CONF_K_jwt_secret_file},
};
enum { SECRETS = sizeof(secrets) / sizeof(secrets[0]) };

static const char *value_of(const struct secret *s)
{
    return s->id == CONF_K_db_password ? ctl.conf.db_password : ctl.conf.jwt_secret;
}

/* The file that the configuration names; "": none. */
static const char *file_of(const struct secret *s)
{
    return s->id == CONF_K_db_password ? ctl.conf.db_password_file : ctl.conf.jwt_secret_file;
}

/* Where it is, or will be. For free(3). */
static char *place_of(const struct secret *s)
{
    if (*file_of(s))
        return xstrdup(file_of(s));
    char *path, *folder = places_secrets(ctl.file);
    if (asprintf(&path, "%s/%s", folder, s->name) < 0)
        die("out of memory");
    free(folder);
    return path;
}

static bool is_there(const struct secret *s)
{
    char *place = place_of(s);
    struct stat st;
    bool there = *value_of(s) || (stat(place, &st) == 0 && st.st_size > 0);
    free(place);
    return there;
}

bool secrets_there(void)
{
    return is_there(&secrets[0]) && is_there(&secrets[1]);
}

/* A file of this mode with this text, which is there whole or not at all, whatever happens. Never
 * in place of another one. */
static void make_file(const char *path, mode_t mode, const struct buf *text)
{
    char temporary[PATH_MAX];
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        ctl_fail(CTL_FAILED, "%s: %s; run chatctl as the user who may write there", path,
                 strerror(errno));
    bool good = fchmod(fd, mode) == 0 &&
                write(fd, buf_head(text), buf_len(text)) == (ssize_t)buf_len(text) &&
                fsync(fd) == 0 && link(temporary, path) == 0;
    int error = errno;
    close(fd);
    unlink(temporary);
    if (!good)
        ctl_fail(CTL_FAILED, "%s: %s", path, strerror(error));
}

/* 32 random bytes, as text. */
static void put_secret(struct buf *out)
{
    enum { BYTES = 32 };
    random_hex((char *)buf_reserve(out, 2 * BYTES + 1), BYTES);
    buf_commit(out, 2 * (size_t)BYTES);
    buf_append(out, "\n", 1);
}

static void make_folder(const char *file)
{
    char *folder = xstrdup(file), *slash = strrchr(folder, '/');
    if (slash && slash > folder) {
        *slash = 0;
        if (mkdir(folder, 0700) == 0)
            done_put("folder", folder, "made, for its owner alone");
        else if (errno != EEXIST)
            ctl_fail(CTL_FAILED, "%s: %s; make the folder above it", folder, strerror(errno));
    }
    free(folder);
}

static void make_secret(const struct secret *s)
{
    char *place = place_of(s);
    if (*value_of(s)) {
        done_put(s->what, s->name, "kept, it is in the configuration");
    } else if (is_there(s)) {
        done_put(s->what, place, "kept");
    } else {
        struct buf text = BUF_INIT;
        make_folder(place);
        put_secret(&text);
        make_file(place, 0600, &text);
        buf_wipe(&text);
        done_put(s->what, place, "made, with mode 0600");
    }
    free(place);
}

/* --- the configuration --- */

/* chatd will not see what was only an option of chatctl's. */
static bool is_named(const struct secret *s)
{
    const char *where = ctl.conf.where[s->file_id];
    return *value_of(s) || (*file_of(s) && where && strcmp(where, "-o") != 0);
}

/* The lines that name the secrets which it does not name yet. */
static void put_lines(struct buf *out)
{
    for (size_t i = 0; i < SECRETS; i++) {
        const struct secret *s = &secrets[i];
        char *place = place_of(s);
        if (!is_named(s))
            buf_printf(out, "%s = %s\n", s->key, place);
        free(place);
    }
}

static void append(const struct buf *lines)
{
    int fd = open(ctl.file, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, buf_head(lines), buf_len(lines)) != (ssize_t)buf_len(lines) ||
        fsync(fd) < 0)
        ctl_fail(CTL_FAILED, "%s: %s", ctl.file, strerror(errno));
    close(fd);
}

static void make_conf(void)
{
    struct buf lines = BUF_INIT;
    bool there = access(ctl.file, F_OK) == 0;
    buf_printf(&lines, "%s# Made by chatctl init.%s\n", there ? "\n" : "",
               there ? "" : " chatd.conf(5) describes every key.");
    size_t heading = buf_len(&lines);
    put_lines(&lines);
    if (there && buf_len(&lines) == heading) {
        done_put("configuration", ctl.file, "kept");
    } else if (there) {
        append(&lines);
        done_put("configuration", ctl.file, "names the secrets now");
    } else {
        make_folder(ctl.file);
        make_file(ctl.file, 0644, &lines);
        done_put("configuration", ctl.file, "made");
    }
    buf_free(&lines);
}

void secrets_make(void)
{
    for (size_t i = 0; i < SECRETS; i++)
        make_secret(&secrets[i]);
    make_conf();
}

void secrets_password(struct buf *out)
{
    struct conf_error e = {""};
    char *place = place_of(&secrets[0]);
    if (!*ctl.conf.db_password && conf_read_password(&ctl.conf, place, &e) < 0)
        ctl_fail(CTL_FAILED, "%s", e.text);
    free(place);
    buf_reserve(out, strlen(ctl.conf.db_password) + 1);
    buf_append(out, ctl.conf.db_password, strlen(ctl.conf.db_password) + 1);
}
