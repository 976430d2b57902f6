#!/usr/bin/env bats
# HTTP/1.1 (RFC 9110, RFC 9112) as the running server speaks it: connections, refusals, timeouts.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
    server_start hasty -o header_timeout=300ms -o body_timeout=300ms -o keepalive_timeout=300ms \
        -o write_timeout=3s
    server_start rated -o write_timeout=1s -o min_rate=1M
}

teardown_file() {
    server_teardown_file
}

# --- methods and paths ---

@test "every answer has Date, Content-Type and Content-Length" {
    py - <<'PY'
from rawhttp import *
from email.utils import parsedate_to_datetime
a = user()
for r in (ask("GET", "/users", token=a.token), ask("GET", "/users"), ask("GET", "/nothing"), sent(post("/login", "{}"))):
    assert abs(parsedate_to_datetime(r.headers["date"]).timestamp() - time.time()) < 30
    assert r.headers["content-type"] == "application/json" and int(r.headers["content-length"]) == len(r.body) > 0
    assert len(r.fields) == len(r.headers), r.fields
PY
}

@test "HEAD has the fields of GET, its Content-Length and no body" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
sql(f"insert into messages (sender_id, receiver_id, content) values ({a.id}, {b.id}, 'x')")
c = Http()
for path, token, status in (("/users", a.token, 200), (f"/messages/{b.id}", a.token, 200), ("/users", None, 401),
                            ("/nothing", None, 404), ("/messages/x", a.token, 400), ("/register", None, 405)):
    c.send(head("GET", path, token=token))
    get = c.answer()
    c.send(head("HEAD", path, token=token))
    r = c.answer("HEAD")                        # h11 would take a body for the next answer
    if path == "/register":
        get.headers["content-length"] = r.headers["content-length"]
    assert r.status == get.status == status and r.body == b"", path
    assert {k: v for k, v in r.headers.items() if k != "date"} == {k: v for k, v in get.headers.items() if k != "date"}
c.close()
PY
}

@test "HEAD by curl" {
    token=$(user "head$RANDOM")
    api HEAD /users '' "$token"
    [[ $status == 200 && $(header content-length) -gt 2 && $(header content-type) == application/json ]] ||
        fail "$status $(<"$T/headers")"
}

@test "404 for an unknown path" {
    py - <<'PY'
from rawhttp import *
a = user()
for path in ("/", "/nothing", "/user", "/users/", "/users/1", "/Users", "/users%2f", "//users", "/./users", "/users/../users", "/register/", "/ws/",
             "/login.php", "/%00", "/messages/", "/event", "/events/"):
    for method in ("GET", "POST", "HEAD"):
        r = ask(method, path, token=a.token)
        assert r.status == 404, (method, path, r.status)
assert ask("GET", "/users?a=b&c", token=a.token).status == 200
PY
}

@test "405 with Allow for a method that a path does not have" {
    py - <<'PY'
from rawhttp import *
a = user()
allowed = {"/register": {"POST", "OPTIONS"}, "/login": {"POST", "OPTIONS"}, "/users": {"GET", "HEAD", "OPTIONS"}, "/me": {"GET", "HEAD", "PATCH", "OPTIONS"},
           "/me/blocks": {"GET", "HEAD", "OPTIONS"}, "/users/1/block": {"PUT", "DELETE", "OPTIONS"}, "/messages/1": {"GET", "HEAD", "OPTIONS"}, "/ws": {"GET", "OPTIONS"}}
for path, methods in allowed.items():
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - methods:
        r = ask(method, path, token=a.token)
        assert r.status == 405 and set(r.headers["allow"].split(", ")) == methods, (path, method, r.fields)
        if method != "HEAD":
            r.error(405)
    assert set(ask("OPTIONS", path).headers["allow"].split(", ")) == methods
PY
}

@test "501 for an unknown method or coding before chunked; 400 where chunked is not the last" {
    py - <<'PY'
from rawhttp import *
for method in ("BREW", "get", "PROPFIND", "CONNECTX", "X"):
    ask(method, "/users").error(501)
sent("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n").error(501)
for coding, status in (("gzip, chunked", 501), ("x,chunked", 501), ("gzip", 400), ("br", 400), ("chunked, gzip", 400)):
    r = ask("POST", "/login", {"Transfer-Encoding": coding}).error(status, "chunked")
    assert r.headers["connection"] == "close"
PY
}

