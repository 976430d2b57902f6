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
    w.shows("-- trying again, 1 to send --")
    w.press("C-c")
    assert w.ended() == 3
    w.shows("1 of your messages are not acknowledged")
    w.is_as_before()
PY
}

@test "Enter in the list opens and sends nothing: what was typed waits in its conversation, an edit is given up" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
other = {**ROOM, "id": 8, "peer": {"id": 3, "username": "carol"}}
with Stranger() as s:
    s.answer("GET", "/conversations", 200, {"conversations": [ROOM, other]})
    s.answer("GET", f"/conversations/{PLACE}/messages", 200, [message(1, "mine", sender=1)])
    s.answer("GET", "/conversations/8/messages", 200, [])
    with Window("token", server=s.url) as w:
        # Typed before one is open, it goes along.
        w.shows("bob[^\n]*\n  carol")
        w.type("early")
        w.press("Enter")
        w.shows(r"(?s)\|bob, online.*mine.*\n> early")
        w.type(" draft")
        w.press("Tab", "Down", "Enter")
        w.shows(r"(?s)\|carol, offline.*\n> *\n")
        w.type("for carol")
        w.press("Tab", "Up", "Enter")
        w.shows(r"(?s)\|bob, online.*\n> early draft *\n")
        w.press("C-u")
        w.enter("/edit")
        w.shows("edit> mine")
        w.press("Tab", "Down", "Enter")
        w.shows(r"(?s)\|carol, offline.*\n> for carol *\n")
        w.press("Tab", "Up", "Enter")
        w.shows(r"(?s)\|bob, online.*\n> *\n")
        assert not s.asked("POST", f"/conversations/{PLACE}/messages"), s.requests
PY
}

# bats test_tags=once
@test "a paste that is too long for a message is no message: no line of it is sent" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
with Stranger() as s, Window("token", "bob", server=s.url) as w:
    w.shows("connected")
    w.paste("x" * (1 << 20) + "y\rsent?\r/quit\r")
    w.shows("too long for a message")
    w.enter("after it")
    eventually(lambda: s.asked("POST", f"/conversations/{PLACE}/messages"))
    assert [json.loads(b)["content"] for b in s.asked("POST", f"/conversations/{PLACE}/messages")] == ["after it"]
PY
}

@test "history is asked for when it would be seen: not where there is no row for it, or where there is none" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
MESSAGES = f"/conversations/{PLACE}/messages"
def asked_once_more(w, s, text):
    w.enter(text)
    eventually(lambda: any(text in b for b in s.asked("POST", MESSAGES)))
    return len(s.asked("GET", MESSAGES))
with Stranger() as s:
    # A server whose pages go on for ever, and one that gives the same again.
    def page(query):
        last = int(query.partition("before=")[2] or 10**6)
        return [message(n, f"number {n}.") for n in range(last - 50, last)]
    s.answer("GET", MESSAGES, 200, page, 'Link: <?before=1>; rel="next"')
    s.answer("POST", MESSAGES, 201, lambda _: {"message_id": 2 * 10**6})
    with Window("token", "bob", server=s.url, columns=40, rows=10) as w:
        w.shows("number 999999.")
        w.resize(40, 3)
        w.shows(r"^bob, online *\n-- connected")
        assert asked_once_more(w, s, "in three rows") == 1
with Stranger() as s:
    s.answer("GET", MESSAGES, 200, [message(1, "always the same")], 'Link: <?before=1>; rel="next"')
    with Window("token", "bob", server=s.url) as w:
        w.shows("always the same")
        assert asked_once_more(w, s, "well?") == 2
PY
}

@test "a list without an end is read once" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
with Stranger() as s:
    s.answer("GET", "/conversations", 200, {"conversations": [ROOM], "next": "again"})
    with Window("token", "bob", server=s.url) as w:
        w.shows("connected")
        s.say(frame(1, "comes behind it"))
        w.shows("comes behind it")
        assert len(s.asked("GET", "/conversations")) == 2
PY
}

@test "members that could not be asked for are asked for again" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
MEMBERS = f"/conversations/{PLACE}/members"
with Stranger() as s:
    team = {"id": PLACE, "name": "Team", "member_count": 2}
    s.answer("GET", f"/conversations/{PLACE}", 200, team)
    s.answer("GET", "/conversations", 200, {"conversations": [team]})
    s.answer("GET", f"/conversations/{PLACE}/messages", 200, [message(1, "mine", sender=1)])
    s.answer("GET", MEMBERS, 503, {"error": "later"})
    with Window("token", f"#{PLACE}", server=s.url) as w:
        w.shows(r"mine \(stored\)")
        eventually(lambda: s.asked("GET", MEMBERS))
        s.answer("GET", MEMBERS, 200, [{"user_id": 2, "username": "bob", "delivered_upto": 1, "read_upto": 1}])
        w.shows(r"mine \(read\)")
PY
}

@test "an acknowledgement without an id is none: the message is marked" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
with Stranger() as s:
    s.answer("POST", f"/conversations/{PLACE}/messages", 200, {"message_id": 0})
    with Window("token", "bob", server=s.url) as w:
        w.shows("connected")
        w.enter("Hello?")
        w.shows(r"Hello\? \(not sent: the server's answer has no id\)")
PY
}

# bats test_tags=once
@test "a message of megabytes is shown, and the window goes on; on two rows it shows what fits" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
with Stranger() as s, Window("token", "bob", server=s.url, columns=20) as w:
    w.shows("connected")
    s.say(frame(1, "x" * (4 << 20)))
    w.shows("x{19} *\n")
    w.type("still here")
    w.shows("> still here")
    w.press("C-u", "Tab")
    w.shows("^me")
    w.resize(20, 2)
    w.shows(r"^-- connected -- -+\n> *\n*$")
    w.resize(20, 1)
    w.shows(r"^> *\n*$")
PY
}

@test "a user who came online before the window followed anything is shown online, though the list has no such conversation" {
    py - "$BUILD/chat" <<'PY'
from strangers import *
with Stranger() as s:
    path = f"/conversations/{PLACE}"
    s.answer("GET", "/conversations", 200, {"conversations": []})
    s.answer("GET", path, 200, lambda _: {**ROOM, "peer": {**PEER, "online": len(s.asked("GET", path)) > 1}})
    with Window("token", "bob", server=s.url) as w:
        w.shows("bob, online")
        w.shows("connected")
        assert len(s.asked("GET", path)) == 2
PY
}
