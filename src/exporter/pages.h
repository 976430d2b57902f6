/*
 * What the exporter answers to a request of HTTP:
 *
 *   /metrics   the numbers of master and broker (exposition.h)
 *   /healthz   200 if the master answers, 503 if not: then the server has to be restarted
 *   /readyz    200 if clients can be served, 503 if not, with the reason: not while the server
 *              stops, or the database is away
 *
 * The connection ends with each answer.
 */
#ifndef PAGES_H
#define PAGES_H

#include <stdbool.h>

struct buf;
struct http_request;
struct numbers;

enum page { PAGE_METRICS, PAGE_HEALTH, PAGE_READY, PAGE_NONE };

/* Which page is asked for, and in *bodiless whether without its body (HEAD). PAGE_NONE: none, and
 * the refusal is in out. */
enum page page_of(const struct http_request *r, bool *bodiless, struct buf *out);

/* Puts the page. */
void page_put(struct buf *out, enum page page, bool bodiless, const struct numbers *n);

/* Puts a refusal with this status and text. */
void page_refuse(struct buf *out, int status, const char *text);

#endif
