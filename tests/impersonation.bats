#!/usr/bin/env bats
# The broker trusts no session: one that has gone over to an attacker speaks to it directly, with
# every message in every wrong state, with wrong lengths, and as another user. That ends its own
# channel, and nobody else notices (impersonate.py).

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence_debounce=0 -o min_spare=2 -o max_spare=4
}

teardown_file() {
    local status=0
    # What the broker calls its own mistake.
    ! grep -hE ' error broker\[' "$T"/*.log >&2 || status=1
    server_teardown_file || status=1
    return $status
}

@test "in each state, a message that its row does not allow there ends the channel, whoever it is of" {
    py - <<'PY'
from impersonate import *
with Innocents():
    who, tried = user(), 0
    unknown = [0, len(TABLE) + 1, 255, 2**31, 2**32 - 1]
    for state in IN:
        for number in list(NAMES) + unknown:
            name = NAMES.get(number)
            if name and TABLE[name].sender == "SESSION" and state in TABLE[name].states:
                continue
            c = Channel(state, who)
            c.raw(message(number, (name and good(name, who)) or b"", 77))
            c.ended(f"{name or number} while {state}")
            tried += 1
    assert tried >= 4 * (len(TABLE) - len(MINE) + len(unknown)), tried
PY
}

@test "in each state, a message that its row allows is answered" {
    py - <<'PY'
from impersonate import *
with Innocents():
    for row in MINE:
        for state in row.states:
            who = user()            # LOGOUT makes the token void
            c = Channel(state, who)
            payload = good(row.name, who)
            seq = c.say(row.name, b"" if payload is None else payload)
            if payload is None:
                continue            # whether that fits, its own test must say
            if row.name == "HELLO":
                seq = c.say("AUTH")
            elif not row.waiting:
                seq = c.say("RESUME")   # it has no answer: the channel goes on
            kind, _ = c.answer(seq)
            assert kind != "FAILED" or row.name in ("LOGIN", "PASSWORD", "SIGN", "EDIT", "REACT"), (row.name, state, kind)
            c.close()
PY
}

@test "only the first message is HELLO, and it is so once" {
    py - <<'PY'
from impersonate import *
who = user()
for row in MINE:
    assert (SILENT in row.states) == (row.name == "HELLO") and (row.name != "HELLO" or row.states == [SILENT])
for state in (NEW, BOUND, ATTACHED):
    c = Channel(state, who)
    c.say("HELLO")
    c.ended(f"a second HELLO while {state}")
c = Channel(SILENT)
c.say("HELLO", hello(version=VERSION + 1))
c.ended("another version")
c = Channel(SILENT)
c.say("HELLO", hello("x"))
c.ended("no address")
PY
}

@test "a length above its row's ends the channel from the header on" {
    py - <<'PY'
from impersonate import *
with Innocents():
    who = user()
    for row in MINE:
        for state in row.states[:1]:
            for size in (row.max + 1, 2**31 - 1, 2**31, 2**32 - 12, 2**32 - 1):
                c = Channel(state, who)
                c.raw(message(row.number, b"", 77, size))
                c.ended(f"{row.name} of {size} bytes")
PY
}

@test "a payload that is cut, runs on, or says that a text is longer than it is, ends the channel" {
    py - <<'PY'
from impersonate import *
with Innocents():
    for row in MINE:
        who = user()                # LOGOUT makes the token void
        state, fits = row.states[0], good(row.name, who)
        if fits is None:
            fits = b""
        bad = {fits[:n] for n in {0, 1, 3, 4, len(fits) // 2, len(fits) - 1} if 0 <= n < len(fits)}
        bad |= {fits + b"\0", fits + b"more"}
        if row.name not in ("HISTORY", "LOGOUT", "ME", "TYPING", "BLOCK", "BLOCKS", "CONVERSATIONS", "CONVERSATION", "MEMBERS",
                            "RECEIPT", "DIRECT", "MEMBER") and good(row.name, who) is not None:
            at = {"HELLO": 12, "SEND": 9, "SIGN": 4, "USERS": 12, "CHANGE_ME": 1, "EDIT": 17, "REACT": 17, "GROUP": 1, "GROUP_CHANGE": 10}.get(row.name, 0)      # of its first text
            size = struct.unpack_from("=I", fits, at)[0]
            for n in (size + 1, 2**31, 2**32 - 1, len(fits)):
                bad.add(fits[:at] + u32(n) + fits[at + 4:])
        for payload in bad:
            c = Channel(state, who)
            c.say(row.name, payload)
            c.ended(f"{row.name} {payload!r}")
        # As long as it may be, of zeros: answered or ended, no more.
        c = Channel(state, who)
        c.say(row.name, bytes(row.max))
        c.close()
PY
}

@test "what PostgreSQL would refuse, or nobody could mean, ends the channel" {
    py - <<'PY'
from impersonate import *
with Innocents() as them:
    who, to = user(), them.b.id
    for id_, content in ((b"a", b"nul\0"), (b"a\0", b"x"), (b"a", b"\xff\xfe"), (b"\xff", b"x"), (b"a" * 65, b"x"),
                         (b"a", b"x" * 20000)):
        c = Channel(BOUND, who)
        c.say("SEND", u64(to) + b"\0" + text(id_) + text(content) + u64(0) + b"\0")
        c.ended((id_, content[:9]))
    c = Channel(BOUND, who)
    c.say("SEND", u64(to) + b"\0" + text(b"") + text(b"x") + u64(0) + b"\0")
    c.ended("no id")
    c = Channel(ATTACHED, who)
    c.say("TYPING", u64(to) + b"\2")
    c.ended("typing, neither to a user nor in a conversation")
    c = Channel(BOUND, who)
    c.say("SEND", send_payload(to, "x", which=2))
    c.ended("neither a user nor a conversation")
    for bad in (b"nul\0", b"\xff\xfe", b"\xed\xa0\x80"):
        for name, texts in (("LOGIN", (bad, b"p")), ("REGISTER", (bad, b"e@x", b"p")), ("REGISTER", (b"n", bad, b"p"))):
            c = Channel(NEW)
            c.say(name, b"".join(map(text, texts)))
            c.ended((name, texts))
    for limit in (0, 101, 2**31, 2**32 - 1):
        c = Channel(BOUND, who)
        c.say("HISTORY", history_payload(to, limit))
        c.ended(f"limit {limit}")
    for which in (2, 255):
        c = Channel(BOUND, who)
        c.say("HISTORY", history_payload(to, which=which))
        c.ended(f"neither a user nor a conversation: {which}")
    for limit in (0, 101, 2**31, 2**32 - 1):
        c = Channel(BOUND, who)
        c.say("CONVERSATIONS", u64(-1) + u32(limit))
        c.ended(f"limit {limit}")
    for page in ((0, 0, ""), (0, 1001, ""), (2**63, 1, ""), (0, 1, b"nul\0"), (0, 1, b"\xff\xfe"), (0, 1, "n" * 257)):
        c = Channel(BOUND, who)
        c.say("USERS", users_payload(*page))
        c.ended(page)
    for after, limit in ((0, 0), (0, 1001), (2**63, 1), (2**64 - 1, 1)):
        c = Channel(BOUND, who)
        c.say("BLOCKS", u64(after) + u32(limit))
        c.ended((after, limit))
    for change in ((0,), (4,), (255,), (1, b"nul\0"), (1, b"\xff\xfe"), (1, "n" * 257), (2, "", b"nul\0"), (2, "", b"\xff"),
                   (2, "", "e" * 257, password()), (2, "", "e@x", "p" * 257)):
        c = Channel(BOUND, who)
        c.say("CHANGE_ME", change_me_payload(*change))
        c.ended(change)
    for after, limit in ((0, 0), (0, 1001), (2**63, 1)):
        c = Channel(BOUND, who)
        c.say("MEMBERS", u64(1) + u64(after) + u32(limit))
        c.ended((after, limit))
    for name, ids in ((b"nul\0", u64(1)), (b"\xff\xfe", u64(1)), ("x", u64(1) + b"\1"), ("n" * 257, b"")):
        c = Channel(BOUND, who)
        c.say("GROUP", b"\0" + text(name) + text(ids))
        c.ended((name, ids))
    for what, name in ((0, "x"), (4, "x"), (1, b"nul\0"), (3, b"\xff")):
        c = Channel(BOUND, who)
        c.say("GROUP_CHANGE", u64(1) + bytes([what, 0]) + text(name))
        c.ended((what, name))
    for what, role in ((3, 0), (255, 0), (0, 2), (1, 3), (2, 255)):
        c = Channel(BOUND, who)
        c.say("MEMBER", u64(1) + u64(1) + bytes([what, role]))
        c.ended((what, role))
    for edit in ((b"nul\0",), (b"\xff\xfe",), (b"x" * 20000,), (b"text", 1), (b"x", 255)):
        c = Channel(BOUND, who)
        c.say("EDIT", edit_payload(1, 1, *edit))
        c.ended(edit)
    for emoji in (b"", b"a b", b"a\0", b"\xff\xfe", b"\n", b"x" * 33, "\u202e".encode()):
        c = Channel(BOUND, who)
        c.say("REACT", edit_payload(1, 1, emoji))
        c.ended(emoji)
    for state, name, rest in ((BOUND, "ATTACH", u64(0)), (ATTACHED, "RESUME", b"")):
        c = Channel(state, who)
        c.say(name, text("c" * 65) + rest)
        c.ended("a long cursor")
    # Ids that are nobody's are answered.
    c = Channel(BOUND, who)
    for nobody in (0, -1, 2**63 - 1, -2**63):
        assert c.ask("SEND", send_payload(nobody, "x"))[0] == "FAILED"
        assert c.ask("HISTORY", history_payload(nobody))[0] == "FAILED"
        assert c.ask("BLOCK", u64(nobody) + b"\1")[0] == "FAILED"
        for edit in (edit_payload(nobody, 1), edit_payload(1, nobody), edit_payload(nobody, nobody, "", 1), edit_payload(1, 1, "")):
            assert c.ask("EDIT", edit)[0] == "FAILED"
    c.close()
    c = Channel(ATTACHED, who)
    for nobody in (0, -1, 2**63 - 1, -2**63, who.id, to):
        c.say("TYPING", u64(nobody) + b"\0"), c.say("TYPING", u64(nobody) + b"\1")
    assert c.ask("RESUME")[0] == "RESUMED"
    c.close()
PY
}

@test "a request without a number ends the channel; one whose number was used is answered" {
    py - <<'PY'
from impersonate import *
with Innocents():
    who = user()
    for row in MINE:
        c = Channel(row.states[0], who)
        c.raw(message(row.number, good(row.name, who) or b"", 0))
        c.ended(row.name)
    c = Channel(BOUND, who)
    for _ in range(3):
        c.seq = 41
        assert reply(c.ask("USERS"))[0] == 200
    c.close()
PY
}

@test "more requests than may wait for an answer end the channel" {
    py - <<'PY'
from impersonate import *
with Innocents():
    # AUTH is answered at once, HELLO is said once, TYPING is not answered.
    for row in (r for r in MINE if r.name not in ("HELLO", "AUTH", "TYPING") and good(r.name) is not None):
        who = user()                # LOGOUT makes the token void
        c = Channel(row.states[-1], who)
        c.raw(b"".join(message(row.number, good(row.name, who), 50 + i) for i in range(row.waiting + 1)))
        c.ended(row.name)
PY
}

@test "a message that comes byte by byte is one" {
    py - <<'PY'
from impersonate import *
who = user()
c = Channel(SILENT, who)
for seq, name in enumerate(("HELLO", "AUTH", "USERS"), 1):
    for byte in message(TABLE[name].number, good(name, who), seq):
        c.raw(bytes([byte]))
assert reply(c.answer(3))[0] == 200
c.close()
PY
}

@test "who says nothing, or half a message, is ended after request_timeout; who owes nothing stays" {
    server_start hasty -o presence=off -o request_timeout=1s -o login_delay=0 -o min_spare=1 -o max_spare=2
    py - <<'PY'
from impersonate import *
who = user(instance="hasty")
idle = [Channel(NEW, who, "hasty"), Channel(ATTACHED, who, "hasty")]
late = Channel(SILENT, who, "hasty")
half = Channel(BOUND, who, "hasty")
half.raw(message(TABLE["SEND"].number, good("SEND", who), 9)[:-1])
late.ended("nothing said")
half.ended("half a message")
again = Channel(SILENT, who, "hasty")
again.raw(message(TABLE["HELLO"].number, good("HELLO"), 1)[:5])
again.ended("half a hello")
assert idle[0].ask("AUTH")[0] == "AUTHED" and reply(idle[1].ask("USERS"))[0] == 200
PY
    server_stop hasty
}

@test "a process has no more channels than a session has use for" {
    py - <<'PY'
from impersonate import *
with Innocents():
    who = user()
    mine = [Channel(BOUND, who) for _ in range(4)]
    for _ in range(3):
        Channel(SILENT).ended("one too many")
    for c in mine:
        assert reply(c.ask("USERS"))[0] == 200
    mine.pop().close()
    # There is room for one again, as soon as the broker has noticed.
    def room():
        c = Channel(SILENT)
        c.say("HELLO")
        c.who = who
        c.say("AUTH")
        got = c.recv()
        c.close()
        return got is not None
    eventually(room)
PY
}

@test "a bound channel acts for its user and no other: tokens, messages, history, changes" {
    py - <<'PY'
from impersonate import *
with Innocents() as them:
    mallory, a, b = user(), them.a, them.b
    them.talk()
    c = Channel(BOUND, mallory)
    kind, payload = c.ask("AUTH", text(a.token))
    assert kind == "FAILED", kind
    assert c.ask("AUTH", text(mallory.token[:-2]))[0] == "FAILED"
    # There is no field for a sender: who sends is who is bound.
    kind, payload = c.ask("SEND", send_payload(b.id, "as whom?"))
    assert kind == "SENT", kind
    [number] = struct.unpack_from("=Q", payload)
    assert sql(f"select sender_id from messages where id = {number}") == str(mallory.id)
    # The history with somebody is one's own with them.
    _, history = reply(c.ask("HISTORY", history_payload(a.id)))
    assert history == [], history
    _, history = reply(c.ask("HISTORY", history_payload(b.id)))
    assert [m["content"] for m in history] == ["as whom?"], history
    # A conversation is that of its members, and a watermark one's own.
    number = int(sql(f"select conversation_id from contacts where user_id = {a.id} and contact_id = {b.id}"))
    for name, payload in (("CONVERSATION", u64(number)), ("MEMBERS", u64(number) + u64(0) + u32(10)), ("GROUP_CHANGE", u64(number) + b"\1\0" + text("x")), ("MEMBER", u64(number) + u64(mallory.id) + b"\0\0"), ("HISTORY", history_payload(number, which=1)),
                          ("SEND", send_payload(number, "x", which=1)), ("RECEIPT", u64(number) + u64(2**50) + b"\1"), ("RECEIPT", u64(-1) + u64(-1) + b"\0")):
        kind, payload = c.ask(name, payload)
        assert kind == "FAILED", (name, kind)
    assert [x["peer"]["id"] for x in reply(c.ask("CONVERSATIONS"))[1]["conversations"]] == [b.id]
    assert sql(f"select sum(read_upto + delivered_upto) from members where conversation_id = {number}") == "0"
    c.close()
    # There is no field for whose account it is, either.
    c = Channel(BOUND, mallory)
    assert reply(c.ask("ME"))[1]["id"] == mallory.id
    before = sql(f"select md5(string_agg(u::text, ',' order by id)) from users u where id <> {mallory.id}")
    status, me = reply(c.ask("CHANGE_ME", change_me_payload(3, a.name, f"{mallory.name}@example.net", password())))
    assert (status, me["id"], me["display_name"]) == (200, mallory.id, a.name), me
    assert c.ask("CHANGE_ME", change_me_payload(2, "", f"{a.name}@example.com", password()))[0] == "FAILED"
    # Nor an address without the password, nor one that no session would send.
    for email, word in ((f"{a.name}@example.net", ""), (f"{a.name}@example.net", "not the password"), ("", password()), ("e" * 255, password())):
        assert c.ask("CHANGE_ME", change_me_payload(2, "", email, word))[0] == "FAILED", email
    for name in ("n" * 65, " n", "a\nb", "\u202en"):
        assert c.ask("CHANGE_ME", change_me_payload(1, name))[0] == "FAILED", name
    assert reply(c.ask("ME"))[1] == me
    assert sql(f"select md5(string_agg(u::text, ',' order by id)) from users u where id <> {mallory.id}") == before
    c.close()
    # From another's cursor on, one gets one's own changes.
    status, _ = api("GET", "/users", token=a.token)
    them.clients[0].send({"type": "resume", "id": "r"})
    cursor = them.clients[0].until("resumed")["data"]["cursor"]
    them.talk()
    status, _ = api("POST", "/messages", {"receiver_id": mallory.id, "content": "for mallory"}, token=b.token)
    assert status in (200, 201), status
    c = Channel(ATTACHED, mallory, cursor=cursor)
    seq = c.say("RESUME", text(cursor))
    frames = []
    while (got := c.recv())[:2] != ("RESUMED", seq):
        if got[0] == "EVENT":
            frames.append(json.loads(got[2][16:]))
    assert frames and all(mallory.id in (f["data"]["sender_id"] if "sender_id" in f["data"] else mallory.id,
                                         f["data"]["receiver_id"]) for f in frames), frames
    assert {f["content"] for f in frames} == {"for mallory"}, frames
    c.close()
PY
}

@test "a channel that is attached shows further tokens, of its own user only; one that is refused changes nothing" {
    py - <<'PY'
from impersonate import *
with Innocents() as them:
    mallory, a, b = user(), them.a, them.b
    c = Channel(ATTACHED, mallory)
    def acts_for_mallory():
        kind, payload = c.ask("SEND", send_payload(b.id, "as whom?"))
        assert kind == "SENT", kind
        [number] = struct.unpack_from("=Q", payload)
        assert sql(f"select sender_id from messages where id = {number}") == str(mallory.id)
        assert them.clients[1].until("message")["data"]["sender_id"] == mallory.id
    for bad in (a.token, mallory.token[:-2], "", "a.b.c", "x" * 8192, a.token.rsplit(".", 1)[0] + "." + mallory.token.rsplit(".", 1)[1]):
        kind, payload = c.ask("AUTH", text(bad))
        assert kind == "FAILED", (bad, kind)
        acts_for_mallory()
    again = api("POST", "/login", {"username": mallory.name, "password": password()})[1]["token"]
    kind, payload = c.ask("AUTH", text(again))
    assert kind == "AUTHED" and struct.unpack_from("=Q", payload)[0] == mallory.id, (kind, payload)
    acts_for_mallory()
    assert c.ask("AUTH", text(a.token))[0] == "FAILED"
    acts_for_mallory()
    # Nothing of what is a's comes here, and once mallory's tokens are void nothing at all.
    them.clients[1].message(a.id, "for a only")
    assert them.clients[0].until("message")["content"] == "for a only"
    assert api("POST", "/logout", token=again)[0] == 204
    while (got := c.recv()) is not None:
        assert b"for a only" not in got[2], got
PY
}

@test "a walk through mutated messages harms nobody" {
    py - <<'PY'
from impersonate import *
with Innocents() as them:
    mallory = user()
    untouched = f"select md5(string_agg(u::text, ',' order by id)) from users u where id <> {mallory.id}"
    before = sql(untouched)
    def mutated(data):
        data = bytearray(data)
        for _ in range(dice.choice((0, 0, 1, 1, 2, 8))):
            at = dice.randrange(len(data))
            how = dice.randrange(4)
            if how == 0:
                data[at] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
            elif how == 1:
                del data[at:at + dice.choice((1, 4, 12))]
            elif how == 2:
                data[at:at] = bytes(dice.randrange(256) for _ in range(dice.choice((1, 4, 12))))
            else:
                data[at:at + 4] = u32(dice.choice((0, 1, 2**31, 2**32 - 1)))
            if not data:
                return b"\0"
        return bytes(data)
    def opened(state):
        """A LOGOUT of earlier steps makes the token void, perhaps only just now."""
        while True:
            with contextlib.suppress(AssertionError):
                return Channel(state, mallory)
            mallory.token = api("POST", "/login", {"username": mallory.name, "password": password()})[1]["token"]
    for step in range(150):
        c = opened(dice.choice(list(IN)))
        for seq in range(100, 100 + dice.randrange(1, 12)):
            row = dice.choice([r for r in MINE if r.name != "REGISTER"])
            c.raw(mutated(message(row.number, good(row.name, mallory) or b"", seq)))
        if dice.randrange(2):
            c.socket.settimeout(0.01)
            with contextlib.suppress(socket.timeout, AssertionError):
                c.ended()
        c.close()
        # The limit of channels is for those who are: let the broker see that this one is not.
        if step % 25 == 0:
            them.talk()
    assert sql(untouched) == before
    assert sql(f"select count(*) from messages where sender_id not in ({mallory.id}, {them.a.id})"
               f" and receiver_id = {mallory.id}") == "0"
PY
}
