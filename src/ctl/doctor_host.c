/* What doctor looks at on this host: limits of the kernel, files and their modes, users, disks. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ctl.h"
#include "finding.h"
#include "log.h"
#include "trust.h"

enum {
    OWN_DESCRIPTORS = 64, /* of the broker, beside one for each session */
    OTHERS = 200,         /* processes of the rest of the system, at least */
    DISK_MB = 512,
};

/* --- limits --- */

/* The number in a file; -1: it has none. */
static long long number_in(const char *path)
{
    FILE *f = fopen(path, "re");
    long long number = -1;
    if (f && fscanf(f, "%lld", &number) != 1)
        number = -1;
    if (f)
        fclose(f);
    return number;
}

static void check_number(const char *check, const char *path, long long wanted, const char *remedy)
{
    long long number = number_in(path);
    if (number < 0 || number >= wanted)
        finding_good(check, "%s allows what max_clients needs", path);
    else
        finding_bad(check, remedy, "%s is %lld, and max_clients needs %lld", path, number, wanted);
}

static void check_processes(void)
{
    long long wanted = (long long)ctl.conf.max_clients + ctl.conf.max_spare + OTHERS;
    check_number("pid_max", "/proc/sys/kernel/pid_max", wanted,
                 "sysctl -w kernel.pid_max=4194304, and the same in /etc/sysctl.d");
    check_number(
        "threads-max", "/proc/sys/kernel/threads-max", wanted,
        "sysctl -w kernel.threads-max=200000, or lower max_clients: it follows the memory");
    check_number("somaxconn", "/proc/sys/net/core/somaxconn",
                 ctl.conf.backlog < 4096 ? ctl.conf.backlog : 4096,
                 "sysctl -w net.core.somaxconn=4096, and the same in /etc/sysctl.d");
}

static void check_descriptors(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)ctl.conf.max_clients + OWN_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_max >= wanted)
        finding_good("nofile", "enough descriptors for max_clients");
    else
        finding_bad("nofile", "raise it where chatd is started: LimitNOFILE= in a unit, ulimit -Hn",
                    "%llu descriptors are allowed here, and max_clients needs %llu",
                    (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
}

/* --- files --- */

static void check_conf(void)
{
    struct conf_error e = {""};
    if (!*ctl.file || access(ctl.file, R_OK) < 0)
        finding_bad("configuration", "run chatctl init, or name it with -f", "%s: %s",
                    *ctl.file ? ctl.file : "chatd.conf", *ctl.file ? strerror(errno) : "not found");
    else if (conf_check(&ctl.conf, &e) < 0)
        finding_bad("configuration", "correct it; chatd -t checks it", "%s", e.text);
    else
        finding_good("configuration", "%s", ctl.file);
}

/* A file that only its owner, or a group that it was given to, should read. */
static void check_private(const char *key, const char *path)
{
    struct stat st;
    char place[PATH_MAX];
    if (!*path)
        return;
    const char *fault = *path == '/' ? trust_path_fault(path, place) : NULL;
    if (stat(path, &st) < 0) {
        finding_bad(key, "correct the path, or run chatctl init", "%s: %s", path, strerror(errno));
    } else if (st.st_mode & (S_IRWXO | S_IWGRP)) {
        finding_bad(key, "chmod 600, and make another secret: it may be known",
                    "%s: mode %03o lets others read or write it", path,
                    (unsigned)(st.st_mode & 0777));
    } else if (fault) {
        finding_bad(key, "see what it says", "%s: %s", place, fault);
    } else {
        finding_good(key, "%s: mode %03o", path, (unsigned)(st.st_mode & 0777));
    }
}

static void check_files(void)
{
    check_private("db_password_file", ctl.conf.db_password_file);
    check_private("jwt_secret_file", ctl.conf.jwt_secret_file);
    check_private("jwt_old_secret_file", ctl.conf.jwt_old_secret_file);
    check_private("tls_key_file", ctl.conf.tls_key_file);
    if (!*ctl.conf.jwt_secret_file && !*ctl.conf.jwt_secret)
        finding_bad("jwt_secret", "run chatctl init",
                    "it is not set, so that chatd does not start");
}

/* --- users, folders, disks --- */

static void check_user(const char *key, const char *name)
{
    if (!*name || geteuid() != 0)
        return;
    if (getpwnam(name))
        finding_good(key, "%s", name);
    else
        finding_bad(key, "useradd --system --shell /usr/sbin/nologin NAME", "there is no user %s",
                    name);
}

static void check_run_dir(void)
{
    struct stat st;
    const char *path = ctl.conf.run_dir;
    if (stat(path, &st) < 0 && errno == ENOENT)
        finding_good("run_dir", "%s: chatd makes it", path);
    else if (stat(path, &st) < 0)
        finding_bad("run_dir", "let whoever starts chatd enter it", "%s: %s", path,
                    strerror(errno));
    else if (st.st_mode & 022)
        finding_bad("run_dir", "chmod go-w", "%s: others may write there", path);
    else
        finding_good("run_dir", "%s", path);
}

static void check_disk(const char *check, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0)
        return;
    unsigned long long mb = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    if (mb >= DISK_MB && (fs.f_files == 0 || fs.f_favail > 1000))
        finding_good(check, "%s: %llu MB free", path, mb);
    else
        finding_bad(check, "make room: a full disk stops what is written there",
                    "%s: %llu MB and %llu files free", path, mb, (unsigned long long)fs.f_favail);
}

static void check_disks(void)
{
    if (*ctl.conf.log_file == '/') {
        char *folder = xstrdup(ctl.conf.log_file);
        *strrchr(folder, '/') = 0;
        check_disk("disk of log_file", *folder ? folder : "/");
        free(folder);
    }
    check_disk("disk of /var", "/var");
}

void doctor_host(void)
{
    check_conf();
    check_files();
    check_user("user", ctl.conf.user);
    check_user("session_user", ctl.conf.session_user);
    check_run_dir();
    check_processes();
    check_descriptors();
    check_disks();
}
