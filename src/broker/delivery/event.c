/* Rows of changes; see event.h. */
#include "event.h"

#include <string.h>

#include "log.h"

enum { CURSOR, STAMP, USERS, ORIGIN, FRAME, GROUP, SUBJECT, MEMBERSHIP };

/* Who comes or goes: kept until the next row. */
static void take_named(struct event *e, const PGresult *result, int row)
{
    static int64_t *named;
    static size_t room;
    int64_t membership = db_int(result, row, MEMBERSHIP);
    e->membership = membership < 0 ? MEMBERS_GO : MEMBERS_COME;
    e->since = membership < 0 ? 0 : (uint64_t)membership;
    e->named_count = db_int_array(result, row, USERS, named, room);
    if (e->named_count > room) {
        room = e->named_count;
        named = xrealloc(named, room * sizeof(*named));
        db_int_array(result, row, USERS, named, room);
    }
    e->named = named;
}

static void take_users(struct event *e, const PGresult *result, int row)
{
    e->user_count = db_int_array(result, row, USERS, e->users, 2);
    if (e->user_count > 2)
        bug("a message to %zu users", e->user_count);
}

struct event event_from_row(const PGresult *result, int row)
{
    struct event e = {.cursor = db_cursor(result, row, CURSOR)};
    if (!db_is_null(result, row, MEMBERSHIP))
        take_named(&e, result, row);
    e.group = db_int(result, row, GROUP);
    e.subject = (uint64_t)db_int(result, row, SUBJECT);
    if (db_is_null(result, row, FRAME))
        return e;
    if (!e.group)
        take_users(&e, result, row);
    e.origin = (uint64_t)db_int(result, row, ORIGIN);
    e.frame = db_text(result, row, FRAME, &e.size);
    return e;
}

int event_rows(const PGresult *result, bool *whole)
{
    int rows = PQntuples(result);
    *whole = rows > 0 && db_is_null(result, rows - 1, USERS);
    return rows - *whole;
}

/* to_json() escapes no other characters. */
size_t event_text_size(const char *p, size_t n)
{
    size_t size = n;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ')
            size += strlen("\\u0000") - 1;
        else if (p[i] == '"' || p[i] == '\\')
            size++;
    return size;
}
