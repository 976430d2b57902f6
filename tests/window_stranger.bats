#!/usr/bin/env bats
# The window of chat(1) against a server that answers as no server should: what it makes of that,
# and that nothing it says stops the window, or makes it ask without end.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    export BUILD=${BUILD:-$ROOT/build} T=$BATS_FILE_TMPDIR
    unset NO_COLOR CHATD_TOKEN CHATD_CA_FILE
}

@test "numbers at the end of their range: a wait that is asked for, what is unread" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
most = 2**63 - 2
with Stranger(unread=most) as s, Window("token", server=s.url) as w:
    w.shows(r"bob +\(100\+\)")
    s.say(*(frame(n, f"number {n}") for n in range(1, 5)))
    w.shows(r"bob +\(100\+\)")
    s.say({"type": "message_changed", "content": "x", "data": {"message_id": -1, "conversation_id": 2**64}},
          {"type": "receipt", "data": {"conversation_id": 7, "user_id": most, "read_upto": 0.5}},
          {"type": "unheard-of"}, {"type": 7}, {}, {"type": "typing", "data": {"conversation_id": 7, "user_id": 2}})
    w.press("Enter")
    w.shows("bob, online, bob is writing")
    s.answer("POST", f"/conversations/{PLACE}/messages", 429, {"error": "later"}, f"Retry-After: {2**63 - 1}")
    w.enter("to be sent")
    w.shows("the server asks to wait")
    s.answer("GET", "/events", 503, {"error": "later"}, f"Retry-After: {2**63 - 1}")
    s.close_stream()
    w.shows("later; trying again")
    w.press("C-c")
    assert w.ended() == 3
    w.shows("1 of your messages are not acknowledged")
    w.is_as_before()
PY
}
