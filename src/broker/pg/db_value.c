/* Parameters and results in PostgreSQL's binary format; see db.h. Integers are big-endian. */
#include <endian.h>
#include <string.h>

#include "db.h"
#include "log.h"
#include "utf8.h"

static void begin(struct db_params *p)
{
    if (p->count == DB_MAX_PARAMS)
        bug("db: more than %d parameters", DB_MAX_PARAMS);
    p->at[p->count] = buf_len(&p->bytes);
}

static void end_param(struct db_params *p)
{
    p->length[p->count] = (int)(buf_len(&p->bytes) - p->at[p->count]);
    p->count++;
}

static void put_int4(struct buf *b, int32_t v)
{
    uint32_t big = htobe32((uint32_t)v);
    buf_append(b, &big, sizeof(big));
}

static void put_int8(struct buf *b, int64_t v)
{
    uint64_t big = htobe64((uint64_t)v);
    buf_append(b, &big, sizeof(big));
}

bool db_can_store(const char *text, size_t n)
{
    return utf8_valid((const uint8_t *)text, n) && !memchr(text, 0, n);
}

void db_param_null(struct db_params *p)
{
    begin(p);
    p->length[p->count++] = -1;
}

void db_param_int8(struct db_params *p, int64_t v)
{
    begin(p);
    put_int8(&p->bytes, v);
    end_param(p);
}

void db_param_bound(struct db_params *p, int64_t most)
{
    if (most > 0)
        db_param_int8(p, most);
    else
        db_param_null(p);
}

void db_param_bool(struct db_params *p, bool v)
{
    begin(p);
    buf_append(&p->bytes, &(uint8_t){v}, 1);
    end_param(p);
}

void db_param_int4(struct db_params *p, int32_t v)
{
    begin(p);
    put_int4(&p->bytes, v);
    end_param(p);
}

void db_param_text(struct db_params *p, const char *text, size_t n)
{
    begin(p);
    buf_append(&p->bytes, text, n);
    end_param(p);
}

/* array_send(): dimensions, has-nulls, element type, then size and lower bound of the dimension. */
void db_param_array(struct db_params *p, Oid type, size_t count)
{
    begin(p);
    put_int4(&p->bytes, count ? 1 : 0);
    put_int4(&p->bytes, 1);
    put_int4(&p->bytes, (int32_t)type);
    if (count) {
        put_int4(&p->bytes, (int32_t)count);
        put_int4(&p->bytes, 1);
    }
}

void db_array_bool(struct db_params *p, bool v)
{
    uint8_t byte = v;
    put_int4(&p->bytes, 1);
    buf_append(&p->bytes, &byte, 1);
}

void db_array_int8(struct db_params *p, int64_t v)
{
    put_int4(&p->bytes, 8);
    put_int8(&p->bytes, v);
}

void db_array_text(struct db_params *p, const char *text, size_t n)
{
    put_int4(&p->bytes, (int32_t)n);
    buf_append(&p->bytes, text, n);
}

void db_array_null(struct db_params *p)
{
    put_int4(&p->bytes, -1);
}

void db_array_end(struct db_params *p)
{
    end_param(p);
}

void db_param_ids(struct db_params *p, const struct buf *ids)
{
    size_t count = buf_len(ids) / sizeof(int64_t);
    db_param_array(p, DB_INT8_OID, count);
    for (size_t i = 0; i < count; i++) {
        int64_t v;
        memcpy(&v, buf_head(ids) + i * sizeof(v), sizeof(v));
        db_array_int8(p, v);
    }
    db_array_end(p);
}

void db_param_some_ids(struct db_params *p, struct buf *ids, size_t most)
{
    struct buf some = BUF_INIT;
    size_t size = buf_len(ids), wanted = most * sizeof(int64_t);
    buf_append(&some, buf_head(ids), size < wanted ? size : wanted);
    buf_consume(ids, buf_len(&some));
    db_param_ids(p, &some);
    buf_free(&some);
}

static int64_t get_int8(const char *p)
{
    uint64_t big;
    memcpy(&big, p, sizeof(big));
    return (int64_t)be64toh(big);
}

static int32_t get_int4(const char *p)
{
    uint32_t big;
    memcpy(&big, p, sizeof(big));
    return (int32_t)be32toh(big);
}

bool db_is_null(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column);
}

int64_t db_int(const PGresult *result, int row, int column)
{
    int n = PQgetlength(result, row, column);
    const char *p = PQgetvalue(result, row, column);
    if (n == 8)
        return get_int8(p);
    return n == 4 ? get_int4(p) : 0;
}

struct cursor db_cursor(const PGresult *result, int row, int column)
{
    return (struct cursor){(uint64_t)db_int(result, row, column),
                           (uint32_t)db_int(result, row, column + 1)};
}

bool db_bool(const PGresult *result, int row, int column)
{
    return PQgetlength(result, row, column) == 1 && *PQgetvalue(result, row, column) != 0;
}

const char *db_text(const PGresult *result, int row, int column, size_t *n)
{
    *n = (size_t)PQgetlength(result, row, column);
    return PQgetvalue(result, row, column);
}

enum ipc_error db_status(const PGresult *result, int row, int column, const struct db_status *known)
{
    size_t n;
    const char *word = db_text(result, row, column, &n);
    while (known->word && (strlen(known->word) != n || memcmp(known->word, word, n) != 0))
        known++;
    return known->error;
}

size_t db_int_array(const PGresult *result, int row, int column, int64_t *v, size_t max)
{
    enum { HEADER = 20, ELEMENT = 12 };
    int n = PQgetlength(result, row, column);
    const char *p = PQgetvalue(result, row, column);
    if (n < HEADER || get_int4(p) != 1)
        return 0;
    size_t count = (size_t)get_int4(p + 12), whole = ((size_t)n - HEADER) / ELEMENT;
    if (count > whole)
        count = whole;
    for (size_t i = 0; i < count && i < max; i++)
        v[i] = get_int8(p + HEADER + i * ELEMENT + 4);
    return count;
}
