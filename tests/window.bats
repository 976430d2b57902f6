#!/usr/bin/env bats
# The window of chat(1) in a real terminal against a real server: what is shown, what keys do, what a
# server that goes away, a narrow terminal or a hostile text does to it, and that the terminal is
# given back.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    server_setup_file
    server_start
    unset NO_COLOR CHATD_TOKEN CHATD_CA_FILE
}

teardown_file() {
    server_teardown_file
}

# --- two people ---

@test "what one says the other sees: unread in the list, read when it is shown, and the sender is told" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
with Window(alice.token, bob.name) as a, Window(bob.token) as b:
    a.shows(f"{bob.name}, online")
    b.shows("connected")
    a.enter("Hello, Bob!")
    a.shows(rf"\d\d:\d\d {alice.name}: Hello, Bob! \(stored\)")
    b.shows(rf">\*{alice.name} +\(1\)")
    a.enter("Are you there?")
    b.shows(rf">\*{alice.name} +\(2\)")
    a.shows(r"Hello, Bob! *\n.*Are you there\? \(stored\)")
    b.press("Enter")
    b.shows(rf"{alice.name}: Hello, Bob! *\n.*{alice.name}: Are you there\? *\n")
    a.shows(r"Are you there\? \(read\)")
    b.hides(r"\(\d\)")
    b.enter("Yes.")
    a.shows(rf"{bob.name}: Yes\. *\n")
    b.shows(r"Yes\. \(read\)")
    b.press("C-c")
    assert b.ended() == 0
    a.shows(f"{bob.name}, offline")
    place = direct(alice, bob)
    assert [m["content"] for m in stored(place, bob)] == ["Hello, Bob!", "Are you there?", "Yes."]
    unread = {c["id"]: c["unread"] for c in api("GET", "/conversations", token=bob.token)[1]["conversations"]}
    assert list(unread.values()) == [0], unread
PY
}

@test "unread counts: what was there, what comes, what another device has read or answered, a hundred and more" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob, carol = people("alice", "bob", "carol")
place, other = direct(alice, bob), direct(carol, bob)
for n in range(3):
    say(alice, place, f"number {n}")
say(carol, other, "from carol")
with Window(bob.token) as w:
    w.shows(rf"{carol.name} +\(1\)")
    w.shows(rf"{alice.name} +\(3\)")
    last = say(alice, place, "one more")
    w.shows(rf"{alice.name} +\(4\)[^\n]*\n.*{carol.name}")
    api("PUT", f"{place}/read", {"message_id": stored(place, bob)[1]["id"]}, bob.token)
    w.shows(rf"{alice.name} +\(2\)")
    api("PUT", f"{place}/read", {"message_id": last}, bob.token)
    w.hides(rf"{alice.name} +\(")
    say(bob, other, "answered elsewhere")
    w.hides(rf"{carol.name} +\(")
    sql(f"insert into messages (sender_id, receiver_id, content) select {carol.id}, {bob.id}, 'x' from generate_series(1, 120)")
    w.shows(rf"{carol.name} +\(100\+\)")
PY
}

@test "edits, deletions, reactions and replies show as they come, and commands make them" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
first = say(alice, place, "first")
with Window(bob.token, alice.name, columns=120) as b:
    b.shows(rf"{alice.name}: first *\n")
    api("PATCH", f"{place}/messages/{first}", {"content": "changed"}, alice.token)
    b.shows(rf"{alice.name}: changed \(edited\) *\n")
    b.enter("/react +1")
    b.shows(r"changed \(edited\) \[\+1 1\] *\n")
    b.enter("/unreact +1")
    b.shows(r"changed \(edited\) *\n")
    b.enter("/reply so it is")
    b.shows(rf"{bob.name}: \[to {alice.name}: changed\] so it is")
    assert stored(place, bob)[-1]["reply_to"] == first
    # The text comes into the line, and goes out of it as the new one.
    b.enter("/edit")
    b.shows("edit> so it is")
    b.enter(" indeed")
    b.shows(r"so it is indeed \(edited\)")
    b.enter("/edit all anew")
    b.shows(r"all anew \(edited\)")
    # Picked: the message before.
    b.press("C-p", "C-p")
    b.shows(rf">\d\d:\d\d {alice.name}: changed")
    b.enter("/react \U0001f44d")
    b.shows("\\[\U0001f44d 1\\] *\n")
    b.hides(r">\d\d:\d\d")
    b.press("C-p", "C-p")
    b.shows(rf">\d\d:\d\d {alice.name}: changed")
    b.enter("/delete")
    b.shows("not done: .*")
    b.press("Escape")
    b.enter("/delete")
    b.shows(rf"{bob.name}: \[to {alice.name}: changed\] \(deleted\) *\n")
    api("DELETE", f"{place}/messages/{first}", token=alice.token)
    b.shows(rf"{alice.name}: \(deleted\) *\n")
    b.enter("/nothing")
    b.shows("there is no command /nothing")
    b.enter("//slash")
    b.shows(rf"{bob.name}: /slash \(stored\)")
    b.enter("/quit")
    assert b.ended() == 0
