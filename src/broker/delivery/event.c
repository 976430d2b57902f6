/* Rows of changes; see event.h. */
#include "event.h"

#include "log.h"

struct event event_from_row(const PGresult *result, int row)
{
    struct event e = {.cursor = db_cursor(result, row, 0)};
    if (db_is_null(result, row, 4))
        return e;
    e.user_count = db_int_array(result, row, 2, e.users, 2);
    if (e.user_count > 2)
        bug("a message to %zu users", e.user_count);
    e.origin = (uint64_t)db_int(result, row, 3);
    e.frame = db_text(result, row, 4, &e.size);
    return e;
}

int event_rows(const PGresult *result, bool *whole)
{
    int rows = PQntuples(result);
    *whole = rows > 0 && db_is_null(result, rows - 1, 2);
    return rows - *whole;
}
