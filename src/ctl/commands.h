/* The commands of chatctl, each with the words of the command line behind its name; what they
 * return is how the program ends. See chatctl(8). */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "ctl.h"

enum ctl_status init_run(char **words);    /* init.c */
enum ctl_status migrate_run(char **words); /* migrate.c */
enum ctl_status doctor_run(char **words);  /* doctor.c */

enum ctl_status status_run(char **words); /* status.c */

/* who.c */
enum ctl_status who_run(char **words);
enum ctl_status kick_user(char **words);
enum ctl_status kick_session(char **words);

/* users.c */
enum ctl_status users_list(char **words);
enum ctl_status users_show(char **words);
enum ctl_status users_add(char **words);
enum ctl_status users_password(char **words);
enum ctl_status users_disable(char **words);
enum ctl_status users_enable(char **words);
enum ctl_status users_logout(char **words);
enum ctl_status users_delete(char **words);

/* rooms.c */
enum ctl_status rooms_list(char **words);
enum ctl_status rooms_show(char **words);
enum ctl_status rooms_delete(char **words);

enum ctl_status restored_run(char **words); /* restored.c */

/* retention.c */
enum ctl_status retention_show(char **words);
enum ctl_status retention_set(char **words);

#endif