PY
}

@test "groups: opened by name or number, members come and go, receipts count all of them, one leaves" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob, carol = people("alice", "bob", "carol")
name = some_name("Team")
number = api("POST", "/conversations", {"name": name, "members": [bob.id]}, alice.token)[1]["id"]
place = f"/conversations/{number}"
with Window(bob.token, f"#{name}") as b:
    b.shows(f"#{name}, 2 members")
    mine = say(bob, place, "to all")
    b.shows(r"to all \(stored\)")
    api("PUT", f"{place}/read", {"message_id": mine}, alice.token)
    b.shows(r"to all \(read\)")
    api("POST", f"{place}/members", {"user_id": carol.id}, alice.token)
    b.shows(f"#{name}, 3 members")
    mine = say(bob, place, "to three")
    b.shows(r"to three \(stored\)")
    api("PUT", f"{place}/read", {"message_id": mine}, alice.token)
    say(carol, place, "hello from carol")
    b.shows(rf"{carol.name}: hello from carol")
    b.shows(r"to three \(stored\)")
    api("PUT", f"{place}/read", {"message_id": mine}, carol.token)
    b.shows(r"to three \(read\)")
    api("PATCH", place, {"name": name + "2"}, alice.token)
    b.shows(f"#{name}2, 3 members")
    c = connect(carol.token)
    c.send({"type": "typing", "data": {"conversation_id": number}})
    b.shows(f"{carol.name} is writing")
    say(carol, place, "written")
    b.hides("is writing")
    c.close()
    b.enter(f"/open {alice.name}")
    b.shows(f"{alice.name}, offline")
    b.enter("/leave")
    b.shows("this is no group")
    b.enter(f"/open #{name}2")
    b.shows("3 members")
    b.enter("/leave")
    b.hides(f"#{name}2")
    b.shows("Choose a conversation")
    b.enter("/open nobody-of-this-name")
    b.shows("there is no user")
    api("POST", f"{place}/members", {"user_id": bob.id}, alice.token)
    b.shows(f"#{name}2")
with Window(bob.token, f"#{number}") as b:
    b.shows(f"#{name}2, 3 members")
PY
}

# --- history ---

@test "history scrolls back to the first message and forward to the last, and stays where it is when others come" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, 'number ' || n || '.' from generate_series(1, 170) n")
with Window(bob.token, alice.name) as w:
    def page():
        return [int(n) for n in re.findall(r"number (\d+)\.", w.screen())]
    w.shows(r"number 170\.")
    seen = set(page())
    w.press("PageUp")
    w.shows("scrolled back")
    for _ in range(30):
        here = page()
        assert here == list(range(here[0], here[-1] + 1)), here
        seen |= set(here)
        if here[0] == 1:
            w.press("PageUp")
            break
        w.press("PageUp")
        eventually(lambda: page() and page()[0] < here[0])
    assert seen == set(range(1, 171)), sorted(set(range(1, 171)) - seen)
    top = w.shows(r"-- \d{4}-\d\d-\d\d --[^\n]*\n.*number 1\.")
    here = page()
    # More at the end, and a change in between: the screen stays.
    say(alice, place, "number 171.")
    api("PUT", f"{place}/messages/{stored(place, bob)[-1]['id']}/reactions/x", token=alice.token)
    w.press("Down", "Down", "Down")
    eventually(lambda: page() and page()[0] == 3)
    w.press("Up", "Up", "Up")
    eventually(lambda: page() == here)
    w.press("Escape")
    w.shows(r"number 171\. \[x 1\]")
    w.hides("scrolled back")
    assert page()[-1] == 171
