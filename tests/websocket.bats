#!/usr/bin/env bats
# RFC 6455 as the server speaks it: handshake, frames, close codes, pings; and what chat frames are
# refused. Raw sockets (lib/frames.py) where a client library would not do wrong on purpose.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # No presence: nothing comes that a test did not ask for.
    server_start main -o presence=off -o max_message=4k -o max_content=1k
    server_start strict -o presence=off -o mode=production -o cors_origins=https://a.example,https://b.example:8443
    server_start deflating -o presence=off -o websocket_deflate=on -o max_message=64k
    server_start pinging -o presence=off -o ping_interval=200ms -o ping_timeout=600ms
}

teardown_file() {
    server_teardown_file
}

# --- handshake ---

@test "GET /ws with Authorization: 101, and the accept key that RFC 6455 gives as example" {
    py - <<'PY'
from frames import *
key = "dGhlIHNhbXBsZSBub25jZQ=="
w = Raw(fields={"Sec-WebSocket-Key": key})
f = w.answer.fields
assert f["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == accept_of(key)
assert f["upgrade"].lower() == "websocket" and f["connection"].lower() == "upgrade"
assert "sec-websocket-protocol" not in f and "sec-websocket-extensions" not in f
w.usable()
PY
}

@test "handshake: names and tokens in any case, lists, and an offered extension is not taken" {
    py - <<'PY'
from frames import *
w = Raw(fields={"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE",
                "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
assert "sec-websocket-extensions" not in w.answer.fields
w.usable()
assert ask(None, {"authorization": f"bEARER {user().token}"}).status == 101
PY
}

@test "handshake: the accept key is right for many keys" {
    py - <<'PY'
from frames import *
t = user().token
for _ in range(20):
    key = base64.b64encode(dice.randbytes(16)).decode()
    a = ask(t, {"Sec-WebSocket-Key": key})
    assert a.status == 101 and a.fields["sec-websocket-accept"] == accept_of(key)
PY
}

@test "handshake: 401 without a token or with a bad one, as {\"error\":...}" {
    py - <<'PY'
from frames import *
t = user().token
head, body, sign = t.split(".")
tail = lambda s: s[:-2] + ("AA" if s[-2:] != "AA" else "BB")
bad = ["nonsense", t[:-3], t + "x", f"{head}.{body}.", f"{head}.{tail(body)}.{sign}",
       f"{head}.{body}.{tail(sign[:-4] + 'AAAA')}", "." * 2, "x" * 6000]
for fields in [None, *({"Authorization": f"Bearer {b}"} for b in bad),
               {"Authorization": f"Basic {t}"}, {"Authorization": t}, {"Authorization": "Bearer"}]:
    a = ask(None, fields)
    assert a.status == 401, (fields, a.status)
    assert isinstance(a.body["error"], str) and a.body["error"], a.body
    assert "www-authenticate" in a.fields
assert ask(t).status == 101
PY
}

@test "handshake: 426 without an upgrade, or of another version, and the answer names version 13" {
    py - <<'PY'
from frames import *
t = user().token
for fields in [{"Upgrade": None, "Connection": None}, {"Upgrade": None}, {"Connection": None},
               {"Connection": "keep-alive"}, {"Upgrade": "h2c"},
               {"Sec-WebSocket-Version": None}, {"Sec-WebSocket-Version": "8"},
               {"Sec-WebSocket-Version": "12, 13"}, {"Sec-WebSocket-Version": "130"}]:
    a = ask(t, fields)
    assert a.status == 426, (fields, a.status)
    assert a.fields["sec-websocket-version"] == "13" and a.fields["upgrade"] == "websocket"
    assert a.fields["connection"] == "Upgrade", a.fields
    assert a.body["error"]
assert ask(t, line="GET /ws HTTP/1.0").status == 426
PY
}

@test "handshake: 400 for a key that is not the base64 form of 16 bytes" {
    py - <<'PY'
from frames import *
t = user().token
for key in [None, "", "short", base64.b64encode(b"x" * 15).decode(),
            base64.b64encode(b"x" * 17).decode(), "!" * 22 + "==", "A" * 24, "A" * 21 + "===",
            KEY + KEY, f"{KEY}\r\nSec-WebSocket-Key: {KEY}"]:
    a = ask(t, {"Sec-WebSocket-Key": key})
    assert a.status == 400 and a.body["error"], (key, a.status)
PY
}

@test "POST /ws: 405 with Allow; the connection serves on after a refusal" {
    py - <<'PY'
from frames import *
t = user().token
a = ask(t, {"Content-Length": "0"}, line="POST /ws HTTP/1.1")
assert a.status == 405 and "GET" in a.fields["allow"] and a.body["error"]
s = raw(handshake(t, {"Sec-WebSocket-Version": "8"}))
assert Answer(s).status == 426
s.sendall(handshake(t))
assert Answer(s).status == 101
PY
}

@test "subprotocols: chatd.v1 with bearer.TOKEN selects chatd.v1 only, in any order and form" {
    py - <<'PY'
from frames import *
u = user()
b = f"bearer.{u.token}"
for offer in [f"chatd.v1, {b}", f"{b}, chatd.v1", f"{b},chatd.v1", f"x, {b} , y,chatd.v1",
              f"chatd.v1\r\nSec-WebSocket-Protocol: {b}"]:
    a = ask(None, {"Sec-WebSocket-Protocol": offer})
    assert (a.status, a.fields.get("sec-websocket-protocol")) == (101, "chatd.v1"), (offer, a.status)
c = connect(subprotocols=["chatd.v1", b])
assert c.socket.subprotocol == "chatd.v1"
c.message(u.id, "who I am", "c-1")
assert c.until("ack")["id"] == "c-1"
PY
}

@test "subprotocols: bearer.TOKEN without chatd.v1 is 400 that names it; chatd.v1 beside Authorization" {
    py - <<'PY'
from frames import *
u = user()
for offer in (f"bearer.{u.token}", f"chatd.v10, bearer.{u.token}, Chatd.v1", "bearer."):
    for token in (None, u.token):
        a = ask(token, {"Sec-WebSocket-Protocol": offer})
        assert a.status == 400 and "chatd.v1" in a.body["error"], (offer, a.status, a.body)
a = ask(None, {"Sec-WebSocket-Protocol": f"chatd.v10, chatd.v1, bearer.{u.token}"})
assert a.status == 101 and a.fields["sec-websocket-protocol"] == "chatd.v1"
a = ask(u.token, {"Sec-WebSocket-Protocol": "chatd.v1"})
assert a.status == 101 and a.fields["sec-websocket-protocol"] == "chatd.v1"
a = ask(u.token, {"Sec-WebSocket-Protocol": "chatd.v2, graphql-ws"})
assert a.status == 101 and "sec-websocket-protocol" not in a.fields
PY
}

@test "a token in the URL is never accepted" {
    py - <<'PY'
from frames import *
t = user().token
for query in [f"token={t}", f"access_token={t}", f"bearer={t}", f"jwt={t}", f"authorization=Bearer%20{t}"]:
    assert ask(None, line=f"GET /ws?{query} HTTP/1.1").status == 401, query
assert ask(t, line="GET /ws?x=1 HTTP/1.1").status == 101
PY
}

@test "Origin: in production refused unless listed or our own; without one allowed" {
    py - <<'PY'
from frames import *
t = user(instance="strict").token
def status(origin, host="chat.example"):
    return ask(t, {"Origin": origin, "Host": host}, "strict").status
assert status(None) == 101
assert status("https://a.example") == status("https://b.example:8443") == 101
assert status("https://chat.example") == status("http://chat.example") == 101
assert status("http://chat.example:8080", "chat.example:8080") == 101
for other in ["https://evil.example", "http://a.example", "https://a.example:444", "null", "https://",
              "https://a.example.evil.example", "https://xa.example", "https://b.example",
              "https://a.example,https://b.example:8443", "https://chat.example:1", "chat.example",
              "*"]:
    assert status(other) == 403, other
a = ask(t, {"Origin": "https://evil.example"}, "strict")
assert a.body["error"] and "access-control-allow-origin" not in a.fields
PY
}

@test "Origin: in development any is allowed" {
    py - <<'PY'
from frames import *
t = user().token
assert ask(t, {"Origin": "https://anything.example"}).status == 101
assert ask(t, {"Origin": "null"}).status == 101
PY
}

@test "frames that come in one packet with the handshake are served" {
    py - <<'PY'
from frames import *
w = Raw(more=text({"type": "ping", "id": "1"}) + frame(PING, b"2") + text({"type": "ping", "id": "3"}))
assert w.json() == {"type": "pong", "id": "1"}
assert w.frame() == (PONG, b"2")
assert w.json() == {"type": "pong", "id": "3"}
half = text({"type": "ping", "id": "half"})
w = Raw(more=half[:9])
w.send(half[9:])
assert w.json() == {"type": "pong", "id": "half"}
u = user()
w = Raw(u.token, more=text({"type": "message", "id": "m", "content": "early", "data": {"receiver_id": u.id}}))
while (got := w.json())["type"] != "ack":
    pass
assert got["id"] == "m"
PY
}

@test "a delivery that arrives together with the end of the handshake is not left lying" {
    # The session is stopped while it waits to be registered, so that it reads the broker's answer
    # and the first delivery at once. Nothing else would wake it for 30 s.
    py - <<'PY'
from frames import *
import signal
bob = user()
first = connect(bob.token)
psql = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True, bufsize=1)
psql.stdin.write("begin; lock table change_lock in share update exclusive mode; \\echo locked\n")
while psql.stdout.readline().strip() != "locked":
    pass
before = set(children(f"session {bob.name} "))
s = raw(handshake(bob.token))
waiting = "select count(*) from pg_locks where relation = 'change_lock'::regclass and not granted"
eventually(lambda: len(set(children(f"session {bob.name} ")) - before) == 1 and sql(waiting) != "0")
pid = (set(children(f"session {bob.name} ")) - before).pop()
os.kill(pid, signal.SIGSTOP)
try:
    psql.stdin.write("commit;\n")
    psql.stdin.close()
    psql.wait()
    eventually(lambda: sql(f"select count(*) from sessions where user_id = {bob.id}") == "2")
    sql(f"insert into messages (sender_id, receiver_id, content) values ({bob.id}, {bob.id}, 'at once')")
    assert first.until("message")["content"] == "at once"
    assert api("GET", "/users", token=bob.token)[0] == 200
finally:
    os.kill(pid, signal.SIGCONT)
s.settimeout(8)
assert Answer(s).status == 101
got = s.recv(4096)
assert b'"at once"' in got, got
PY
}

# --- frames ---

@test "fragmentation: a message in two, three and very many frames, also with empty ones" {
    py - <<'PY'
from frames import *
w = Raw()
m = json.dumps({"type": "ping", "id": "f\u00e9\u20ac"}, ensure_ascii=False).encode()
def whole(parts):
    for i, part in enumerate(parts):
        w.send(frame(CONTINUATION if i else TEXT, part, fin=i == len(parts) - 1))
    assert w.json() == {"type": "pong", "id": "f\u00e9\u20ac"}
for i in range(len(m) + 1):
    whole([m[:i], m[i:]])
whole([m[:3], m[3:20], m[20:]])
whole([bytes([b]) for b in m])
whole([b"", m[:5], b"", m[5:], b""])
w.usable()
c = connect(user().token)
c.send_fragments(['{"type":', '"pi', 'ng"}'])
assert c.expect("pong") == {"type": "pong"}
PY
}

@test "control frames between fragments are answered at once and disturb nothing" {
    py - <<'PY'
from frames import *
w = Raw()
w.send(frame(TEXT, b'{"type":', fin=False) + frame(PING, b"between"))
assert w.frame() == (PONG, b"between")
w.send(frame(PONG, b"nobody asked") + frame(CONTINUATION, b'"pi', fin=False) + frame(PING))
assert w.frame() == (PONG, b"")
w.send(frame(CONTINUATION, b'ng"}'))
assert w.json() == {"type": "pong"}
w.send(frame(TEXT, b'{"type"', fin=False) + close_frame(1000))
w.fails(1000)
PY
}

@test "an unmasked frame: 1002" {
    py - <<'PY'
from frames import *
fails(text({"type": "ping"}, masked=False), 1002)
fails(frame(PING, b"x", masked=False), 1002)
fails(frame(CLOSE, b"\x03\xe8", masked=False), 1002)
fails(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}", masked=False), 1002)
PY
}

@test "reserved bits and reserved opcodes: 1002" {
    py - <<'PY'
from frames import *
for rsv in range(1, 8):
    fails(text({"type": "ping"}, rsv=rsv), 1002)
fails(frame(PING, rsv=4), 1002)
for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]:
    fails(frame(opcode, b"x"), 1002)
PY
}

@test "a control frame that is fragmented, or longer than 125 bytes: 1002; 125 are fine" {
    py - <<'PY'
from frames import *
for opcode in [CLOSE, PING, PONG]:
    fails(frame(opcode, b"x", fin=False), 1002)
    fails(frame(opcode, b"x" * 126), 1002)
    fails(frame(opcode, b"", declare=1 << 40), 1002)
w = Raw()
w.send(frame(PING, b"y" * 125))
assert w.frame() == (PONG, b"y" * 125)
PY
}

@test "a continuation of nothing, and a message inside a message: 1002" {
    py - <<'PY'
from frames import *
fails(frame(CONTINUATION, b"{}"), 1002)
fails(frame(CONTINUATION, b"", fin=False), 1002)
fails(frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002)
fails(frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"), 1002)
fails(frame(BINARY, b"{", fin=False) + frame(BINARY, b"}"), 1002)
PY
}

@test "a length that is not in its shortest form, or has its top bit set: 1002" {
    py - <<'PY'
from frames import *
fails(frame(TEXT, b"{}", wide=2), 1002)
fails(frame(TEXT, b"{}", wide=8), 1002)
fails(frame(TEXT, b"x" * 200, wide=8), 1002)
fails(frame(TEXT, b"", declare=1 << 63), 1002)
PY
}

@test "text that is not UTF-8: 1007" {
    py - <<'PY'
from frames import *
for bad in [b"\xff", b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\xaf",
            b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited", b"\xc3", b"\xe2\x82", b"\xc3("]:
    fails(text(b'{"type":"ping","id":"' + bad + b'"}'), 1007)
fails(text(b'{"type":"ping"}\xc3'), 1007)
PY
}

@test "UTF-8 is checked across fragments: a sequence may be split, a broken one is 1007" {
    py - <<'PY'
from frames import *
w = Raw()
w.send(frame(TEXT, b'{"type":"ping","id":"\xf0\x9f', fin=False) + frame(PING) + frame(CONTINUATION, b'\x98', fin=False)
       + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b'\x80"}'))
assert w.frame() == (PONG, b"")
assert w.json() == {"type": "pong", "id": "\U0001f600"}
fails(frame(TEXT, b'"\xe2', fin=False) + frame(CONTINUATION, b'("'), 1007)
fails(frame(TEXT, b'"\xe2\x82', fin=False) + frame(CONTINUATION, b""), 1007)
PY
}

@test "text that can not become UTF-8 ends the connection before the message is complete" {
    py - <<'PY'
from frames import *
fails(frame(TEXT, b'{"type":"\xff', fin=False), 1007)
fails(frame(TEXT, b"\xed\xa0", declare=1000), 1007)
fails(frame(TEXT, b'"\xe2', fin=False) + frame(CONTINUATION, b"(", declare=100), 1007)
PY
}

@test "close handshake: the code comes back, then the connection ends" {
    py - <<'PY'
from frames import *
for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]:
    fails(close_frame(code), code, hang_up=False)
    fails(close_frame(code, "bye \u20ac".encode()), code, hang_up=False)
fails(close_frame(1000, b"r" * 123), 1000, hang_up=False)
c = connect(user().token)
assert c.close(1000) == 1000
c = connect(user().token)
assert c.close(4321) == 4321
PY
}

@test "close handshake: codes that may not be sent, a code of one byte: 1002; a bad reason: 1007" {
    py - <<'PY'
from frames import *
for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]:
    fails(close_frame(code), 1002)
fails(frame(CLOSE, b"\x03"), 1002)
fails(close_frame(1000, b"\xff"), 1007)
fails(close_frame(1000, b"\xe2\x82"), 1007)
PY
}

@test "close handshake: without a code it is answered without one; what follows is not served" {
    py - <<'PY'
from frames import *
w = Raw()
w.send(close_frame())
assert w.closes() is None
w = Raw()
w.send(close_frame(1000) + text({"type": "ping"}) + frame(PING, b"late") + frame(7))
w.fails(1000)
PY
}

@test "close handshake: messages in front of the close are stored" {
    py - <<'PY'
from frames import *
u = user()
w = Raw(u.token)
w.send(b"".join(text({"type": "message", "content": f"last {i}", "data": {"receiver_id": u.id}}) for i in range(5))
       + close_frame(1000))
read_all(w.socket)
eventually(lambda: sql(f"select count(*) from messages where sender_id = {u.id}") == "5")
PY
}

@test "ping: the pong carries the same payload, in order; an unsolicited pong is ignored" {
    py - <<'PY'
from frames import *
w = Raw()
for payload in [b"", b"x", bytes(range(125)), dice.randbytes(125)]:
    w.send(frame(PING, payload))
    assert w.frame() == (PONG, payload)
w.send(frame(PONG) + frame(PONG, b"unasked") + frame(PING, b"1") + frame(PING, b"2"))
assert w.frame() == (PONG, b"1") and w.frame() == (PONG, b"2")
w.usable()
connect(user().token).ping()
PY
}

@test "a message larger than max_message: an error frame too_large, the connection stays" {
    py - <<'PY'
from frames import *
w = Raw()
def too_large():
    e = w.json()
    assert e["type"] == "error" and e["data"] == {"code": "too_large", "temporary": False} and e["error"], e
    w.usable()
w.send(text(b'{"type":"ping","x":"' + b"y" * 5000 + b'"}'))
too_large()
w.send(frame(TEXT, b"y" * 4097))
too_large()
w.send(frame(TEXT, b"y" * 4000, fin=False) + frame(PING, b"!") + frame(CONTINUATION, b"y" * 4000))
assert w.frame() == (PONG, b"!")
too_large()
w.send(frame(BINARY, b"y" * 4097))
too_large()
w.send(frame(TEXT, b"y" * 4000, fin=False) + frame(CONTINUATION, b"y" * 100, fin=False)
       + frame(CONTINUATION, b"", fin=True))
too_large()
exact = b'{"type":"ping","x":"' + b"y" * (4096 - 22) + b'"}'
assert len(exact) == 4096
w.send(text(exact))
assert w.json() == {"type": "pong"}
PY
}

@test "a huge declared length: 1009 at once" {
    py - <<'PY'
from frames import *
fails(frame(TEXT, b"", declare=1 << 40), 1009)
fails(frame(BINARY, b"", declare=(1 << 63) - 1), 1009)
fails(frame(TEXT, b"x" * 4096, fin=False) + frame(CONTINUATION, b"", declare=(1 << 63) - 1), 1009)
fails(frame(TEXT, b"x" * 60000, fin=False) + frame(CONTINUATION, b"y" * 60000, fin=False), 1009)
PY
}

@test "a binary message: an error frame, the connection stays" {
    py - <<'PY'
from frames import *
w = Raw()
for data in [frame(BINARY, b'{"type":"ping"}'), frame(BINARY), frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xff")]:
    w.send(data)
    e = w.json()
    assert e["type"] == "error" and e["error"] and e["data"]["temporary"] is False and e["data"]["code"], e
w.usable()
PY
}

@test "masks of all kinds, messages of all lengths around the limits of the header" {
    py - <<'PY'
from frames import *
w = Raw()
masks = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\xff\0\xff", b"\1\2\3\4", b"{{{{", *(dice.randbytes(4) for _ in range(40))]
for i, mask in enumerate(masks):
    w.send(text({"type": "ping", "id": f"{i}"}, mask=mask))
    assert w.json() == {"type": "pong", "id": f"{i}"}
for n in [*range(22, 40), 124, 125, 126, 127, 128, 255, 256, 1000, 4095, 4096]:
    m = b'{"type":"ping","x":"' + b"p" * (n - 22) + b'"}'
    assert len(m) == n
    w.send(text(m))
    assert w.json() == {"type": "pong"}, n
PY
}

@test "a message that TCP splits at any byte, and one that comes byte by byte" {
    py - <<'PY'
from frames import *
w = Raw()
w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
m = text(b'{"type":"ping","id":"' + "\u20ac".encode() + b'","x":"' + b"z" * 110 + b'"}')
for i in range(1, len(m)):
    # The part before the split is certainly read on its own: the server answers what is in front.
    w.send(frame(PING, b"sync") + m[:i])
    assert w.frame() == (PONG, b"sync")
    w.send(m[i:])
    assert w.json() == {"type": "pong", "id": "\u20ac"}, i
for b in m + frame(PING, b"slow"):
    w.send(bytes([b]))
    time.sleep(0.001)
assert w.json() == {"type": "pong", "id": "\u20ac"}
assert w.frame() == (PONG, b"slow")
PY
}

@test "many frames in one packet are all served, in order" {
    py - <<'PY'
from frames import *
w = Raw()
n = 2000
sender = threading.Thread(target=w.send, args=(b"".join(
    text({"type": "ping", "id": str(i)}) if i % 3 else frame(PING, b"%d" % i) for i in range(n)),))
sender.start()
for i in range(n):
    if i % 3:
        assert w.json() == {"type": "pong", "id": str(i)}
    else:
        assert w.frame() == (PONG, b"%d" % i)
sender.join()
PY
}

@test "a client that breaks the protocol hurts nobody else" {
    py - <<'PY'
from frames import *
good = Raw()
for _ in range(30):
    w = Raw()
    w.send(dice.randbytes(300))
    w.socket.shutdown(socket.SHUT_WR)
    read_all(w.socket)
good.usable()
PY
}

@test "the server pings; a client that answers stays" {
    py - <<'PY'
from frames import *
w = Raw(name="pinging")
for _ in range(6):
    opcode, payload = w.frame()
    assert opcode == PING, opcode
    w.send(frame(PONG, payload))
w.usable()
PY
}

@test "the server pings; a client that stays silent past the timeout is gone, and offline" {
    py - <<'PY'
from frames import *
u = user(instance="pinging")
w = Raw(u.token, "pinging")
begin = time.monotonic()
assert w.frame() == (PING, b"")
end = read_all(w.socket)
took = time.monotonic() - begin
assert 0.7 <= took < 8, took
eventually(lambda: sql(f"select count(*) from sessions where user_id = {u.id}") == "0")
PY
}

# --- permessage-deflate; its rules one by one are in ws_echo.bats ---

@test "websocket_deflate: messages are compressed both ways, for a client that offers it" {
    py - <<'PY'
from frames import *
import zlib
a, b = user(instance="deflating"), user(instance="deflating")
receiver = connect(b.token, "deflating")                    # offers, as the library does by itself
assert wsclient.response_fields(receiver.socket)["sec-websocket-extensions"].startswith("permessage-deflate; ")
plain = connect(b.token, "deflating", compression=None)
w = Raw(a.token, "deflating", fields={"Sec-WebSocket-Extensions": "permessage-deflate"})
assert w.answer.fields["sec-websocket-extensions"] == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
z = zlib.compressobj(9, zlib.DEFLATED, -15)
m = json.dumps({"type": "message", "id": "z-1", "content": "x" * 5000, "data": {"receiver_id": b.id}}).encode()
packed = (z.compress(m) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]
w.send(frame(TEXT, packed[:9], rsv=4, fin=False) + frame(CONTINUATION, packed[9:]))
assert w.json()["id"] == "z-1"                              # short: not worth it
for c in (receiver, plain):
    assert c.until("message")["content"] == "x" * 5000
receiver.message(a.id, "y" * 5000)
compressed, opcode, payload = w.any_frame()
assert compressed and opcode == TEXT and len(payload) < 400
assert json.loads(zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff"))["content"] == "y" * 5000
w.usable()
PY
}

@test "websocket_deflate: off by default, and then not even an offer that could be met is taken" {
    py - <<'PY'
from frames import *
w = Raw(fields={"Sec-WebSocket-Extensions": "permessage-deflate"})
assert "sec-websocket-extensions" not in w.answer.fields
w.send(frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4))
w.fails(1002)
PY
}

@test "websocket_deflate: 16 MiB of zeros in 16 kB are 1009; max_message bounds what is inflated" {
    py - <<'PY'
from frames import *
import zlib
token = user(instance="deflating").token
def deflating(data):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    w = Raw(token, "deflating", fields={"Sec-WebSocket-Extensions": "permessage-deflate"})
    packed = (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]
    w.send(frame(TEXT, packed, rsv=4))
    return w, len(packed)
w, n = deflating(bytes(16 << 20))
assert n < 17000
w.fails(1009)
w, n = deflating(b" " * 65537)
w.fails(1009)
w, n = deflating(b'{"type":"ping"}' + b" " * (65536 - 15))
assert w.json() == {"type": "pong"}
w.usable()
PY
}

# --- chat frames ---

@test "bad JSON, or JSON that is no object: an error frame bad_json, the connection stays" {
    py - <<'PY'
from frames import *
w = Raw()
for bad in ["", " ", "hello", "{", "}", '{"type":"ping"', '{"type":"ping"}x', "{'type':'ping'}", '{"type":"ping",}',
            '{"type":NaN}', "[]", "null", "1", '"ping"', "true", '[{"type":"ping"}]', '{"a":' * 200, "[" * 1000,
            '{"type":"message","content":"\\u0000","data":{"receiver_id":1}}', '{"id":"\\ud800","type":"ping"}',
            '{"type":"pi\nng"}', '\ufeff{"type":"ping"}']:
    w.send(text(bad))
    e = w.json()
    assert e["type"] == "error" and isinstance(e["error"], str) and e["error"], (bad, e)
    assert e["data"] == {"code": "bad_json", "temporary": False}, (bad, e)
    assert "id" not in e
w.usable()
PY
}

@test "an unknown type: an error frame unknown_type with the id of the frame" {
    py - <<'PY'
from frames import *
w = Raw()
for kind in ["", "massage", "Message", "message ", "ack", "user_status", "error", "__proto__", "x" * 900]:
    for id_ in [None, "c-1"]:
        w.send(text({"type": kind, **({"id": id_} if id_ else {}), "content": "x", "data": {"receiver_id": 1}}))
        e = w.json()
        assert e["type"] == "error" and e["error"] and e["data"] == {"code": "unknown_type", "temporary": False}, e
        assert e.get("id") == id_, e
w.usable()
PY
}

@test "members that are missing, of the wrong type or out of bounds: an error frame says which" {
    py - <<'PY'
from frames import *
u = user()
w = Raw(u.token)
good = {"type": "message", "content": "x", "data": {"receiver_id": u.id}}
def without(name):
    return {k: v for k, v in good.items() if k != name}
wrong = [("type", without("type")), ("content", without("content")), ("data", without("data")),
         ("receiver_id", {**good, "data": {}}), ("content", {**good, "content": ""})]
for other in [None, 1, 1.5, True, [], {}, ["message"]]:
    wrong += [("type", {**good, "type": other}), ("content", {**good, "content": other})]
for other in [None, 1, True, [], "x", [{"receiver_id": u.id}]]:
    wrong += [("data", {**good, "data": other})]
for other in [None, str(u.id), "", True, [u.id], {}, 0, -1, -u.id, u.id + 0.5, 1.0, 2**63, 2**64 + u.id, 10**30]:
    wrong += [("receiver_id", {**good, "data": {"receiver_id": other}})]
frames = [(name, json.dumps(f)) for name, f in wrong]
for number in ["1e0", "1E2", "0.0", "-0", f"{u.id}.0"]:
    frames += [("receiver_id", json.dumps(good).replace(f'"receiver_id": {u.id}', f'"receiver_id": {number}'))]
for name, f in frames:
    for id_ in [None, "c-\u20ac"]:
        w.send(text(f.replace("{", '{"id":"%s",' % id_, 1) if id_ else f))
        e = w.json()
        assert e["type"] == "error" and name in e["error"], (f, e)
        assert e["data"] == {"code": "bad_field", "temporary": False}, (f, e)
        assert e.get("id") == id_, (f, e)
w.usable()
assert sql(f"select count(*) from messages where sender_id = {u.id}") == "0"
PY
}

@test "content above max_content: an error frame too_large with the id; exactly that is fine" {
    py - <<'PY'
from frames import *
u = user()
w = Raw(u.token)
def send(content, id_):
    w.send(text({"type": "message", "id": id_, "content": content, "data": {"receiver_id": u.id}}))
for i, content in enumerate(["x" * 1025, "\u20ac" * 342]):
    send(content, f"c-{i}")
    e = w.json()
    assert (e["type"], e["id"], e["data"]) == ("error", f"c-{i}", {"code": "too_large", "temporary": False}), e
    assert "content" in e["error"]
for i, content in enumerate(["x" * 1024, "\u20ac" * 341 + "x"]):
    send(content, f"d-{i}")
    assert {w.json()["type"], w.json()["type"]} <= {"ack", "message"}
w.usable()
PY
}

@test "a receiver who does not exist: an error frame unknown_receiver with the id" {
    py - <<'PY'
from frames import *
u = user()
w = Raw(u.token)
for id_ in [None, "c-1"]:
    for receiver in [u.id + 1000000, 2**62]:
        w.send(text({"type": "message", **({"id": id_} if id_ else {}), "content": "x", "data": {"receiver_id": receiver}}))
        e = w.json()
        assert e["type"] == "error" and e["error"], e
        assert e["data"] == {"code": "unknown_receiver", "temporary": False} and e.get("id") == id_, e
# One that is refused does not fail its neighbours of the same batch.
w.send(b"".join(text({"type": "message", "id": f"n-{i}", "content": "x", "data": {"receiver_id": u.id + i % 2 * 1000000}}) for i in range(10)))
got, copies = {}, 0
while len(got) < 10 or copies < 5:
    f = w.json()
    if f["type"] == "message":
        copies += 1
    else:
        got[f["id"]] = f["type"]
assert got == {f"n-{i}": "error" if i % 2 else "ack" for i in range(10)}, got
w.usable()
PY
}

@test "an id that is no string of 1 to 64 bytes: an error frame without it; 64 bytes are fine" {
    py - <<'PY'
from frames import *
u = user()
w = Raw(u.token)
good = {"type": "message", "content": "x", "data": {"receiver_id": u.id}}
for bad in [None, 1, 1.5, True, [], {}, ["a"], "", "x" * 65, "\u20ac" * 22]:
    for f in [good, {"type": "ping"}, {"type": "nothing"}]:
        w.send(text({**f, "id": bad}))
        e = w.json()
        assert e["type"] == "error" and "id" in e["error"] and "id" not in e, (bad, e)
        assert e["data"] == {"code": "bad_field", "temporary": False}, e
assert sql(f"select count(*) from messages where sender_id = {u.id}") == "0"
for id_ in ["x" * 64, "\u20ac" * 21, " ", '"\\', "\u0001", "\U0001f600"]:
    w.send(text({"type": "ping", "id": id_}))
    assert w.json() == {"type": "pong", "id": id_}
PY
}

@test "{\"type\":\"ping\"} gets {\"type\":\"pong\"}, with the id if it had one; other members are ignored" {
    py - <<'PY'
from frames import *
c = connect(user().token)
c.send({"type": "ping"})
assert c.recv() == {"type": "pong"}
c.send({"type": "ping", "id": "p-1", "data": {"x": [1, {"y": None}]}, "content": 7})
assert c.recv() == {"type": "pong", "id": "p-1"}
PY
}

@test "every error on a WebSocket has type, error, data.code and data.temporary, and nothing else" {
    py - <<'PY'
from frames import *
w = Raw()
for f in [b"x", b"{}", b'{"type":"x"}', b'{"type":"message"}', b'{"type":"message","content":"a","data":{"receiver_id":987654321}}',
          b'{"type":"x","id":"i"}']:
    w.send(text(f))
    e = w.json()
    assert set(e) - {"id"} == {"type", "error", "data"} and set(e["data"]) == {"code", "temporary"}, e
w.send(frame(BINARY, b"x"))
e = w.json()
assert set(e) == {"type", "error", "data"} and set(e["data"]) == {"code", "temporary"}
PY
}
