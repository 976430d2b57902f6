#!/usr/bin/env bats
# Chat without WebSocket: POST /messages and GET /events, with curl alone and with a client that
# reads what is on the wire.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # Without word of who comes and goes; those of one test may still be going in the next.
    server_start main -o presence=off
    server_start online
}

teardown_file() {
    server_teardown_file
}

@test "curl alone is a whole client: sends, listens, and comes back where it was" {
    alice=$(user alice) bob=$(user bob)
    to=$(id_of bob)
    post() {
        api POST /messages "{\"receiver_id\":$to,\"content\":\"$1\"}" "$alice" -H "Idempotency-Key: $1"
        [[ $status == "${2:-201}" ]] || fail "$status $body"
    }
    # -N: curl passes on what comes as it comes.
    mkfifo "$T/stream"
    curl -sN -H "Authorization: Bearer $bob" "$(server_url)/events" >"$T/stream" 3>&- &
    curl=$!
    exec {stream}<"$T/stream"
    line() { read -r -t 15 -u "$stream" line || fail "no line"; }
    line
    [[ $(jq -c '[.type, .data.recovered]' <<<"$line") == '["resumed",true]' ]] || fail "$line"
    post one
    line
    [[ $(jq -r .content <<<"$line") == one ]] || fail "$line"
    cursor=$(jq -r .data.cursor <<<"$line")
    kill "$curl"
    wait "$curl" || true
    exec {stream}<&-
    post two
    post three
    post two 200
    [[ $body == *'"duplicate":true'* ]] || fail "$body"
    curl -sN -H "Authorization: Bearer $bob" "$(server_url)/events?cursor=$cursor" >"$T/stream" 3>&- &
    curl=$!
    exec {stream}<"$T/stream"
    got=
    for _ in 1 2 3; do
        line
        got+="$(jq -r '.content // .type' <<<"$line") "
    done
    [[ $got == "two three resumed " ]] || fail "$got"
    kill "$curl"
    wait "$curl" || true
}

@test "POST /messages: stored once under its key, delivered, and the same message as over WebSocket" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
post = lambda content, key=None, to=bob.id, token=alice.token: api(
    "POST", "/messages", {"receiver_id": to, "content": content}, token, headers={"Idempotency-Key": key} if key else None)
status, first = post("hello", "k-1")
assert status == 201 and set(first) == {"message_id", "duplicate"} and first["duplicate"] is False, first
assert post("hello", "k-1") == (200, {"message_id": first["message_id"], "duplicate": True})
assert post("other", "k-1")[0] == 409
assert b.until("message")["data"]["message_id"] == first["message_id"]
assert a.until("message")["content"] == "hello"         # the sender's other connections have it too
a.message(bob.id, "hello", "k-1")
assert a.expect("ack")["data"]["duplicate"] is True
ids = [post("no key")[1]["message_id"] for _ in range(3)]
assert len(set(ids)) == 3
assert [b.until("message")["data"]["message_id"] for _ in ids] == ids
assert post("x", "k" * 64)[0] == 201
PY
}

@test "POST /messages: what is wrong is named, with the fitting status" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
def refused(status, text, body, **fields):
    sent(post("/messages", body, {"Authorization": f"Bearer {a.token}", **fields})).error(status, text)
good = {"receiver_id": b.id, "content": "x"}
refused(404, "receiver_id", {"receiver_id": 10**9, "content": "x"})
for bad in (0, -1, "1", 1.5, None, [], True):
    refused(400, "receiver_id", {"receiver_id": bad, "content": "x"})
refused(400, "receiver_id", {"content": "x"})
refused(400, "content", {"receiver_id": b.id})
for bad in ("", 5, None, {}):
    refused(400, "content", {"receiver_id": b.id, "content": bad})
refused(413, "content", {"receiver_id": b.id, "content": "x" * 16385})
for bad in ("", "k" * 65, "a\r\nIdempotency-Key: a"):
    refused(400, "Idempotency-Key", good, **{"Idempotency-Key": bad})
