/*
 * The programs that run beside the sessions: one broker, some auth workers, for TLS a signer, and
 * for admin_listen an exporter. They are started, and started again when they die, at once the
 * first time and with back-off when they keep dying.
 *
 * What connects them is made once and outlives each of them: the sessions' socket, the packet
 * sockets between the broker and the others, and the configuration in sealed memory. A session that
 * connects while no broker runs waits in the socket's queue.
 */
#ifndef ROLES_H
#define ROLES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf.h"
#include "identity.h"

/* What the exporter gets: its listening socket, -1: there is no exporter; its end of the packet
 * socket to the master; where it logs to; the user that it runs as, kept. */
struct roles_exporter {
    int listener, master, log;
    const struct identity *who;
};

/* Opens the programs that are in this executable's directory now, whatever an update puts there
 * later. conf still holds the secrets; the copies made here are in no process's memory. listener:
 * for the broker, taken over. who: the user they run as; kept. Dies if a program is missing. */
void roles_init(const struct conf *conf, int listener, int log_fd, int auth_workers,
                const struct identity *who, const struct roles_exporter *exporter);

/* The exporter starts, if there is one: this server can be asked. It ends for good: another can. */
void roles_start_exporter(void);
void roles_stop_exporter(void);

/* Without a server: has a broker try the database, with this configuration and log, as this user;
 * it logs what is wrong. Waits for it. */
bool roles_try_broker(const struct conf *conf, int log_fd, const struct identity *who);

/* The signer's keys are now those behind fd, which the caller keeps open: a running signer finishes
 * its request and is replaced. */
void roles_renew_signer(int fd);

/* The broker's configuration is now what is behind fd, which is taken over: a running broker ends,
 * and a new one starts. */
void roles_renew_broker(int fd);

/* The sealed memory with the broker's part of the configuration, secrets and all. */
int roles_conf_fd(void);

/* Writes the keys that the role gets into a new memfd_create(2), and seals it. Dies if it cannot.
 */
void roles_write_conf(const struct conf *conf, unsigned role, int fd);

/* Starts roles that are due, and ends those halted for too long. Returns when to call again, as
 * clock_ms(), or CLOCK_NEVER. */
int64_t roles_turn(void);

/* A child was halted, by SIGSTOP or the like, or continued. A helper that stays halted is
 * replaced. */
void roles_halted(pid_t pid, bool halted);

/* Was this child one of them? If so, notes that it died. */
bool roles_reaped(pid_t pid, int status);

/* The descriptor on which the broker reports, and its last report: 1 up, 0 down, -1 nothing new.
 * refused: has it said that the database refuses db_user? */
int roles_status_fd(void);
int roles_read_status(bool *refused);

/* How many of them have died, but for those that were told to end: of all, and of each kind, from 0
 * on, with its name; NULL at the end. */
unsigned roles_deaths(void);
const char *roles_kind(int i);
uint64_t roles_died(int i);

/* Hands an operator's connection to the broker, with n bytes that say how the master is. It waits
 * for the next broker if none runs. False if too many wait. */
bool roles_pass_operator(int fd, const char *facts, size_t n);

/* Sends a signal to the broker, or to its helpers; after that they are not started again. */
void roles_stop_broker(int signal);
void roles_stop_helpers(int signal);
bool roles_broker_gone(void);
bool roles_all_gone(void);

#endif
