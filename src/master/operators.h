/*
 * Operators, who ask the running server something with chatctl(8).
 *
 * They connect to control.PID in run_dir (rundir.h). The master accepts, looks who it is, and hands
 * the connection to the broker, with what only the master knows. It reads nothing from it: the
 * broker takes the request and answers it (broker/control.h), so that no operator holds the master
 * up, however slow.
 */
#ifndef OPERATORS_H
#define OPERATORS_H

#include <stdbool.h>

struct facts;

/* Accepts those who wait, a few at most. False when there are no descriptors for them. */
bool operators_admit(const struct facts *facts);

#endif