PY
}

@test "what is scrolled back is not read: the server is told when the end is shown" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
for n in range(40):
    say(alice, place, f"number {n}.")
def read_upto():
    return api("GET", place, token=bob.token)[1]["read_upto"]
with Window(bob.token, alice.name) as w:
    last = stored(place, bob)[-1]["id"]
    eventually(lambda: read_upto() == last)
    w.press("PageUp")
    w.shows("scrolled back")
    new = say(alice, place, "unseen")
    w.shows(rf"{alice.name} +\(1\)")
    assert read_upto() == last
    w.press("Escape")
    w.shows("unseen")
    eventually(lambda: read_upto() == new)
    w.hides(r"\(1\)")
PY
}

# --- the terminal ---

@test "at 40 columns there is one pane, Tab shows the other; it can be resized at any time, down to nothing" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
say(alice, place, "a text that is long enough to be broken into several lines at forty columns")
with Window(bob.token, columns=40, rows=12) as w:
    w.shows(rf"^{bob.name} *\n>.{alice.name} +\(1\)")
    w.press("Enter")
    w.shows(rf"^{alice.name}, ")
    assert all(len(line) <= 40 for line in w.screen().split("\n"))
    assert w.shows(r"a text that is[^|]*columns") and "|" not in w.screen()
    w.press("Tab")
    w.shows(rf"^{bob.name} *\n>")
    # In the list nothing is read.
    say(alice, place, "unseen")
    w.shows(r"\(1\)")
    say(alice, place, "unseen, too")
    w.shows(r"\(2\)")
    w.press("Tab")
    w.shows("unseen, too")
    w.press("Tab")
    w.shows(rf"^{bob.name} *\n>[^(]*$")
    w.press("Tab")
    w.resize(100, 20)
    w.shows(rf"^{bob.name} +\|{alice.name}, ")
    w.shows(r"a text that is long enough to be broken into several *\n")
    for columns, rows in (5, 3), (1, 1), (64, 2), (63, 4), (200, 50), (2, 30):
        w.resize(columns, rows)
    w.resize(40, 12)
    w.shows(rf"^{alice.name}, [^|]*unseen, too *\n[^|]*\n-- connected -- -* *\n> *\n")
    w.enter("still here")
    w.shows("still here")
PY
}

@test "wide and combining characters stand in their cells, in what is typed and in what is said" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
with Window(bob.token, alice.name, columns=40, rows=16) as w:
    w.shows("connected")
    # The cursor says how many cells the terminal has used.
    for text, cells in (("\u6f22\u5b57", 4), ("e\u0301", 1), ("\U0001f600", 2), ("\U0001f468\u200d\U0001f469\u200d\U0001f467", 6),
                        ("\U0001f1e9\U0001f1ea", 2), ("\u1112\u1161\u11ab", 2), ("\u2764\ufe0f", 1), ("\u05d0", 1)):
        w.type(text)
        w.cursor_at(2 + cells)
        # One character is one for who erases it.
        for _ in range(2 if text == "\u6f22\u5b57" else 1):
            w.press("BSpace")
        w.cursor_at(2)
    w.enter("x\u6f22\u5b57e\u0301y")
    w.shows("x\u6f22\u5b57e\u0301y \\(stored\\)")
    # 40 columns, of which 7 stay empty: 16 wide ones and a cell that none fits into.
    say(alice, place, "\u6f22" * 40)
    w.shows("\n {7}" + "\u6f22" * 16 + " *\n")
    assert stored(place, bob)[0]["content"] == "x\u6f22\u5b57e\u0301y"
    w.resize(80, 16)
    say(alice, place, "\U0001f468\u200d\U0001f469 \U0001f44d\U0001f3fd \u0301 e" + "\u0301" * 40 + "|")
    w.shows("\U0001f468\U0001f469 \U0001f44d \u0301 e\u0301\u0301\u0301\\|")
    # The border stands in one column all the way down, whatever is beside it.
    lines = w.screen().split("\n")[:14]
    assert len({line.index("|") for line in lines}) == 1, lines
