/* Routes and their handlers; see rest.h. */
#include "rest.h"

#include <string.h>

#include "page.h"
#include "rest_accounts.h"
#include "rest_conversations.h"
#include "rest_lists.h"
#include "rest_messages.h"
#include "rest_target.h"
#include "stream.h"
#include "upgrade.h"

/* --- routes --- */

struct route {
    const char *path; /* ':' stands for any one segment */
    const char *method;
    const char *allow;
    void (*serve)(struct exchange *x);
};

static const struct route routes[] = {
    {"/", "GET", "GET, HEAD, OPTIONS", page_serve},
    {"/openapi.json", "GET", "GET, HEAD, OPTIONS", page_serve_openapi},
    {"/asyncapi.json", "GET", "GET, HEAD, OPTIONS", page_serve_asyncapi},
    {"/register", "POST", "POST, OPTIONS", rest_register},
    {"/login", "POST", "POST, OPTIONS", rest_login},
    {"/password", "POST", "POST, OPTIONS", rest_password},
    {"/logout", "POST", "POST, OPTIONS", rest_logout},
    {"/me", "GET", "GET, HEAD, PATCH, OPTIONS", rest_me},
    {"/me", "PATCH", "GET, HEAD, PATCH, OPTIONS", rest_change_me},
    {"/me/blocks", "GET", "GET, HEAD, OPTIONS", rest_blocks},
    {"/users", "GET", "GET, HEAD, OPTIONS", rest_users},
    {"/users/:/block", "PUT", "PUT, DELETE, OPTIONS", rest_block},
    {"/users/:/block", "DELETE", "PUT, DELETE, OPTIONS", rest_unblock},
    {"/messages", "POST", "POST, OPTIONS", rest_send},
    {"/messages/:", "GET", "GET, HEAD, OPTIONS", rest_history},
    {"/conversations", "GET", "GET, HEAD, POST, OPTIONS", rest_conversations},
    {"/conversations", "POST", "GET, HEAD, POST, OPTIONS", rest_make_conversation},
    {"/conversations/:", "GET", "GET, HEAD, PATCH, OPTIONS", rest_conversation},
    {"/conversations/:", "PATCH", "GET, HEAD, PATCH, OPTIONS", rest_change_conversation},
    {"/conversations/:/members", "GET", "GET, HEAD, POST, OPTIONS", rest_members},
    {"/conversations/:/members", "POST", "GET, HEAD, POST, OPTIONS", rest_add_member},
    {"/conversations/:/members/:", "PATCH", "PATCH, DELETE, OPTIONS", rest_change_member},
    {"/conversations/:/members/:", "DELETE", "PATCH, DELETE, OPTIONS", rest_remove_member},
    {"/conversations/:/messages", "GET", "GET, HEAD, POST, OPTIONS", rest_conversation_history},
    {"/conversations/:/messages", "POST", "GET, HEAD, POST, OPTIONS", rest_send_there},
    {"/conversations/:/read", "PUT", "PUT, OPTIONS", rest_read},
    {"/conversations/:/messages/:", "PATCH", "PATCH, DELETE, OPTIONS", rest_edit},
    {"/conversations/:/messages/:", "DELETE", "PATCH, DELETE, OPTIONS", rest_delete},
    {"/conversations/:/messages/:/reactions/:", "PUT", "PUT, DELETE, OPTIONS", rest_react},
    {"/conversations/:/messages/:/reactions/:", "DELETE", "PUT, DELETE, OPTIONS", rest_unreact},
    {"/events", "GET", "GET, OPTIONS", stream_serve},
    {"/ws", "GET", "GET, OPTIONS", upgrade_serve},
};

static bool method_known(struct text method)
{
    static const char *const known[] = {"GET",    "HEAD",  "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (http_text_is(method, known[i]))
            return true;
    return false;
}

static bool method_fits(const struct route *route, struct text method)
{
    bool shown = strcmp(route->method, "GET") == 0 && strstr(route->allow, "HEAD");
    return http_text_is(method, route->method) || (shown && http_text_is(method, "HEAD"));
}

/* Without web_client there is no page. */
static bool is_served(const struct exchange *x, const struct route *route)
{
    return route->serve != page_serve || x->conf->web_client == CONF_ON;
}

/* The one with this path and method; with the path alone if there is none; or NULL. */
static const struct route *find_route(const struct exchange *x)
{
    const struct http_request *r = &x->request;
    const struct route *found = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!rest_path_fits(routes[i].path, r->path) || !is_served(x, &routes[i]))
            continue;
        found = &routes[i];
        if (method_fits(found, r->method))
            break;
    }
    return found;
}

/* Plain HTTP that came over a network, where there is HTTPS for it. */
static bool redirect_wanted(const struct exchange *x)
{
    const struct client *c = x->client;
    return x->conf->https_redirect && !c->tls && !c->local;
}

void rest_serve(struct exchange *x)
{
    struct text method = x->request.method;
    if (redirect_wanted(x)) {
        exchange_redirect(x);
        return;
    }
    if (!method_known(method)) {
        exchange_error(x, 501, "This method is not implemented");
        return;
    }
    if (http_text_is(x->request.target, "*")) {
        exchange_options(x, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return;
    }
    const struct route *route = find_route(x);
    if (!route)
        exchange_error(x, 404, "There is nothing at this path");
    else if (http_text_is(method, "OPTIONS"))
        exchange_options(x, route->allow);
    else if (!method_fits(route, method))
        exchange_error_with(x, 405,
                            "This method is not allowed here; the Allow field lists those that are",
                            "Allow", route->allow);
    else
        route->serve(x);
}
