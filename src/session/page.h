/*
 * GET /, where web_client is on: a page with which the server can be tried.
 *
 * The page is part of the executable, since a session can open no file. The Makefile makes it, and
 * page_data.c, from web/.
 */
#ifndef PAGE_H
#define PAGE_H

#include "exchange.h"

/* Answers with the page: its head alone to HEAD, and 304 if the client has it (If-None-Match). */
void page_serve(struct exchange *x);

#endif