PY
}

@test "keys edit the line as they say" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
def typed(w, text):
    w.shows(rf"(?m)^> ?{re.escape(text)} *$")
with Window(bob.token, alice.name) as w:
    w.shows("connected")
    w.type("one two three")
    w.press("C-w")
    typed(w, "one two")
    w.press("C-a")
    w.cursor_at(2)
    w.type("zero ")
    typed(w, "zero one two")
    w.press("C-e", "BSpace", "Left", "Delete")
    typed(w, "zero one tw")
    w.press("Home", "Right", "C-k")
    typed(w, "z")
    w.press("C-u")
    typed(w, "")
    # What is longer than the line scrolls in it.
    w.type("0123456789" * 20)
    w.shows(r"(?m)^> [^\n]*6789 *$")
    w.press("C-a")
    w.shows(r"(?m)^> 01234567890123")
    w.press("C-u", "C-k")
    # A line feed, by Alt and Enter or Ctrl and J.
    w.type("first")
    w.press("M-Enter")
    w.type("second")
    w.press("C-j")
    w.type("third")
    w.shows("> first\u21b5second\u21b5third")
    w.press("Enter")
    w.shows(rf"{bob.name}: first *\n[ |]*second *\n[ |]*third \(stored\)")
    assert stored(place, bob)[-1]["content"] == "first\nsecond\nthird"
    # Each conversation keeps what is typed for it.
    w.type("for alice")
    w.press("Tab")
    w.press("Tab")
    typed(w, "for alice")
PY
}

@test "what is pasted is text: no key in it does anything, and its lines are one message" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
with Window(bob.token, alice.name) as w:
    w.shows("connected")
    w.paste("/quit\nsecond\x03\x1b[A\x15 line\ttab")
    w.shows("> /quit\u21b5second")
    assert stored(place, bob) == []
    w.press("Home")
    w.type("/")
    w.press("Enter")
    w.shows(rf"{bob.name}: /quit *\n[ |]*second.* \(stored\)")
    assert stored(place, bob)[-1]["content"] == "/quit\nsecond[A line\ttab"
    big = "".join(f"{n:07x} " for n in range(2000))
    w.paste(big)
    w.shows("0007cf *\n?$")
    w.press("Enter")
    eventually(lambda: stored(place, bob)[-1]["content"] == big)
PY
}

@test "nothing that others say reaches the terminal raw: names, texts, reactions, groups" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
evil = "\x1b]0;title\x07\x1b[2J\r\x7f\u009b2J\u202edlrow\u2066\u2028\tblank\n 00:00 forged: y"
number = say(alice, place, evil)
say(bob, place, "what?", reply_to=number)
with Window(bob.token, alice.name, columns=120) as w:
    w.shows(re.escape(r"\x1b]0;title\x07\x1b[2J\x0d\x7f\x9b2J\u202edlrow\u2066\u2028 blank"))
    w.shows(r"\| {7} 00:00 forged: y")
    w.shows(re.escape(rf"[to {alice.name}: \x1b]0;title"))
    w.type("\u202e")
    w.shows(r"> \\u202e")
    w.press("C-u")
    w.press("C-c")
    assert w.ended() == 0
    raw = w.read("raw")
    assert "title" in raw and not re.search("\x1b\\]|\x1b\\[2J\r|\x07|[\x80-\x9f\u202a-\u202e\u2066-\u2069\u2028]", raw)
PY
}

@test "NO_COLOR: no colour, no bold, nothing reversed; without it no colour either" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
say(alice, direct(alice, bob), "Hello!")
def styles(**env):
    with Window(bob.token, env=env) as w:
        w.shows(r"\(1\)" if not seen else alice.name)
        w.press("Enter")
        w.shows("Hello!")
        w.press("C-c")
        assert w.ended() == 0
        seen.append(1)
        return {n for s in re.findall("\x1b\\[([0-9;]*)m", w.read("raw")) for n in s.split(";")} - {"", "0", "00"}
seen = []
assert styles(NO_COLOR="1") == set()
assert {"1", "7"} <= styles() <= {"1", "2", "7", "22", "27"}
PY
}

