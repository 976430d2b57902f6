/* Prometheus' text format; see exposition.h. */
#include "exposition.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "buf.h"

enum { LABELS = 96 };

static const char *const types[] = {
    [EXPOSITION_COUNTER] = "counter",
    [EXPOSITION_GAUGE] = "gauge",
    [EXPOSITION_HISTOGRAM] = "histogram",
};

void exposition_begin(struct buf *out, const char *name, enum exposition_type type,
                      const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

void exposition_put(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    bool some = *labels;
    buf_printf(out, "%s%s%s%s %" PRIu64 "\n", name, some ? "{" : "", labels, some ? "}" : "",
               value);
}

void exposition_put_for(struct buf *out, const char *name, const char *label, const char *value,
                        uint64_t number)
{
    char labels[LABELS];
    int n = snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    for (int i = 0; i < n && i < LABELS; i++)
        labels[i] = (char)tolower((unsigned char)labels[i]);
    exposition_put(out, name, labels, number);
}

void exposition_one(struct buf *out, const char *name, enum exposition_type type, const char *help,
                    uint64_t value)
{
    exposition_begin(out, name, type, help);
    exposition_put(out, name, "", value);
}
