/*
 * The documents that the server has in itself: the page with which it can be tried, at / where
 * web_client is on, and what describes it to programs, at /openapi.json and /asyncapi.json. These
 * are always there: they say no more than the manual, and nothing of this host.
 *
 * They are part of the executable, since a session can open no file. The Makefile makes them, and
 * page_data.c, from web/.
 */
#ifndef PAGE_H
#define PAGE_H

#include "exchange.h"

/* Each answers with its document: the head alone to HEAD, and 304 if the client has it
 * (If-None-Match). None asks for a token. */
void page_serve(struct exchange *x);
void page_serve_openapi(struct exchange *x);
void page_serve_asyncapi(struct exchange *x);

#endif
