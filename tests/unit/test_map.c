/* The hash map against a plain array, through many random insertions and removals. */
#include "map.h"

#include <stdbool.h>
#include <stdlib.h>

#include "test.h"

enum { KEYS = 500 };

static void agrees_with_an_array(void)
{
    struct map m = {0};
    static int things[KEYS];
    static bool present[KEYS];
    size_t count = 0;
    srand(7);
    for (int round = 0; round < 200000; round++) {
        int k = rand() % KEYS;
        uint64_t key = (uint64_t)k * 1000003u;
        CHECK((map_get(&m, key) != NULL) == present[k]);
        if (rand() % 2) {
            map_put(&m, key, &things[k]);
            count += !present[k];
            present[k] = true;
        } else {
            CHECK(map_remove(&m, key) == (present[k] ? &things[k] : NULL));
            count -= present[k];
            present[k] = false;
        }
        CHECK(m.count == count);
    }
    size_t at = 0, walked = 0;
    while (map_next(&m, &at))
        walked++;
    CHECK(walked == count);
    map_free(&m);
}

static void an_empty_map_answers(void)
{
    struct map m = {0};
    size_t at = 0;
    CHECK(map_get(&m, 1) == NULL);
    CHECK(map_remove(&m, 1) == NULL);
    CHECK(map_next(&m, &at) == NULL);
    map_free(&m);
}

int main(void)
{
    RUN(agrees_with_an_array);
    RUN(an_empty_map_answers);
    return DONE();
}
