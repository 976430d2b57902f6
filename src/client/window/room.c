/* The conversations; see room.h. */
#include "room.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static struct room **rooms;
static size_t count, size;

size_t room_count(void)
{
    return count;
}

struct room *room_at(size_t i)
{
    return i < count ? rooms[i] : NULL;
}

size_t room_index(const struct room *r)
{
    size_t i = 0;
    while (i < count && rooms[i] != r)
        i++;
    return i;
}

struct room *room_find(int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (rooms[i]->id == id)
            return rooms[i];
    return NULL;
}

/* Puts it behind the last one that comes before it. */
static void insert(struct room *r)
{
    size_t at = count++;
    for (; at > 0 && rooms[at - 1]->rank < r->rank; at--)
        rooms[at] = rooms[at - 1];
    rooms[at] = r;
}

static void take_out(const struct room *r)
{
    size_t at = room_index(r);
    count--;
    memmove(rooms + at, rooms + at + 1, (count - at) * sizeof(void *));
}

struct room *room_get(int64_t id)
{
    struct room *r = room_find(id);
    if (r)
        return r;
    if (count == size) {
        size = size ? 2 * size : 64;
        rooms = xrealloc(rooms, size * sizeof(void *));
    }
    r = xcalloc(1, sizeof(*r));
    r->id = id;
    r->label = xstrdup("");
    insert(r);
    return r;
}

static bool is_named(const struct room *r, const char *label)
{
    char number[32];
    snprintf(number, sizeof(number), "#%" PRId64, r->id);
    return r->peer ? strcasecmp(r->label, label) == 0
                   : strcmp(r->label, label) == 0 || strcmp(number, label) == 0;
}

struct room *room_named(const char *label)
{
    struct room *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_named(rooms[i], label))
            continue;
        if (found)
            return NULL;
        found = rooms[i];
    }
    return found;
}

void room_move(struct room *r, int64_t message)
{
    if (message <= r->rank)
        return;
    take_out(r);
    r->rank = message;
    insert(r);
}

static void free_room(struct room *r)
{
    thread_free(&r->thread);
    line_free(&r->line);
    free(r->marks);
    free(r->label);
    free(r);
}

void room_drop(struct room *r)
{
    take_out(r);
    free_room(r);
}

void room_read(struct room *r, int64_t message)
{
    if (message > r->read_upto)
        r->read_upto = message;
    if (r->read_upto >= r->latest)
        r->unread = 0;
}

static struct mark *mark_of(struct room *r, int64_t user)
{
    for (size_t i = 0; i < r->marked; i++)
        if (r->marks[i].user == user)
            return r->marks + i;
    r->marks = xrealloc(r->marks, (r->marked + 1) * sizeof(*r->marks));
    r->marks[r->marked] = (struct mark){.user = user};
    return r->marks + r->marked++;
}

void room_mark(struct room *r, int64_t user, int64_t delivered, int64_t read)
{
    struct mark *m = mark_of(r, user);
    m->delivered = delivered > m->delivered ? delivered : m->delivered;
    m->read = read > m->read ? read : m->read;
}

void room_unmark(struct room *r, int64_t user)
{
    for (size_t i = 0; i < r->marked; i++)
        if (r->marks[i].user == user)
            r->marks[i] = r->marks[--r->marked];
}

static enum room_reach reach_of(const struct mark *m, int64_t message)
{
    return m->read >= message ? ROOM_READ : m->delivered >= message ? ROOM_DELIVERED : ROOM_STORED;
}

enum room_reach room_reach(const struct room *r, int64_t message)
{
    enum room_reach least = r->marks_known && r->marked ? ROOM_READ : ROOM_STORED;
    for (size_t i = 0; i < r->marked; i++)
        if (reach_of(r->marks + i, message) < least)
            least = reach_of(r->marks + i, message);
    return least;
}

void room_free_all(void)
{
    for (size_t i = 0; i < count; i++)
        free_room(rooms[i]);
    free(rooms);
    rooms = NULL;
    count = size = 0;
}
