/*
 * What storing messages takes: how many go in one transaction, how long that lasts, and how long a
 * message waited before. Of batches whose outcome is known.
 */
#ifndef COMMITS_H
#define COMMITS_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct histogram;

/* A batch is sent to the database; that ends it: it is stored, but for those that were refused. */
void commits_begin(void);
void commits_end(size_t messages);

/* A message of the batch that has just ended came at this time, clock_ms(). */
void commits_waited(int64_t since);

/* One of them was stored, and was not before. */
void commits_stored(void);

/* How many this broker has stored. */
uint64_t commits_count(void);

/* How long messages have waited to be sent to the database. */
const struct histogram *commits_waits(void);

/* Puts the sizes and durations of the batches. */
void commits_expose(struct buf *out);

#endif
