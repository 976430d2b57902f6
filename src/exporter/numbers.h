/*
 * What master and broker say of the server, asked for anew each time, and never by two at once.
 *
 * A byte goes to the master; its answer has its phase, its numbers, and a connection to the broker,
 * which is asked there (broker/control.h). Whoever does not answer in time is left out: a broker
 * that hangs keeps nobody from seeing that it does. An answer of the master may come late, or be
 * lost; after some seconds it is asked again.
 */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <stdbool.h>

#include "loop.h"
#include "text.h"

struct numbers {
    bool master, broker;          /* has it answered? */
    bool database;                /* the broker says that it can use the database */
    char phase[16];               /* the master's word; "" without an answer */
    struct text masters, brokers; /* their samples, as in exposition.h; may be empty */
};

/* told: called once for each numbers_ask(), never before it returns; the texts are valid until it
 * returns. fd: ROLE_FD_MASTER. */
void numbers_init(struct loop *loop, int fd, void (*told)(const struct numbers *n));

/* Asks. Nothing may be under way. */
void numbers_ask(void);
bool numbers_asked(void);

void numbers_free(void);

#endif
