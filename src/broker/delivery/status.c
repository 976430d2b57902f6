/* Rows of presence; see status.h. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "log.h"

const char *status_mode(void)
{
    static const char *const names[] = {[CONF_PRESENCE_ALL] = "all",
                                        [CONF_PRESENCE_CONTACTS] = "contacts",
                                        [CONF_PRESENCE_OFF] = "off"};
    return names[broker.conf.presence];
}

static int64_t *audience;

static const int64_t *take_audience(const PGresult *result, int row, size_t *count)
{
    *count = db_int_array(result, row, 4, NULL, 0);
    audience = xrealloc(audience, (*count + 1) * sizeof(*audience));
    db_int_array(result, row, 4, audience, *count);
    return audience;
}

struct status status_from_row(const PGresult *result, int row)
{
    static char frame[256];
    struct status s = {.change = (uint64_t)db_int(result, row, 0),
                       .user = db_int(result, row, 1),
                       .online = db_bool(result, row, 3),
                       .to_all = db_is_null(result, row, 4),
                       .frame = frame};
    size_t n;
    const char *name = db_text(result, row, 2, &n);
    if (!s.to_all)
        s.audience = take_audience(result, row, &s.audience_count);
    /* A username consists of letters, digits, '.', '_' and '-': nothing to escape. */
    s.size = (size_t)snprintf(frame, sizeof(frame),
                              "{\"type\":\"user_status\",\"data\":{\"user_id\":%lld,\"online\":%s,"
                              "\"username\":\"%.*s\"}}",
                              (long long)s.user, s.online ? "true" : "false", (int)n, name);
    return s;
}

bool status_concerns(const struct status *s, int64_t user)
{
    if (s->to_all)
        return true;
    for (size_t i = 0; i < s->audience_count; i++)
        if (s->audience[i] == user)
            return true;
    return false;
}

void status_free(void)
{
    free(audience);
    audience = NULL;
}