@test "the terminal is as before, however the window ends: keys, signals, a void token, a crash" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
def gone(how, status):
    with Window(bob.token, alice.name) as w:
        w.shows("connected")
        how(w)
        assert w.ended() == status, w.read("status")
        w.is_as_before()
        return w.screen()
gone(lambda w: w.press("C-c"), 0)
gone(lambda w: w.press("C-\\"), 0)
gone(lambda w: w.enter("/quit"), 0)
for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
    gone(lambda w: w.kill(number), 0)
# What the program said last is not lost with the window.
def speak(w):
    with open(f"/proc/{w.pid()}/fd/2", "w") as f:
        f.write("last words\n")
def crash(w):
    speak(w)
    w.kill(signal.SIGABRT)
if b"__asan_init" not in open(CHAT, "rb").read():
    assert "last words" in gone(crash, 128 + signal.SIGABRT)
    assert "last words" in gone(lambda w: (speak(w), w.press("C-c")), 0)
# Last: it is void from then on.
assert "(chat login)" in gone(lambda w: api("POST", "/logout", token=bob.token), 5)
PY
}

@test "Ctrl-Z stops it and gives the terminal to the shell; continued, it draws itself again" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
with Window(bob.token, alice.name, command=f"bash --norc --noprofile -i") as w:
    w.enter(f"{CHAT} {alice.name}")
    w.shows("connected")
    w.press("C-z")
    w.shows("Stopped")
    say(alice, place, "meanwhile")
    w.enter("echo 'in the' shell")
    w.shows("in the shell")
    w.enter("fg")
    w.shows(rf"{alice.name}: meanwhile")
    w.hides("in the shell")
    w.press("C-c")
    w.shows("in the shell")
    w.enter("exit")
    assert w.ended() == 0
# Where there is no shell it goes on.
with Window(bob.token, alice.name) as w:
    w.shows("connected")
    w.press("C-z")
    w.enter("still here")
    w.shows(r"still here \(stored\)")
PY
}

# --- the server ---

@test "a server that is killed and comes back: the window says so, sends what waits once, and gets what it missed" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
number = say(alice, place, "before")
[port_] = free_ports()
where = ["-o", f"listen=127.0.0.1:{port_}"]
with Server(*where) as s, Window(bob.token, alice.name, server=f"http://127.0.0.1:{port_}") as w:
    w.shows("before")
    w.shows("connected")
    s.tree()
    s.kill(signal.SIGKILL)
    s.ended()
    all_gone(s.known)
    w.shows("trying again")
    w.enter("one")
    w.enter("two")
    w.shows(r"one \(sending\)|one *\n.*two \(sending\)")
    w.shows("2 to send")
    # Over another server of the same service.
    for n in range(60):
        say(alice, place, f"missed {n}.")
    api("PATCH", f"{place}/messages/{number}", {"content": "changed meanwhile"}, alice.token)
    with Server(*where):
        w.shows("connected again")
        w.shows(r"missed 59\.")
        w.shows(r"two \(stored\)")
        w.hides("to send")
        eventually(lambda: [m["content"] for m in stored(place, bob)][-2:] == ["one", "two"])
        shown = w.screen()
        assert shown.count(": one") == 1 and shown.count(": two") == 1, shown
        missed = [int(n) for n in re.findall(r"missed (\d+)\.", shown)]
        assert missed == list(range(missed[0], 60)), missed
        for _ in range(8):
            w.press("PageUp")
        w.shows(r"changed meanwhile \(edited\)")
PY
}

@test "answers that are lost: a message is sent again under its id, and stands there once" {
    py - "$BUILD/chat" <<'PY'
from tails import Way
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
way = Way(port())
with Window(bob.token, alice.name, server=way.url) as w:
    w.shows("connected")
    for n in range(3):
        way.lose_next()
        w.enter(f"number {n}")
        w.shows(rf"number {n} \(stored\)")
    assert [m["content"] for m in stored(place, bob)] == [f"number {n}" for n in range(3)]
    assert all(w.screen().count(f"number {n}") == 1 for n in range(3)), w.screen()
PY
}