@test "OPTIONS * is 204 with Allow" {
    py - <<'PY'
from rawhttp import *
r = ask("OPTIONS", "*")
assert r.status == 204 and {"GET", "PUT", "PATCH", "DELETE"} <= set(r.headers["allow"].split(", ")) and r.body == b"" and "content-length" not in r.headers
ask("GET", "*").error(400)
PY
}

@test "the target may be absolute, as proxies send it" {
    py - <<'PY'
from rawhttp import *
a = user()
for target in ("http://localhost/users", "http://chat.example:8080/users", "HTTP://localhost/users?x=1", "https://[::1]:1/users"):
    assert ask("GET", target, token=a.token).status == 200, target
for target, status in (("http://localhost", 404), ("http://localhost/nothing", 404), ("http://", 400), ("http:///users", 400), ("ftp://localhost/users", 400),
                       ("users", 400), ("http://a b/users", 400), ("http://user@localhost/users", 400)):
    ask("GET", target, token=a.token).error(status)
PY
}

# --- connections ---

@test "one connection carries many requests, and errors do not end it" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
for _ in range(20):
    c.send(head("GET", "/users", token=a.token))
    r = c.answer()
    assert r.status == 200 and "connection" not in r.headers, r.fields
    for path, token, status in (("/nothing", None, 404), ("/users", "x", 401), ("/messages/x", a.token, 400)):
        c.send(head("GET", path, token=token))
        c.answer().error(status)
    c.send(post("/login", "{"))
    c.answer("POST").error(400)
    c.send(head("DELETE", "/users"))
    c.answer("DELETE").error(405)
c.close()
PY
}

@test "keep-alive by curl: several requests, one connection" {
    token=$(user "keep$RANDOM")
    curl -sS -m 20 -o /dev/null -w '%{http_code} %{num_connects}\n' -H "Authorization: Bearer $token" \
        "$(server_url)/users" --next -o /dev/null -w '%{http_code} %{num_connects}\n' \
        -H "Authorization: Bearer $token" "$(server_url)/users" >"$T/out"
    [[ $(<"$T/out") == $'200 1\n200 0' ]] || fail "$(<"$T/out")"
}

@test "Connection: close is answered and then obeyed" {
    py - <<'PY'
from rawhttp import *
a = user()
for value in ("close", "Close", "keep-alive, close", "x, CLOSE"):
    c = Http()
    c.send(head("GET", "/users", {"Connection": value}, token=a.token))
    r = c.answer()
    assert r.status == 200 and r.headers["connection"] == "close"
    c.ended()
PY
}

@test "the tenth 401 in a row ends the connection, whatever was refused; a success begins anew, OPTIONS and errors do not" {
    py - <<'PY'
from rawhttp import *
a = user()
bad = head("GET", "/users", token="x.y.z")
def refused(c, request=bad, last=False):
    method = "POST" if request[:4] in ("POST", b"POST") else "GET"
    r = c.send(request).answer(method).error(401)
    assert r.headers.get("connection") == ("close" if last else None), r.fields
# Each kind of 401 counts; what comes between them and is no success changes nothing.
kinds = [bad, head("GET", "/users"), head("GET", "/events"), head("GET", "/messages/1", token="x.y.z"),
         post("/login", {"username": "nobody", "password": "wrong-words"}), head("GET", "/users", {"Authorization": "Basic x"}),
         post("/messages", {}), head("GET", "/events", token=a.token + "x"), post("/logout", {})]
c = Http()
for kind in kinds:
    refused(c, kind)
    c.send(head("OPTIONS", "/users")).answer("OPTIONS")
    c.send(head("GET", "/nothing")).answer().error(404)
refused(c, last=True)
c.ended()
# A success of any kind begins anew: a user who mistypes the password nine times, and then does not.
for method, good in (("GET", head("GET", "/users", token=a.token)), ("POST", post("/login", {"username": a.name, "password": password()}))):
    c = Http()
    for _ in range(3):
        for _ in range(9):
            refused(c)
        assert c.send(good).answer(method).status == 200
    for n in range(10):
        refused(c, last=n == 9)
    c.ended()
# Of a flood in one go no more than ten are looked at.
c = Http().send(bad * 1000)
answers = [c.answer().error(401) for _ in range(10)]
assert [r.headers.get("connection") for r in answers] == [None] * 9 + ["close"]
rest = c.parser.trailing_data[0] + read_all(c.socket)
assert rest == b"", rest
PY
}

