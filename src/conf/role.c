/* How a role begins; see role.h. */
#include "role.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "process.h"
#include "proctitle.h"

static void receive_conf(struct conf *conf, const char *name)
{
    struct stat st;
    if (fstat(ROLE_FD_CONF, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CONF_DUMP_MAX)
        die("%s is started by chatd, not by hand", name);
    struct buf text = BUF_INIT;
    size_t size = (size_t)st.st_size;
    if (pread(ROLE_FD_CONF, buf_reserve(&text, size + 1), size, 0) != (ssize_t)size)
        die("reading the configuration: %s", strerror(errno));
    buf_commit(&text, size);
    struct conf_error e;
    conf_init(conf);
    if (conf_load_text(conf, (const char *)buf_head(&text), size, name, &e) < 0)
        die("%s", e.text);
    buf_wipe(&text);
    close(ROLE_FD_CONF);
}

void role_start(struct conf *conf, const char *name, int argc, char **argv)
{
    pid_t master = argc == 2 ? (pid_t)atoi(argv[1]) : 0;
    proctitle_init(argc, argv);
    log_ident("%s[%d]", name, (int)getpid());
    receive_conf(conf, name);
    if (conf->mode == CONF_PRODUCTION)
        process_hide();
    log_init(strcmp(conf->log_file, "syslog") == 0 ? -1 : ROLE_FD_LOG,
             (enum log_level)conf->log_level);
    proctitle_set("%s", name);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != master)
        die("the master is gone");
    /* Of the signals that a terminal sends to the whole group the master decides what becomes. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}
