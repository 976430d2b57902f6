/*
 * The broker as "chatd -T" runs it: connects to the database once, checks its schema, and prepares
 * every statement, as all of its connections do together; then ends. It writes nothing there.
 */
#ifndef TRIAL_H
#define TRIAL_H

/* Returns the exit status: 0 if the database can be used. What is wrong is in the log. */
int trial_run(void);

#endif
