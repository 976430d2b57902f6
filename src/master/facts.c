/* What the master knows; see facts.h. */
#include "facts.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "exposition.h"
#include "refuse.h"
#include "roles.h"
#include "sessions.h"
#include "version.h"

static const char *const phases[] = {"starting", "serving", "retiring", "draining", "ending"};

void facts_put(const struct facts *f, struct buf *out)
{
    buf_printf(out,
               "pid %d\nversion %s\nphase %s\nclients %d\nspares %d\nmax_clients %d\ndeaths %u\n",
               (int)getpid(), CHATD_VERSION, f->phase, f->clients, f->spares, f->max_clients,
               roles_deaths());
}

static void put_server(const struct facts *f, struct buf *out)
{
    exposition_begin(out, "chatd_build_info", EXPOSITION_GAUGE, "The version of chatd.");
    exposition_put(out, "chatd_build_info", "version=\"" CHATD_VERSION "\"", 1);
    exposition_begin(out, "chatd_phase", EXPOSITION_GAUGE,
                     "1 for the phase that the server is in.");
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
        exposition_put_for(out, "chatd_phase", "phase", phases[i],
                           strcmp(phases[i], f->phase) == 0);
    exposition_one(out, "chatd_config_last_reload_successful", EXPOSITION_GAUGE,
                   "Whether the last reload of the configuration worked: 1, or 0.", f->reloaded);
    exposition_one(out, "chatd_config_last_reload_success_timestamp_seconds", EXPOSITION_GAUGE,
                   "Unix time at which the configuration in force was read.", (uint64_t)f->read_at);
}

/* Without a certificate there is no sample, so that no alert counts from the year 1970. */
static void put_certificate(const struct facts *f, struct buf *out)
{
    static const char name[] = "chatd_tls_certificate_expiry_timestamp_seconds";
    exposition_begin(out, name, EXPOSITION_GAUGE,
                     "Unix time at which the certificate of TLS expires.");
    if (f->tls_expiry)
        exposition_put(out, name, "", (uint64_t)f->tls_expiry);
}

static void put_connections(const struct facts *f, struct buf *out)
{
    exposition_one(out, "chatd_connections", EXPOSITION_GAUGE,
                   "Connections of clients, each with a session.", (uint64_t)f->clients);
    exposition_one(out, "chatd_connections_max", EXPOSITION_GAUGE,
                   "How many there may be: max_clients.", (uint64_t)f->max_clients);
    exposition_one(out, "chatd_spare_sessions", EXPOSITION_GAUGE,
                   "Sessions that wait for a client.", (uint64_t)f->spares);
    exposition_one(out, "chatd_connections_accepted_total", EXPOSITION_COUNTER,
                   "Connections that were accepted, those that were refused then included.",
                   f->accepted);
}

static void put_refused(struct buf *out)
{
    static const char name[] = "chatd_connections_refused_total";
    exposition_begin(out, name, EXPOSITION_COUNTER,
                     "Connections that were refused, by the limit that they exceed.");
    exposition_put_for(out, name, "reason", "max_clients", refuse_count(REFUSE_CLIENTS));
    exposition_put_for(out, name, "reason", "max_clients_per_address",
                       refuse_count(REFUSE_ADDRESS));
}

static void put_ended(struct buf *out)
{
    static const char name[] = "chatd_sessions_failed_total";
    const char *reason;
    exposition_begin(out, name, EXPOSITION_COUNTER,
                     "Sessions that ended without a request, or were killed, by reason.");
    for (unsigned i = 0; (reason = sessions_failure(i)); i++)
        exposition_put_for(out, name, "reason", reason, sessions_failures(i));
}

static void put_deaths(struct buf *out)
{
    static const char name[] = "chatd_restarts_total";
    const char *role;
    exposition_begin(out, name, EXPOSITION_COUNTER,
                     "Processes that have died and were started anew, by role.");
    for (int i = 0; (role = roles_kind(i)); i++)
        exposition_put_for(out, name, "role", role, roles_died(i));
}

void facts_expose(const struct facts *f, struct buf *out)
{
    put_server(f, out);
    put_certificate(f, out);
    put_connections(f, out);
    put_refused(out);
    put_ended(out);
    put_deaths(out);
}
