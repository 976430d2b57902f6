/* A hash map from 64-bit numbers to pointers: users to their sessions, ids to what waits for them.
 */
#ifndef MAP_H
#define MAP_H

#include <stddef.h>
#include <stdint.h>

/* All zero bytes is an empty map. */
struct map {
    struct map_slot *slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

/* The value stored for key, or NULL. */
void *map_get(const struct map *m, uint64_t key);

/* Stores value (not NULL) for key, replacing what was there. */
void map_put(struct map *m, uint64_t key, void *value);

/* Forgets key and returns what was stored for it, or NULL. */
void *map_remove(struct map *m, uint64_t key);

/* Walks: start with *at = 0; returns each value once and NULL at the end. No change meanwhile. */
void *map_next(const struct map *m, size_t *at);

/* Frees the map, not the values. */
void map_free(struct map *m);

#endif
