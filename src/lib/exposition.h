/*
 * Numbers as Prometheus reads them: its text format, version 0.0.4.
 *
 * A family is its help, its type and then its samples, one after the other: begin it, then put each
 * of its samples before the next one begins. Names and labels are ours, and stand as they are.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

/* Begins a family. help: a sentence without a line break or a backslash. */
void exposition_begin(struct buf *out, const char *name, enum exposition_type type,
                      const char *help);

/* A sample. labels: as in label="value",other="value"; empty: none. */
void exposition_put(struct buf *out, const char *name, const char *labels, uint64_t value);

/* The same with one label, whose value is in lower case. */
void exposition_put_for(struct buf *out, const char *name, const char *label, const char *value,
                        uint64_t number);

/* A family of one sample without labels. */
void exposition_one(struct buf *out, const char *name, enum exposition_type type, const char *help,
                    uint64_t value);

#endif
