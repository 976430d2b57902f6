/* Objects as lines; see element.h. */
#include "element.h"

#include <json-c/json.h>
#include <string.h>

#include "show.h"

void element_put(struct buf *out, struct json_object *o)
{
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    show_json(out, (struct text){text, strlen(text)});
    buf_puts(out, "\n");
}
