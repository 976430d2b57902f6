/* The documents of page.c and what their responses say of them: made by web/embed. */
#ifndef PAGE_DATA_H
#define PAGE_DATA_H

#include <stddef.h>

struct page_data {
    const unsigned char *bytes;
    size_t n;
    const char *etag; /* with its quotes; another one for each other content */
};

extern const struct page_data page_html, page_openapi, page_asyncapi;

/* The page's value of Content-Security-Policy: nothing runs in it but its own script. */
extern const char page_policy[];

#endif
