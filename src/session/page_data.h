/* The page of page.c and what its response says of it: made by web/embed. */
#ifndef PAGE_DATA_H
#define PAGE_DATA_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_len;

/* With its quotes; another one for each other page. */
extern const char page_etag[];

/* The value of Content-Security-Policy: nothing runs in the page but its own script. */
extern const char page_policy[];

#endif
