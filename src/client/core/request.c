/* Requests; see request.h. */
#include "request.h"

#include <json-c/json.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "json.h"
#include "log.h"
#include "login.h"
#include "program.h"
#include "version.h"

enum {
    BODY_MAX = 64 << 20,
    CONNECT_SECONDS = 15,
    ANSWER_SECONDS = 60,
    NEXT_SIZE = 256,
    RETRY_MOST = 86400
};

static const struct login *here;
static CURL *handle; /* of all requests but streams, so that they share a connection */

void request_init(const struct login *l)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        die("libcurl cannot be initialised");
    here = l;
}

/* A network that has gone is noticed within a minute, although nothing is sent. */
static int keep_alive(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)purpose;
    int count = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    return CURL_SOCKOPT_OK;
}

static char *joined(const char *a, const char *b)
{
    char *text;
    if (asprintf(&text, "%s%s", a, b) < 0)
        die("out of memory");
    return text;
}

static void add_field(struct curl_slist **fields, const char *name, const char *value)
{
    char *text = joined(name, value);
    struct curl_slist *longer = curl_slist_append(*fields, text);
    if (!longer)
        die("out of memory");
    *fields = longer;
    explicit_bzero(text, strlen(text)); /* it may be the token */
    free(text);
}

/* The schemes that a URL may have, the certificates, and what curl must not do by itself. */
static void set_up(CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "chat/" CHATD_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, keep_alive);
    if (here->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, here->ca_file);
}

static void set_path(CURL *curl, const char *path)
{
    char *url = joined(here->server, path);
    if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK)
        die("out of memory");
    free(url);
}

CURL *request_handle(const char *path, struct curl_slist **fields)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        die("libcurl has no handle");
    set_up(curl);
    set_path(curl, path);
    if (here->token)
        add_field(fields, "Authorization: Bearer ", here->token);
    return curl;
}

size_t request_take(char *data, size_t size, size_t count, void *arg)
{
    struct buf *in = (struct buf *)arg;
    if (buf_len(in) + size * count > BODY_MAX)
        return 0;
    buf_append(in, data, size * count);
    return size * count;
}

static void set_body(CURL *curl, const struct request *r, struct curl_slist **fields)
{
    add_field(fields, "Expect:", "");
    if (r->body) {
        add_field(fields, "Content-Type: ", "application/json");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)buf_len(r->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, buf_head(r->body));
    }
    if (r->key)
        add_field(fields, "Idempotency-Key: ", r->key);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
}

/* <?after=7&limit=100>; rel="next" */
static void take_next(CURL *curl, struct answer *a)
{
    struct curl_header *link;
    if (curl_easy_header(curl, "Link", 0, CURLH_HEADER, -1, &link) != CURLHE_OK ||
        strncmp(link->value, "<?", 2) != 0)
        return;
    size_t n = strcspn(link->value, ">") - 1;
    if (n < sizeof(a->next) && strstr(link->value, "rel=\"next\""))
        memcpy(a->next, link->value + 1, n);
}

long request_retry_after(CURL *curl)
{
    curl_off_t wait = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
    return wait < 0 ? 0 : wait > RETRY_MOST ? RETRY_MOST : (long)wait;
}

static void take_answer(CURL *curl, CURLcode code, struct answer *a)
{
    if (code != CURLE_OK) {
        a->fatal = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                   code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                   code == CURLE_SSL_CERTPROBLEM || code == CURLE_WRITE_ERROR;
        if (!*a->error)
            snprintf(a->error, sizeof(a->error), "%s", curl_easy_strerror(code));
        return;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
    a->retry_after = request_retry_after(curl);
    take_next(curl, a);
}

static void prepare(CURL *curl, const struct request *r, struct answer *a,
                    struct curl_slist **fields)
{
    *a = (struct answer){0};
    set_up(curl);
    set_path(curl, r->path);
    if (here->token)
        add_field(fields, "Authorization: Bearer ", here->token);
    set_body(curl, r, fields);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *fields);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, request_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a->body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, a->error);
}

