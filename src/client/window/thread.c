/* The messages of a conversation; see thread.h. */
#include "thread.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

/* How many stand before where this id belongs; those without one are last. */
static size_t place_of(const struct thread *t, int64_t id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->posts[middle]->id != 0 && t->posts[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct post *thread_find(const struct thread *t, int64_t id)
{
    size_t at = place_of(t, id);
    return at < t->count && t->posts[at]->id == id ? t->posts[at] : NULL;
}

static void insert(struct thread *t, size_t at, struct post *p)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->posts = xrealloc(t->posts, t->room * sizeof(void *));
    }
    memmove(t->posts + at + 1, t->posts + at, (t->count - at) * sizeof(void *));
    t->posts[at] = p;
    t->count++;
}

struct post *thread_post(struct thread *t, int64_t id)
{
    struct post *p = thread_find(t, id);
    if (p)
        return p;
    p = xcalloc(1, sizeof(*p));
    p->id = id;
    insert(t, place_of(t, id), p);
    return p;
}

struct post *thread_pend(struct thread *t, int64_t sender, struct text content)
{
    struct post *p = xcalloc(1, sizeof(*p));
    p->sender = sender;
    p->at = time(NULL);
    p->content = xstrndup(content.p, content.n);
    insert(t, t->count, p);
    return p;
}

size_t thread_index(const struct thread *t, const struct post *p)
{
    size_t at = 0;
    while (at < t->count && t->posts[at] != p)
        at++;
    return at;
}

static void take_out(struct thread *t, const struct post *p)
{
    size_t at = thread_index(t, p);
    if (at == t->count)
        return;
    t->count--;
    memmove(t->posts + at, t->posts + at + 1, (t->count - at) * sizeof(void *));
}

static void free_post(struct post *p)
{
    free(p->content);
    free(p->reactions);
    free(p->fault);
    free(p);
}

void thread_settle(struct thread *t, struct post *p, int64_t id)
{
    take_out(t, p);
    if (thread_find(t, id)) {
        free_post(p);
        return;
    }
    p->id = id;
    insert(t, place_of(t, id), p);
}

struct post *thread_last(const struct thread *t, int64_t sender)
{
    for (size_t i = t->count; i-- > 0;) {
        struct post *p = t->posts[i];
        if (p->id && !p->deleted && (!sender || p->sender == sender))
            return p;
    }
    return NULL;
}

void thread_forget(struct thread *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (t->posts[i]->id)
            free_post(t->posts[i]);
        else
            t->posts[kept++] = t->posts[i];
    }
    t->count = kept;
    t->loaded = t->complete = false;
}

void thread_free(struct thread *t)
{
    for (size_t i = 0; i < t->count; i++)
        free_post(t->posts[i]);
    free(t->posts);
    *t = (struct thread){0};
}

void thread_set(char **owned, struct text t)
{
    free(*owned);
    *owned = xstrndup(t.p, t.n);
}