@test "what is refused is said and stands there as not sent" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
with Window(bob.token, alice.name, columns=100) as w:
    w.shows("connected")
    api("PUT", f"/users/{bob.id}/block", token=alice.token)
    w.enter("Hello?")
    w.shows(r"Hello\? \(not sent: ")
    api("DELETE", f"/users/{bob.id}/block", token=alice.token)
    w.enter("Hello!")
    w.shows(r"Hello! \(stored\)")
    assert [m["content"] for m in stored(place, bob)] == ["Hello!"]
PY
}

@test "who sends and leaves at once has sent" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
place = direct(alice, bob)
with Window(bob.token, alice.name) as w:
    w.shows("connected")
    # All in one piece, as fast as can be.
    w.press("H", "i", "Enter", "C-c")
    assert w.ended() == 0
    assert [m["content"] for m in stored(place, bob)] == ["Hi"]
PY
}

@test "who leaves while messages are not acknowledged is told, with 3" {
    py - "$BUILD/chat" <<'PY'
from windows import *
alice, bob = people("alice", "bob")
[port_] = free_ports()
with Server("-o", f"listen=127.0.0.1:{port_}") as s, Window(bob.token, alice.name, server=f"http://127.0.0.1:{port_}") as w:
    w.shows("connected")
    s.kill(signal.SIGKILL)
    s.ended()
    w.shows("trying again")
    w.enter("lost?")
    w.shows("1 to send")
    w.press("C-c")
    assert w.ended() == 3
    w.is_as_before()
    w.shows("1 of your messages are not acknowledged")
PY
}

# --- the command line ---

@test "without a terminal the window says so with 2; whom nobody knows ends with 4, another terminal with 1, no login with 5" {
    local args
    for args in '' someone; do
        # shellcheck disable=SC2086 # words
        XDG_STATE_HOME=$T/none run "$BUILD/chat" $args </dev/null
        echo "$output"
        [[ $status == 2 && $output == *'needs a terminal'*usage:* ]]
    done
    py - "$BUILD/chat" <<'PY'
from windows import *
[bob] = people("bob")
for how, status, said in ((dict(), 4, "there is no user"), (dict(env={"TERM": "dumb"}), 4, "there is no user"),
                          (dict(env={"CHATD_TOKEN": ""}), 5, "not logged in"),
                          (dict(server="http://127.0.0.1:1"), 3, "127.0.0.1")):
    with Window(bob.token, "nobody-of-this-name", **how) as w:
        assert w.ended() == status, how
        w.shows(said)
        w.is_as_before()
for term in "dumb", "no-such-terminal":
    with Window(bob.token, env={"TERM": term}) as w:
        assert w.ended() == 1
        w.shows("this is no terminal that can show a window")
PY
}

@test "as README shows it: conversations, who is there, what is unread, a reply, a reaction, and how far a message has come" {
    mkdir -p "$BUILD/window"
    py - "$BUILD/chat" "$BUILD/window/readme" <<'PY'
from windows import *
alice, bob, carol = (user(name) for name in ("alice", "bob", "carol"))
place = direct(alice, bob)
status, harbour = api("POST", "/conversations", {"name": "Harbour", "members": [bob.id, carol.id]}, alice.token)
assert status == 201, harbour
say(bob, place, "Did the boat arrive?")
say(alice, place, "It did. Two boxes are wet, the rest is fine.")
first = say(alice, place, "Good morning! Shall we open the wet ones first?")
with Window(bob.token, "alice", columns=40) as b, Window(alice.token, "bob", columns=88, rows=17) as w:
    b.shows("Good morning!")
    answer = say(bob, place, "Yes, before it gets worse.", reply_to=first)
    assert api("PUT", f"{place}/messages/{answer}/reactions/%F0%9F%91%8D", token=alice.token)[0] == 204
    say(bob, place, "شكرا جزيلا")
    say(carol, f"/conversations/{harbour['id']}", "@alice I have the key.")
    say(carol, direct(carol, alice), "Lunch at one?")
    w.shows("👍")
    w.shows(r"carol +\(1\)")
    w.shows(r"Harbour +\(1\)")
    w.enter("I can be there at ten.")
    w.shows(r"at ten\. \(read\)")
    w.type("Bring glo")
    w.shows("Bring glo")
    with open(sys.argv[2], "w") as f:
        f.write(w.tmux("capture-pane", "-e", "-p", "-t", "w"))
    print(w.screen())
PY
}
