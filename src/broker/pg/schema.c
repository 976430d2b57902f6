/* The schema that this program needs; see schema.h. */
#include "schema.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "trouble.h"

/* The schema is from before there was a range. */
#define UNDEFINED_FUNCTION "42883"

static bool encoding_fits(const PGconn *pg)
{
    const char *encoding = PQparameterStatus(pg, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") == 0)
        return true;
    trouble_error("database \"%s\" (db_name) has encoding %s, chatd needs UTF8: make another one "
                  "with encoding 'UTF8' template template0, and run sql/migrate there",
                  PQdb(pg), encoding ? encoding : "unknown");
    return false;
}

/* Once for each newer version, not for each connection. */
static void tell_newer(const PGconn *pg, int newest)
{
    static int told;
    if (told == newest)
        return;
    told = newest;
    log_info("database \"%s\" has schema version %d, which this chatd of version %d can use, too",
             PQdb(pg), newest, SCHEMA_VERSION);
}

/* Programs of the versions from oldest to newest may use this schema. */
static bool range_fits(const PGconn *pg, int oldest, int newest)
{
    if (newest > SCHEMA_VERSION && oldest <= SCHEMA_VERSION)
        tell_newer(pg, newest);
    if (newest >= SCHEMA_VERSION && oldest <= SCHEMA_VERSION)
        return true;
    trouble_error("database \"%s\" has schema version %d, this chatd needs %d: %s", PQdb(pg),
                  newest, SCHEMA_VERSION,
                  newest < SCHEMA_VERSION ? "run sql/migrate" : "install the newer chatd");
    return false;
}

/* SCHEMA_QUERY failed. */
static void tell_unusable(const PGconn *pg, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *why = PQresultErrorMessage(result);
    int length = (int)strcspn(why, "\n");
    if (state && strcmp(state, UNDEFINED_FUNCTION) == 0)
        trouble_error(
            "database \"%s\" has an older schema than version %d, which this chatd needs: "
            "run sql/migrate (%.*s)",
            PQdb(pg), SCHEMA_VERSION, length, why);
    else
        trouble_error("database \"%s\" has no chatd schema that this role may use: "
                      "run sql/migrate (%.*s)",
                      PQdb(pg), length, why);
}

bool schema_fits(const PGconn *pg, const PGresult *result)
{
    if (!encoding_fits(pg))
        return false;
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        tell_unusable(pg, result);
        return false;
    }
    if (strcmp(PQgetvalue(result, 0, 2), "origin") != 0) {
        trouble_error(
            "session_replication_role is set for db_user or db_name, so that no trigger runs: "
            "take it away with  alter role (or database) NAME reset session_replication_role");
        return false;
    }
    return range_fits(pg, atoi(PQgetvalue(result, 0, 0)), atoi(PQgetvalue(result, 0, 1)));
}
