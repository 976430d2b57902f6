/*
 * The messages of a conversation that are known here, oldest first; those that the server has not
 * acknowledged yet stand behind all others, in the order in which they were sent.
 */
#ifndef THREAD_H
#define THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "text.h"

/* A message. It stays where it is in memory for as long as it is in its thread. */
struct post {
    int64_t id; /* 0: not acknowledged yet */
    int64_t sender;
    int64_t reply_to; /* 0: none */
    time_t at;
    char *content;   /* as it was sent; owned */
    char *reactions; /* as they are shown; owned, or NULL */
    char *fault;     /* why it was refused; owned, or NULL */
    bool edited, deleted;
};

/* All zero bytes: nothing is known. */
struct thread {
    struct post **posts; /* owned */
    size_t count, room;
    bool loaded;   /* everything from the first post here to now is here */
    bool complete; /* there is nothing before the first one */
};

/* The message of this id, NULL if it is not here; or made. */
struct post *thread_find(const struct thread *t, int64_t id);
struct post *thread_post(struct thread *t, int64_t id);

/* A new one that is not acknowledged. */
struct post *thread_pend(struct thread *t, int64_t sender, struct text content);

/* It was acknowledged under this id. If it is here under that already, *p is freed. */
void thread_settle(struct thread *t, struct post *p, int64_t id);

/* Its place; count if it is not here, as one that was freed. */
size_t thread_index(const struct thread *t, const struct post *p);

/* The last of this sender, the last of all for 0; it is stored and not deleted. NULL: none. */
struct post *thread_last(const struct thread *t, int64_t sender);

/* Forgets what is stored: it is asked for again. */
void thread_forget(struct thread *t);
void thread_free(struct thread *t);

/* Replaces an owned text by a copy. */
void thread_set(char **owned, struct text t);

#endif
