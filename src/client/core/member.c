/* Members of objects; see member.h. */
#include "member.h"

#include <json-c/json.h>

#include "json.h"

struct text member_text(struct json_object *o, const char *key)
{
    struct text t;
    return json_get_text(o, key, &t) == JSON_OK ? t : (struct text){"", 0};
}

int64_t member_id(struct json_object *o, const char *key)
{
    int64_t id;
    return json_get_id(o, key, &id) == JSON_OK ? id : 0;
}

bool member_true(struct json_object *o, const char *key)
{
    bool value;
    return json_get_bool(o, key, &value) == JSON_OK && value;
}

struct json_object *member_array(struct json_object *o, const char *key)
{
    struct json_object *list;
    bool found = json_object_object_get_ex(o, key, &list);
    return found && json_object_is_type(list, json_type_array) ? list : NULL;
}
