/* The life of a session, as a list; see session.h. */
#include "session.h"

#include <json-c/json.h>
#include <unistd.h>

#include "ask.h"
#include "chat.h"
#include "client.h"
#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "proctitle.h"
#include "proxied.h"
#include "serve.h"
#include "session_sandbox.h"
#include "stream.h"
#include "ws.h"

void session_warm_up(void)
{
    char accept[29];
    ws_accept_key("AAAAAAAAAAAAAAAAAAAAAA==", 24, accept);
    json_object_put(json_tokener_parse("{\"a\":1}"));
    session_sandbox_prepare();
}

void session_main(const struct conf *conf, uint32_t mark, int client, bool tls, int handover,
                  int log_fd)
{
    log_is_session(mark);
    session_sandbox(conf, log_fd);
    if (client < 0) {
        proctitle_set("spare");
        uint8_t kind = 0;
        client = fdpass_receive(handover, &kind);
        tls = kind;
        close(handover);
        if (client < 0)
            process_end(ENDING_GOOD); /* one spare too many, or the end of the service */
    }
    client_init_signals();

    struct client c;
    struct ask a;
    client_init(&c, conf, client);
    ask_init(&a, &c, mark);

    struct next next = {.kind = NEXT_NOTHING};
    if (proxied_begin(&c) && (!tls || client_start_tls(&c, ask_signature, &a)))
        next = serve_http(&c, &a);
    else if (c.plain_http)
        serve_plain_http(&c);
    if (next.kind == NEXT_WEBSOCKET)
        chat_run(&c, &a, &next);
    else if (next.kind == NEXT_STREAM)
        stream_run(&c, &a, &next);

    ask_close(&a);
    process_end((int)client_free(&c));
}
