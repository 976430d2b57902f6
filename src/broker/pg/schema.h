/* Whether a database is one that this program was written for: the first thing a connection asks.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <libpq-fe.h>
#include <stdbool.h>

/* What a connection option cannot do is done here too: transaction_timeout is unknown before
 * PostgreSQL 17, and whoever waits for a standby, in whichever way, may; who waits for nothing must
 * not, since an acknowledged message is durable. */
#define SCHEMA_QUERY                                                                               \
    "select chatd_api.schema_version(), current_setting('session_replication_role'),"              \
    " case when current_setting('transaction_timeout', true) is not null"                          \
    " then set_config('transaction_timeout', '0', false) end,"                                     \
    " case when current_setting('synchronous_commit') = 'off'"                                     \
    " then set_config('synchronous_commit', 'on', false) end"

/* Does the database fit, by the answer to SCHEMA_QUERY? If not, the log says what to do. */
bool schema_fits(const PGconn *pg, const PGresult *result);

#endif