sent(post("/messages", good)).error(401)
ask("GET", "/messages", token=a.token).error(405)
PY
}

@test "a POST whose broker is killed or stopped meanwhile is answered once, and stored once" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
for n in range(3):
    eventually(lambda: children("broker"))
    [broker] = children("broker")
    os.kill(broker, signal.SIGSTOP)
    answers = []
    send = lambda i: answers.append(api("POST", "/messages", {"receiver_id": bob.id, "content": f"{n} {i}"}, alice.token))
    threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    eventually(lambda: len(children("session -")) + len(children(f"session {alice.name}")) == 8)
    os.kill(broker, signal.SIGKILL)
    for t in threads:
        t.join()
    assert [s for s, _ in answers] == [201] * 8, answers
assert sql(f"select count(*) from messages where sender_id = {alice.id}") == "24"
PY
}

@test "GET /events: chunked JSON lines, the same frames as over WebSocket, online meanwhile" {
    py - <<'PY'
from chat import *
n = "online"
alice, bob = user(), user()
a = connect(alice.token, n)
s = raw(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bob.token}\r\n\r\n".encode(), n)
f = s.makefile("rb")
head = []
while (line := f.readline()) != b"\r\n":
    head.append(line.decode().strip().lower())
assert head[0] == "http/1.1 200 ok" and "transfer-encoding: chunked" in head and "content-type: application/x-ndjson" in head, head
assert "connection: close" in head and "cache-control: no-store" in head and not any(h.startswith("content-length") for h in head)
def chunk():
    size = int(f.readline(), 16)
    data = f.read(size + 2)
    assert data.endswith(b"\r\n")
    return data[:-2]
def frame():
    data = chunk()
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    return json.loads(data)
def first(next_, wanted):
    """Skips what is of users of other tests, who may still be going."""
    while not wanted(f := next_()):
        assert f["type"] == "user_status", f
    return f
assert first(frame, lambda f: f["type"] == "resumed")
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is True and online(bob, alice, n)
b = connect(bob.token, n)
for i in range(3):
    a.message(bob.id, f"line\n\u2028 {i}", f"{i}")
    assert first(frame, lambda f: f["type"] == "message") == b.until("message")
c = user()
connect(c.token, n)
is_c = lambda f: f["type"] == "user_status" and f["data"]["user_id"] == c.id
assert first(frame, is_c) == first(b.recv, is_c)
b.close()
assert online(bob, alice, n)
f.close()
s.close()
eventually(lambda: not online(bob, alice, n))
PY
}

@test "GET /events: server-sent events for whoever accepts them, with whatever parameters" {
    py - <<'PY'
from chat import *
bob = user()
def type_of(accept):
    s = raw(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bob.token}\r\n{accept}\r\n".encode())
    f = s.makefile("rb")
    head = iter(f.readline, b"\r\n")
    [type_] = [line.split(b": ")[1].strip().decode() for line in head if line.lower().startswith(b"content-type:")]
    s.close()
    return type_
for accept in ("text/event-stream", "text/event-stream;charset=utf-8;q=0.9", "TEXT/Event-Stream ; q=0.001", "a/b, text/event-stream;x=\"a,b\"",
               ",,text/event-stream,", "*/*, text/event-stream; charset=utf-8", "a/b\r\nAccept: text/event-stream;q=1"):
    assert type_of(f"Accept: {accept}\r\n") == "text/event-stream", accept
for accept in ("text/event-stream;q=0", "text/event-stream;charset=utf-8;Q=0.000", "text/event-streams", "*/*", "text/*", "", ",",
               "a/b;c=\"text/event-stream\"", "a/b;c=\", text/event-stream,\"", "text/event-stream;", "text/event-stream x"):
    assert type_of(f"Accept: {accept}\r\n") == "application/x-ndjson", accept
assert type_of("") == "application/x-ndjson"
PY
}