@test "HTTP/1.0 closes after the answer, unless keep-alive is asked for" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
c.send(f"GET /users HTTP/1.0\r\nAuthorization: Bearer {a.token}\r\n\r\n")   # needs no Host
r = c.answer()
assert r.status == 200 and r.headers["connection"] == "close"
c.ended()
c = Http()
for _ in range(3):
    c.send(f"GET /users HTTP/1.0\r\nConnection: Keep-Alive\r\nAuthorization: Bearer {a.token}\r\n\r\n")
    r = c.answer()
    assert r.status == 200 and r.headers["connection"].lower() == "keep-alive"
c.close()
ask("POST", "/login", {"Transfer-Encoding": "chunked"}, version="1.0").error(400)
PY
}

@test "three pipelined requests are answered in their order" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
body = {"username": a.name, "password": password()}
c.send(head("GET", "/users", token=a.token).encode() + post("/login", body) + head("GET", "/nothing").encode())
assert isinstance(c.answer().json(), list)
assert c.answer("POST").json()["user"]["username"] == a.name
c.answer().error(404)
# What follows a request that ends the connection is not looked at.
c.send(head("GET", "/nothing", {"Connection": "close"}), head("GET", "/users", token=a.token))
c.answer().error(404)
c.ended()
PY
}

@test "a request may arrive a byte at a time" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
request = post("/login", {"username": a.name, "password": password()})
c.send(*(request[i:i + 1] for i in range(len(request))))
assert c.answer("POST").status == 200
for path, status in (("/users", 200), ("/nothing", 404)):
    request = head("GET", path, token=a.token).encode()
    c.send(*(request[i:i + 1] for i in range(len(request))))
    assert c.answer().status == status
chunks = head("POST", "/login", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}) + "1\r\n{\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n"
c.send(*chunks)
c.answer("POST").error(400, '"username"')
c.close()
PY
}

@test "one empty line before a request is forgiven, more is not" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
c.send("\r\n" + head("GET", "/users", token=a.token))
assert c.answer().status == 200
c.send("\r\n" + head("GET", "/users", token=a.token))
assert c.answer().status == 200
c.send("\r\n\r\n")
c.answer().error(400)
c.ended()
PY
}

# --- bodies ---

