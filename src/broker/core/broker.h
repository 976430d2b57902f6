/* What every part of the broker shares: its configuration and its event loop. */
#ifndef BROKER_H
#define BROKER_H

#include "conf.h"
#include "loop.h"

struct broker {
    struct conf conf;
    struct loop *loop;
};

/* The only one; main() sets it up before anything else runs. */
extern struct broker broker;

#endif
