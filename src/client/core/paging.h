/* Long lists, page by page, as the server gives them. */
#ifndef PAGING_H
#define PAGING_H

#include <stdbool.h>

struct json_object;

/* Where a list is. Set path, and query to the first page's, and zero the rest. */
struct pages {
    const char *path;
    char query[256]; /* with its '?' */
    bool ended;
};

/* The next page, an array, whose end the field Link tells; NULL behind the last. For
 * json_object_put(). Ends the program if the server refuses. */
struct json_object *pages_next(struct pages *p);

/* The same for GET /conversations, whose pages say themselves what follows: the object; *list is
 * the array in it. */
struct json_object *pages_next_conversations(struct pages *p, struct json_object **list);

#endif