@test "a chunked body is read, with extensions and trailers ignored" {
    py - <<'PY'
from rawhttp import *
a = user()
body = json.dumps({"username": a.name, "password": password()}).encode()
start = head("POST", "/login", {"Content-Type": "application/json", "Transfer-Encoding": "Chunked"}).encode()
c = Http()
for size in (1, 7, len(body)):
    out = b"".join(b"%X;a=\"b\"\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size]) for i in range(0, len(body), size))
    c.send(start + out + b"000\r\nAuthorization: Bearer x\r\nX-Checksum: 7\r\n\r\n")
    assert c.answer("POST").status == 200, size
# The connection goes on exactly where the body ended.
c.send(head("GET", "/users", token=a.token))
assert c.answer().status == 200
PY
    [[ $(curl -sS -m 20 -o "$T/body" -w '%{http_code}' -H 'Transfer-Encoding: chunked' -H 'Content-Type: application/json' \
        -d '{"username":"nobody","password":"x"}' "$(server_url)/login") == 401 ]] || fail "$(<"$T/body")"
}

@test "a malformed chunk is 400 and ends the connection" {
    py - <<'PY'
from rawhttp import *
start = head("POST", "/login", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
for bad in ("x\r\n", "\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", "1 1\r\n", "1\n{", "1\r\n{}\r\n", "1\r\n{\n", "11111111111111111\r\n", " 1\r\n", "1;" + "x" * 300,
            "0\r\nno field\r\n\r\n", "0\r\n a: b\r\n\r\n"):
    c = Http()
    c.send(start + bad)
    assert c.answer("POST").error(400).headers["connection"] == "close", bad
    c.ended()
PY
}

@test "the body of a request that needs none is read and dropped" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
fields = ["Content-Length: 40", f"Authorization: Bearer {a.token}"]
c.send(head("GET", "/users", fields), head("GET", "/smuggled").ljust(40)[:40], head("GET", "/nothing"))
assert c.answer().status == 200
c.answer().error(404)
c.close()
PY
}

@test "Expect: 100-continue gets 100 before the body, or a refusal in its place" {
    py - <<'PY'
from rawhttp import *
a = user()
body = json.dumps({"username": a.name, "password": password()}).encode()
fields = {"Content-Type": "application/json", "Content-Length": len(body), "Expect": "100-Continue"}
c = Http()
for _ in range(2):
    c.send(head("POST", "/login", fields))
    assert c.interim() == 100
    c.send(body)
    r = c.answer("POST")
    assert r.status == 200 and r.interim == [], r.interim
# Nobody is invited whose body has begun.
c.send(head("POST", "/login", fields).encode() + body[:5])
c.send(body[5:])
r = c.answer("POST")
assert r.status == 200 and r.interim == [], r.interim
# Who sends all of the body at once needs no invitation, but may get one.
c.send(head("POST", "/login", fields).encode() + body)
r = c.answer("POST")
assert r.status == 200 and r.interim in ([], [100])
# HTTP/1.0 knows no interim responses.
c.send(head("POST", "/login", fields, version="1.0").encode())
c.send(body)
r = c.answer("POST")
assert r.status == 200 and r.interim == []
# No body is wanted that would be refused.
c = Http()
c.send(head("POST", "/login", {**fields, "Content-Length": 10**6}))
r = c.answer("POST").error(413)
assert r.interim == []
c.ended()
PY
    head -c 60000 /dev/zero | tr '\0' ' ' >"$T/blanks"
    [[ $(curl -sS -m 20 -o "$T/body" -w '%{http_code}' -H 'Expect: 100-continue' -H 'Content-Type: application/json' \
        --data-binary "@$T/blanks" "$(server_url)/login") == 400 ]] || fail "$(<"$T/body")"
}

@test "417 for another expectation" {
    py - <<'PY'
from rawhttp import *
for value in ("200-ok", "100-continue, x", ",x"):
    ask("POST", "/login", {"Expect": value, "Content-Length": 0}).error(417, "100-continue")
PY
}

# --- refusals ---

@test "413 for too large a body, and the connection ends" {
    py - <<'PY'
from rawhttp import *
c = Http()
c.send(post("/login", b" " * 500000))
assert c.answer("POST").error(413, "max_body").headers["connection"] == "close"
c.ended()
PY
    head -c 1000000 /dev/zero >"$T/zeros"
    [[ $(curl -sS -m 20 -o "$T/body" -w '%{http_code}' -H 'Content-Type: application/json' -H 'Expect:' \
        --data-binary "@$T/zeros" "$(server_url)/login") == 413 ]] || fail "$(<"$T/body")"
}

@test "414 for too long a target" {
    py - <<'PY'
from rawhttp import *
for length in (8192, 20000, 500000):
    c = Http()
    c.send(head("GET", "/" + "x" * length))
    assert c.answer().error(414).headers["connection"] == "close"
    c.ended()
ask("GET", "/" + "x" * 7000).error(404)
PY
}

@test "415 for a body that is not JSON" {
    py - <<'PY'
from rawhttp import *
for type_ in ("text/plain", "application/jsonx"):
    r = ask("POST", "/login", {"Content-Type": type_, "Content-Length": 2}, body=b"{}").error(415, "application/json")
    assert r.headers["accept"] == "application/json" and not {"connection", "accept-encoding"} & set(r.headers), r.fields
PY
}

@test "415 with Accept-Encoding for a body with a content coding; identity, and none, is fine" {
    py - <<'PY'
from rawhttp import *
import gzip
a = user()
json_ = json.dumps({"username": a.name, "password": password()}).encode()
def login(coding, body):
    return ask("POST", "/login", {"Content-Type": "application/json", "Content-Encoding": coding, "Content-Length": len(body)}, body=body)
for coding, body in (("gzip", gzip.compress(json_)), ("x-gzip", b"{}"), ("identity, GZIP", json_), (",br", json_), ("deflate", b"")):
    r = login(coding, body).error(415, "Content-Encoding")
    assert r.headers["accept-encoding"] == "identity" and "accept" not in r.headers, r.fields
for coding in ("identity", "Identity, ,identity", "", " , "):
    assert login(coding, json_).status == 200, coding
PY
}

@test "431 for header fields that are too large or too many" {
    py - <<'PY'
from rawhttp import *
for fields in ([f"X-{i}: y" for i in range(101)], ["X: " + "y" * 8192], ["X: " + "y" * 500000], [f"X-{i}: {'y' * 1000}" for i in range(9)]):
    c = Http()
    c.send(head("GET", "/users", fields))
    assert c.answer().error(431).headers["connection"] == "close"
    c.ended()
ask("GET", "/nothing", [f"X-{i}: y" for i in range(90)]).error(404)
ask("GET", "/nothing", ["X: " + "y" * 7000]).error(404)
PY
}

@test "505 for another version of HTTP" {
    py - <<'PY'
from rawhttp import *
for version in ("2.0", "2.1", "0.9", "3.0"):
    ask("GET", "/users", version=version).error(505, "HTTP/1.1")
sent("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error(505)
for version in ("1.2", "1.9"):
    r = ask("GET", "/nothing", version=version).error(404)
    assert "connection" not in r.headers, r.fields
PY
}

@test "501 for a method that is longer than any, of whatever length" {
    py - <<'PY'
from rawhttp import *
for length in (65, 8192, 100000, 500000):
    c = Http()
    c.send("M" * length + " / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert c.answer().error(501).headers["connection"] == "close"
    c.ended()
ask("M" * 64, "/users").error(501)
PY
}

@test "400 says what is wrong with a request that cannot be read, and ends the connection" {
    py - <<'PY'
from rawhttp import *
good = "GET /users HTTP/1.1\r\n"
for bad, word in (("\x16\x03\x01", "plain HTTP"), ("GET\r\n\r\n", "request line"), ("GET /users\r\n\r\n", "request line"),
                  ("GET  /users HTTP/1.1\r\n\r\n", ""), ("GET /users  HTTP/1.1\r\n\r\n", ""), ("GET /users HTTP/1.1 \r\n\r\n", ""),
                  ("GET /users http/1.1\r\n\r\n", ""), ("GET /us\u00e9rs HTTP/1.1\r\n\r\n", "target"), ("GET /users#a HTTP/1.1\r\n\r\n", "#"),
                  ("GET /users HTTP/1.1\n", "LF"), ("GET /users HTTP/1.1\rX", "CR"), (" GET /users HTTP/1.1\r\n\r\n", "method"),
                  (good + "\r\n", "Host"), (good + "Host: a\r\nHost: b\r\n\r\n", "Host"), (good + "Host: a b\r\n\r\n", "Host"),
                  (good + "Host: a\r\nX : y\r\n\r\n", "name"), (good + "Host: a\r\n X: y\r\n\r\n", "fold"), (good + "Host: a\r\nX: y\r\n z\r\n\r\n", "fold"),
                  (good + "Host: a\r\nX\r\n\r\n", "name"), (good + "Host: a\r\n: y\r\n\r\n", "name"), (good + "Host: a\r\nX: a\x00b\r\n\r\n", "NUL"),
                  (good + "Host: a\r\nX: a\x01b\r\n\r\n", "control"), (good + "Host: a\r\nX: a\nY: b\r\n\r\n", "LF"),
                  (good + "Host: a\r\nContent-Length: x\r\n\r\n", "Content-Length"), (good + "Host: a\r\nContent-Length: -1\r\n\r\n", "Content-Length"),
                  (good + "Host: a\r\nContent-Length: +1\r\n\r\n", "Content-Length"), (good + "Host: a\r\nContent-Length:\r\n\r\n", "Content-Length"),
                  (good + "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length"),
                  (good + "Host: a\r\nContent-Length: 1, 1\r\n\r\n", "Content-Length"), (good + "Host: a\r\nContent-Length: " + "9" * 30 + "\r\n\r\n", "Content-Length"),
                  (good + "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"),
                  (good + "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "chunked"),
                  (good + "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked")):
    c = Http()
    c.send(bad.encode("latin-1"))
    assert c.answer().error(400, word).headers["connection"] == "close", bad
    c.ended()
PY
}

@test "a refusal is the same however the bytes arrive" {
    py - <<'PY'
from rawhttp import *
for bad in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00", b"GET /\x00", b"GET / HTTP/1.1\r\nX: \x00", b"(GET / HTTP/1.1\n", b"G(T\nX"):
    texts = set()
    for parts in ([bad], [bad[i:i + 1] for i in range(len(bad))]):
        c = Http()
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                c.send(part)
                time.sleep(0.02)                # so that the server sees it alone
        except (BrokenPipeError, ConnectionResetError):
            pass
        texts.add(c.answer().error(400).body)
    assert len(texts) == 1, (bad, texts)
PY
}

@test "a refused request never lets its rest pass for a second one" {
    py - <<'PY'
from rawhttp import *
a = user()
second = head("GET", "/users", token=a.token)
for first in (head("GET", "/users", ["Content-Length: 1", "Transfer-Encoding: chunked"]), head("GET", "/users", ["Content-Length: 0", "Content-Length: 5"]),
              head("GET", "/users", ["Transfer-Encoding : chunked"]), head("POST", "/login", ["Transfer-Encoding: chunked"]) + "0\n\n",
              head("POST", "/login", {"Content-Length": 10**6})):
    c = Http()
    c.send(first + second)
    assert c.answer().status in (400, 413)
    c.ended()
PY
}

# --- time ---

@test "a head that does not arrive in time is 408, and the connection ends" {
    py - <<'PY'
from rawhttp import *
c = Http("hasty")
c.send("GET /users HTTP/1.1\r\nHost:")
assert c.answer().error(408).headers["connection"] == "close"
c.ended()
# Nor does it help to send a little from time to time.
c = Http("hasty")
started = time.monotonic()
c.send("GET /users HTTP/1.1\r\n")
try:
    while time.monotonic() - started < 10:
        c.send("X: y\r\n")
        c.socket.settimeout(0.05)
        try:
            if not c.socket.recv(1, socket.MSG_PEEK):
                break
            c.socket.settimeout(WAIT)
            c.answer().error(408)
            break
        except socket.timeout:
            continue
    else:
        raise AssertionError("10 s for a head that may take 0.3 s")
except (BrokenPipeError, ConnectionResetError):
    pass
PY
}

@test "a body that does not arrive in time is 408, and the connection ends" {
    py - <<'PY'
from rawhttp import *
for fields, part in (({"Content-Length": 10}, "{"), ({"Transfer-Encoding": "chunked"}, "5\r\n{"), ({"Content-Length": 10, "Expect": "100-continue"}, "")):
    c = Http("hasty")
    c.send(head("POST", "/login", {"Content-Type": "application/json", **fields}) + part)
    assert c.answer("POST").error(408).headers["connection"] == "close"
    c.ended()
PY
}

@test "a connection on which nothing comes is closed without a word" {
    py - <<'PY'
from rawhttp import *
Http("hasty").ended()                           # never a request
a = user()
c = Http("hasty")
c.send(head("GET", "/users", token=a.token))
assert c.answer().status == 200
c.ended()                                       # and not another one
PY
}

@test "a client that vanishes, wherever in its request, leaves no process" {
    py - <<'PY'
from rawhttp import *
import struct
a = user()
eventually(lambda: not children("session"))
login = post("/login", {"username": a.name, "password": password()})
starts = [b"", b"G", head("GET", "/users", token=a.token).encode()[:-2], head("GET", "/users", token=a.token).encode(), login[:-5], login,
          head("POST", "/login", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}).encode() + b"5\r\n{",
          head("POST", "/login", {"Content-Length": 10**6}).encode() + b"x" * 1000]
for reset in (False, True):
    sockets = [raw(start) for start in starts]
    eventually(lambda: children("session"))
    for s in sockets:
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    eventually(lambda: not children("session"))
assert ask("GET", "/users", token=a.token).status == 200
PY
}

@test "a session ends with its connection: nothing of one client is left for the next" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
eventually(lambda: not children("session"))
c = Http()
c.send(head("GET", "/users", token=a.token))
assert c.answer().status == 200
[first] = children(f"session {a.name} 127.0.0.1")
d = Http()
d.send(head("GET", "/users", token=b.token))
assert d.answer().status == 200
[second] = children(f"session {b.name} 127.0.0.1")
assert first != second
c.close()
eventually(lambda: not os.path.exists(f"/proc/{first}"))
assert os.path.exists(f"/proc/{second}")
PY
}

@test "a client that closes its sending side still gets its answer" {
    py - <<'PY'
from rawhttp import *
a = user()
c = Http()
c.send(head("GET", "/users", token=a.token))
c.socket.shutdown(socket.SHUT_WR)
assert c.answer().status == 200
c.ended()
PY
}

@test "a session whose client has reset the connection, or closed it altogether, waits for no answer" {
    py - <<'PY'
from rawhttp import *
import struct
a = user()
def sessions():
    return children(f"session {a.name} ")
eventually(lambda: not sessions())
with locked("sessions", "access exclusive"):
    waiting = [Http().send(head("GET", "/users", token=a.token)) for _ in range(2)]
    eventually(lambda: len(sessions()) == 2)
    waiting[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    waiting[0].socket.close()
    eventually(lambda: len(sessions()) == 1)
    # Who only sends no more may still want the answer.
    waiting[1].socket.shutdown(socket.SHUT_WR)
assert waiting[1].answer().status == 200
waiting[1].ended()
PY
}

@test "large answers reach a client that does not read at once, whole, and meanwhile cost little" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
sql(f"insert into messages (sender_id, receiver_id, content) select {a.id}, {b.id}, repeat(chr(1), 65536) from generate_series(1, 50)")
c = Http()
c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
page = head("GET", f"/messages/{b.id}", token=a.token)
c.send(25 * page)
eventually(lambda: children(f"session {a.name} "))
[session] = children(f"session {a.name} ")
for _ in range(25):
    r = c.answer()
    found = r.json()
    assert len(found) == 2 and all(m["content"] == "\x01" * 65536 for m in found)
    assert int(r.headers["content-length"]) == len(r.body) > 780_000
    assert r.headers["link"].endswith('>; rel="next"')
# At no time did it hold more than a page, and that not twice for long.
with open(f"/proc/{session}/maps") as maps, open(f"/proc/{session}/status") as status:
    [peak] = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    assert "libasan" in maps.read() or peak < 10000, peak
PY
}

@test "a client that takes nothing for write_timeout is closed, and one that takes less than min_rate, not a slow one" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
sql(f"insert into messages (sender_id, receiver_id, content) select {a.id}, {b.id}, repeat(chr(1), 65536) from generate_series(1, 50)")
def start(name="hasty"):
    """Asks for 25 pages at once."""
    s = raw(name=name)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    page = head("GET", f"/messages/{b.id}", token=a.token)
    last = head("GET", f"/messages/{b.id}", {"Connection": "close"}, token=a.token)
    s.sendall((24 * page + last).encode())
    return s
stuck = start()
eventually(lambda: children(f"session {a.name}", "hasty"))
eventually(lambda: not children(f"session {a.name}", "hasty"))
assert len(read_all(stuck)) < 19_000_000
slow = start()
got = b""
for _ in range(50):         # longer than write_timeout in all
    got += slow.recv(32768)
    time.sleep(0.1)
got += read_all(slow)
assert len(got) > 19_000_000, f"cut off after {len(got)} bytes"
slower = start("rated")
got = 0
while part := slower.recv(32768):
    got += len(part)
    time.sleep(0.1)         # a third of min_rate
assert got < 19_000_000, got
PY
}
