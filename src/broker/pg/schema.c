/* The schema that this program needs; see schema.h. */
#include "schema.h"

#include <stdlib.h>
#include <string.h>

#include "trouble.h"

/* The number of the last migration that this program was written for. */
enum { SCHEMA_VERSION = 28 };

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

static bool version_fits(const PGconn *pg, int version)
{
    if (version == SCHEMA_VERSION)
        return true;
    trouble_error("database \"%s\" has schema version %d, this chatd needs %d: %s", PQdb(pg),
                  version, SCHEMA_VERSION,
                  version < SCHEMA_VERSION ? "run sql/migrate" : "install the newer chatd");
    return false;
}

bool schema_fits(const PGconn *pg, const PGresult *result)
{
    if (!encoding_fits(pg))
        return false;
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        const char *why = PQresultErrorMessage(result);
        trouble_error(
            "database \"%s\" has no chatd schema that this role may use: run sql/migrate (%.*s)",
            PQdb(pg), (int)strcspn(why, "\n"), why);
        return false;
    }
    if (strcmp(PQgetvalue(result, 0, 1), "origin") != 0) {
        trouble_error(
            "session_replication_role is set for db_user or db_name, so that no trigger runs: "
            "take it away with  alter role (or database) NAME reset session_replication_role");
        return false;
    }
    return version_fits(pg, atoi(PQgetvalue(result, 0, 0)));
}
