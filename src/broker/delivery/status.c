/* Rows of presence; see status.h. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "log.h"

void status_param_mode(struct db_params *params)
{
    static const char *const names[] = {[CONF_PRESENCE_ALL] = "all",
                                        [CONF_PRESENCE_CONTACTS] = "contacts",
                                        [CONF_PRESENCE_OFF] = "off"};
    const char *mode = names[broker.conf.presence];
    db_param_text(params, mode, strlen(mode));
}

static int64_t *audience, *hidden; /* of the last row */

static struct user_set take_users(const PGresult *result, int row, int column, int64_t **ids)
{
    if (db_is_null(result, row, column))
        return (struct user_set){0};
    size_t count = db_int_array(result, row, column, NULL, 0);
    *ids = xrealloc(*ids, (count + 1) * sizeof(**ids));
    db_int_array(result, row, column, *ids, count);
    return (struct user_set){*ids, count};
}

struct status status_from_row(const PGresult *result, int row)
{
    static char frame[256];
    struct status s = {.change = (uint64_t)db_int(result, row, 0),
                       .user = db_int(result, row, 1),
                       .online = db_bool(result, row, 3),
                       .view = db_bool(result, row, 6),
                       .to_all = db_is_null(result, row, 4),
                       .audience = take_users(result, row, 4, &audience),
                       .hidden = take_users(result, row, 5, &hidden),
                       .frame = frame};
    size_t n;
    const char *name = db_text(result, row, 2, &n);
    /* A username consists of letters, digits, '.', '_' and '-': nothing to escape. */
    s.size = (size_t)snprintf(frame, sizeof(frame),
                              "{\"type\":\"user_status\",\"data\":{\"user_id\":%lld,\"online\":%s,"
                              "\"username\":\"%.*s\"}}",
                              (long long)s.user, s.online ? "true" : "false", (int)n, name);
    return s;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static bool is_among(int64_t user, const struct user_set *set)
{
    return set->count && bsearch(&user, set->ids, set->count, sizeof(user), compare_ids);
}

bool status_concerns(const struct status *s, int64_t user)
{
    return user != s->user && (s->to_all || is_among(user, &s->audience)) &&
           !is_among(user, &s->hidden);
}

void status_free(void)
{
    free(audience);
    free(hidden);
    audience = hidden = NULL;
}
