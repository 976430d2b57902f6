/* Trying the database; see trial.h. */
#include "trial.h"

#include <stdbool.h>

#include "broker.h"
#include "broker_sandbox.h"
#include "db.h"
#include "statements.h"

static bool ended, good;

static void on_up(void *arg)
{
    (void)arg;
    ended = good = true;
}

static void on_down(void *arg)
{
    (void)arg;
    ended = true;
}

static void on_refused(void *arg)
{
    (void)arg; /* it is down next */
}

int trial_run(void)
{
    static const struct db_owner owner = {on_up, on_down, NULL, on_refused};
    broker.loop = loop_new();
    broker_sandbox(&broker.conf);
    struct db *db =
        db_new(broker.loop, &broker.conf, "trial", DB_LISTENER | DB_WRITER | DB_POOL, &owner, NULL);
    db_connect(db);
    while (!ended)
        loop_once(broker.loop);
    db_free(db);
    loop_free(broker.loop);
    conf_free(&broker.conf);
    return good ? 0 : 1;
}
