/* What every part of the broker uses: its configuration and its event loop. */
#ifndef BROKER_H
#define BROKER_H

#include "conf.h"
#include "loop.h"

struct broker {
    struct conf conf;
    struct loop *loop;
};

/* The one of this process; set up by main() before anything else runs. */
extern struct broker broker;

#endif