@test "GET /events: server-sent events with ids, and Last-Event-ID" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
def open_(*fields, path="/events"):
    s = raw("\r\n".join([f"GET {path} HTTP/1.0", "Host: x", f"Authorization: Bearer {bob.token}",
                         "Accept: text/event-stream", *fields, "", ""]).encode())
    f = s.makefile("rb")
    head = []
    while (line := f.readline()) != b"\r\n":
        head.append(line.decode().strip().lower())
    assert "content-type: text/event-stream" in head and not any("transfer-encoding" in h for h in head), head
    return s, f
def event(f):
    got = {}
    while (line := f.readline().decode().rstrip("\n")):
        name, _, value = line.partition(": ")
        got[name] = value
    got["data"] = json.loads(got["data"])
    return got
s, f = open_()
first = event(f)
assert first["data"]["type"] == "resumed" and first["id"] == first["data"]["data"]["cursor"]
a.message(bob.id, "one", "1")
a.until("ack")
one = event(f)
assert one["data"]["content"] == "one" and one["id"] == one["data"]["data"]["cursor"]
s.close()
a.message(bob.id, "two", "2")
a.until("ack")
s, f = open_(f"Last-Event-ID: {one['id']}")
assert event(f)["data"]["content"] == "two"
assert event(f)["data"]["data"]["recovered"] is True
s.close()
# Coming back by itself, to the same URL: the field tells how far it has come since.
a.message(bob.id, "three", "3")
a.until("ack")
s, f = open_(f"Last-Event-ID: {one['id']}", path=f"/events?cursor={first['id']}")
assert [event(f)["data"]["content"] for _ in range(2)] == ["two", "three"]
s.close()
s, f = open_("Last-Event-ID:", path=f"/events?cursor={first['id']}")
assert event(f)["data"]["content"] == "one"
s.close()
s, f = open_("Last-Event-ID: something else")
assert event(f)["data"]["data"]["recovered"] is False
s.close()
PY
}

@test "GET /events: without a token 401, and no other method" {
    py - <<'PY'
from rawhttp import *
a = user()
ask("GET", "/events").error(401)
ask("GET", "/events", token="x").error(401)
for method in ("POST", "DELETE"):
    ask(method, "/events", token=a.token).error(405)
assert ask("HEAD", "/events", token=a.token).status == 405
PY
}

@test "GET /events: pings, the end of the token, and a stop of the server end it in good order" {
    py - <<'PY'
from server import *
with Server("-o", "ping_interval=100ms", "-o", "token_lifetime=3s") as s:
    alice = user(instance=s.name)
    def stream(name):
        c = http.client.HTTPConnection("127.0.0.1", port(name), timeout=WAIT)
        c.request("GET", "/events", headers={"Authorization": f"Bearer {alice.token}"})
        r = c.getresponse()
        assert r.status == 200
        return c, r
    c, r = stream(s.name)
    lines = [json.loads(line) for line in r]        # ends with the last chunk, or raises
    last = lines.pop()
    assert last["type"] == "error" and last["data"] == {"code": "unauthorized", "temporary": False}, last
    assert lines[0]["type"] == "resumed" and len(lines) > 5 and all(f == {"type": "ping"} for f in lines[1:]), lines
    assert api("GET", "/users", token=alice.token, name=s.name)[0] == 401
with Server() as s:
    alice = user(instance=s.name)
    c, r = stream(s.name)
    assert json.loads(r.readline())["type"] == "resumed"
    s.kill(signal.SIGTERM)
    assert r.read() == b""
    assert s.ended() == 0
PY
}

@test "GET /events: what the client sends meanwhile is of no consequence" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
s = raw(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bob.token}\r\n\r\n".encode())
f = s.makefile("rb")
while f.readline() != b"\r\n":
    pass
s.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
assert api("POST", "/messages", {"receiver_id": bob.id, "content": "still there"}, alice.token)[0] == 201
while b"still there" not in (line := f.readline()):
    assert line
s.close()
PY
}
