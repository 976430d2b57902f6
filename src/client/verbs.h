/* The commands of chat, each with the words of the command line behind its name. They end the
 * program if they fail. See chat(1). */
#ifndef VERBS_H
#define VERBS_H

struct login;

/* account.c */
void account_register(const struct login *l, char **words);
void account_login(const struct login *l, char **words);
void account_logout(const struct login *l, char **words);
void account_whoami(const struct login *l, char **words);

void send_run(const struct login *l, char **words);    /* send.c */
void tail_run(const struct login *l, char **words);    /* tail.c */
void history_run(const struct login *l, char **words); /* history.c */

/* listing.c */
void listing_users(const struct login *l, char **words);
void listing_conversations(const struct login *l, char **words);
void listing_members(const struct login *l, char **words);

/* group.c */
void group_create(const struct login *l, char **words);
void group_invite(const struct login *l, char **words);
void group_leave(const struct login *l, char **words);
void group_rename(const struct login *l, char **words);

#endif