bool request_try(const struct request *r, struct answer *a)
{
    struct curl_slist *fields = NULL;
    if (!handle)
        handle = curl_easy_init();
    if (!handle)
        die("libcurl has no handle");
    curl_easy_reset(handle); /* the connection stays */
    prepare(handle, r, a, &fields);
    take_answer(handle, curl_easy_perform(handle), a);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(fields);
    return a->status != 0;
}

CURL *request_begin(const struct request *r, struct answer *a, struct curl_slist **fields)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        die("libcurl has no handle");
    prepare(curl, r, a, fields);
    return curl;
}

void request_end(CURL *curl, CURLcode code, struct answer *a)
{
    take_answer(curl, code, a);
}

void answer_free(struct answer *a)
{
    buf_wipe(&a->body); /* it may be a token */
}

bool answer_temporary(const struct answer *a)
{
    return a->status == 0 ? !a->fatal : a->status == 429 || a->status >= 500;
}

static enum chat_status meaning(const struct answer *a)
{
    switch (a->status) {
    case 401:
        return CHAT_DENIED;
    case 404:
        return CHAT_UNKNOWN;
    default:
        return answer_temporary(a)                    ? CHAT_AWAY
               : a->status >= 400 && a->status <= 499 ? CHAT_REFUSED
                                                      : CHAT_FAILED;
    }
}

void answer_words(const struct answer *a, char *out, size_t size)
{
    const char *error;
    struct text said;
    struct json_object *o = NULL;
    if (a->status)
        o = json_parse_object((const char *)buf_head(&a->body), buf_len(&a->body), &error);
    if (a->status == 0)
        snprintf(out, size, "%s: %s", here->server, a->error);
    else if (!o || json_get_text(o, "error", &said) != JSON_OK)
        snprintf(out, size, "%s: status %ld", here->server, a->status);
    else
        snprintf(out, size, "%s", said.p);
    json_object_put(o);
}

bool answer_good(const struct answer *a)
{
    return a->status >= 200 && a->status <= 299;
}

void answer_check(const struct answer *a)
{
    char said[500];
    if (answer_good(a))
        return;
    answer_words(a, said, sizeof(said));
    if (a->status == 0)
        program_fail(a->fatal ? CHAT_FAILED : CHAT_AWAY, "%s", said);
    const char *remedy = a->status != 401 || strstr(said, "assword") ? "" : " (chat login)";
    program_fail(meaning(a), "%s%s", said, remedy);
}

static struct json_object *checked(struct json_object *value, const char *error)
{
    if (!value)
        program_fail(CHAT_FAILED, "%s: this is no chatd: %s", here->server, error);
    return value;
}

struct json_object *answer_object(const struct answer *a)
{
    const char *error;
    struct json_object *o =
        json_parse_object((const char *)buf_head(&a->body), buf_len(&a->body), &error);
    return checked(o, error);
}

struct json_object *answer_array(const struct answer *a)
{
    const char *error;
    struct json_object *o =
        json_parse_array((const char *)buf_head(&a->body), buf_len(&a->body), &error);
    return checked(o, error);
}

struct json_object *request_object(const char *method, const char *path, const struct buf *body)
{
    struct answer a;
    request_try(&(struct request){method, path, body, NULL}, &a);
    answer_check(&a);
    struct json_object *o = answer_object(&a);
    answer_free(&a);
    return o;
}

struct json_object *request_array(const char *path, char *next)
{
    struct answer a;
    request_try(&(struct request){"GET", path, NULL, NULL}, &a);
    answer_check(&a);
    struct json_object *o = answer_array(&a);
    if (next)
        memcpy(next, a.next, NEXT_SIZE);
    answer_free(&a);
    return o;
}

void request_plain(const char *method, const char *path)
{
    struct answer a;
    request_try(&(struct request){method, path, NULL, NULL}, &a);
    answer_check(&a);
    answer_free(&a);
}

void request_escape(struct buf *out, struct text t)
{
    char *escaped = t.n ? curl_easy_escape(NULL, t.p, (int)t.n) : NULL;
    if (t.n && !escaped)
        die("out of memory");
    buf_puts(out, escaped ? escaped : "");
    curl_free(escaped);
}
