/* How a role begins; see role.h. */
#include "role.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "process.h"
#include "proctitle.h"

static void receive_conf(struct conf *conf, const char *name)
{
    struct buf text = BUF_INIT;
    if (!conf_read_dump(&text, ROLE_FD_CONF))
        die("%s is started by chatd, not by hand", name);
    struct conf_error e;
    conf_init(conf);
    if (conf_load_text(conf, (const char *)buf_head(&text), buf_len(&text), name, &e) < 0)
        die("%s", e.text);
    buf_wipe(&text);
    close(ROLE_FD_CONF);
}

int role_log_fd(const struct conf *conf)
{
    return strcmp(conf->log_file, "syslog") == 0 ? -1 : ROLE_FD_LOG;
}

bool role_is_trial(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[2], ROLE_TRIAL) == 0;
}

void role_start(struct conf *conf, const char *name, int argc, char **argv)
{
    pid_t master = argc >= 2 ? (pid_t)atoi(argv[1]) : 0;
    if (argc == 3) /* "hidden", or it is a trial, which need not be looked into */
        process_hide();
    proctitle_init(argc, argv);
    log_process(name);
    receive_conf(conf, name);
    int log = role_log_fd(conf);
    log_init(log, log_kind(log), (enum log_level)conf->log_level);
    log_set_format((enum log_format)conf->log_format);
    proctitle_set("%s", name);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_PDEATHSIG, ROLE_STOP);
    if (getppid() != master)
        die("the master is gone");
}
