/* The database's password; see password.h. */
#include "password.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "log.h"
#include "roles.h"

enum {
    PAUSE_MS = 1000,
    PATIENCE_S = 5, /* the file may be a pipe that nobody writes to */
};

enum verdict { SAME, UNREADABLE, OTHER }; /* UNREADABLE is also die()'s status */

static struct {
    pid_t pid; /* 0: there is none */
    int fd;    /* what it writes to */
} child;
static int64_t look_at; /* clock_ms(): do not look before */
static bool told;       /* it was logged that the file cannot be read */

/* In the child: the broker's configuration with the password from the file. */
static bool compose(struct conf *conf, char **had, const char *file, struct conf_error *e)
{
    struct buf text = BUF_INIT;
    conf_init(conf);
    if (!conf_read_dump(&text, roles_conf_fd()) ||
        conf_load_text(conf, (const char *)buf_head(&text), buf_len(&text), "broker", e) < 0)
        return false;
    *had = xstrdup(conf->db_password);
    return conf_read_password(conf, file, e) == 0;
}

/* In the child. */
static enum verdict read_again(const char *file, const char *folder)
{
    struct conf conf;
    struct conf_error e = {"what the broker was given cannot be read"};
    char *had;
    if (chdir(folder) < 0)
        log_warn("%s: %s", folder, strerror(errno));
    if (!compose(&conf, &had, file, &e)) {
        if (!told)
            log_error("the database refuses db_user: %s", e.text);
        return UNREADABLE;
    }
    if (strcmp(had, conf.db_password) == 0)
        return SAME;
    roles_write_conf(&conf, CONF_BROKER, child.fd);
    return OTHER;
}

void password_look(const char *file, const char *folder)
{
    if (!*file || child.pid || clock_ms() < look_at)
        return;
    look_at = clock_ms() + PAUSE_MS;
    child.fd = memfd_create("chatd.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    child.pid = child.fd < 0 ? -1 : fork();
    if (child.pid == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        alarm(PATIENCE_S);
        _exit((int)read_again(file, folder));
    }
    if (child.pid > 0)
        return;
    log_error("reading db_password_file: %s", strerror(errno));
    if (child.fd >= 0)
        close(child.fd);
    child.pid = 0;
}

bool password_reaped(pid_t pid, int status)
{
    if (!child.pid || pid != child.pid)
        return false;
    child.pid = 0;
    bool ended = WIFEXITED(status);
    if (ended && WEXITSTATUS(status) == OTHER) {
        log_info("db_password_file holds another password: starting a broker that has it");
        roles_renew_broker(child.fd);
    } else {
        close(child.fd);
    }
    told = !ended || WEXITSTATUS(status) == UNREADABLE;
    return true;
}
