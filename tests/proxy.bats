#!/usr/bin/env bats
# Behind a proxy: who the client is says the PROXY protocol, or X-Forwarded-For, from trusted
# addresses only; and what is counted by address is counted for that client.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o trusted_proxies=127.0.0.1 -o proxy_protocol=on -o presence=off
    server_start fields -o 'trusted_proxies=127.0.0.1, 10.0.0.0/8' -o forwarded_for=on -o presence=off
    server_start direct -o presence=off
}

teardown_file() {
    server_teardown_file
}

@test "PROXY: versions 1 and 2, IPv4 and IPv6, extensions; the title has the client's address" {
    py - <<'PY'
from proxied import *
u = member()
for header, address in ((v1("192.0.2.1"), "192.0.2.1"), (v1("2001:db8::1"), "2001:db8::1"), (v2("192.0.2.2"), "192.0.2.2"),
                        (v2("2001:db8::2"), "2001:db8::2"), (v2("192.0.2.3", b"\x04\0\x05hello" + bytes(1000)), "192.0.2.3"),
                        (v1("::ffff:192.0.2.4"), "192.0.2.4")):
    c = Http().send(header, handshake(u.token))           # in one packet: nothing of the request is lost
    assert c.socket.recv(12) == b"HTTP/1.1 101"
    eventually(lambda: children(f"session {u.name} {address}"))
    c.close()
    eventually(lambda: not children(f"session {u.name} "))
PY
}

@test "PROXY: a proxy that speaks for itself, or does not know, is served under its own address" {
    py - <<'PY'
from proxied import *
u = member()
for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", v2(None), v2("192.0.2.1", command=0), v2(None, command=0)):
    c = Http().send(header, handshake(u.token))
    assert c.socket.recv(12) == b"HTTP/1.1 101"
    eventually(lambda: children(f"session {u.name} 127.0.0.1"))
    c.close()
    eventually(lambda: not children(f"session {u.name} "))
PY
}

@test "PROXY: a header that comes byte by byte is read, and requests follow as ever" {
    py - <<'PY'
from proxied import *
for header in (v1("192.0.2.1"), v2("2001:db8::1", b"\x03\0\x04abcd")):
    c = Http()
    for i in range(len(header)):
        c.send(header[i:i + 1])
    c.send(head("GET", "/nothing"), head("GET", "/nothing"))
    c.answer().error(404)
    c.answer().error(404)
    c.close()
PY
}

@test "PROXY: a trusted proxy that sends none, or a malformed one, is closed without an answer; others are served" {
    py - <<'PY'
from proxied import *
bad = [head("GET", "/users").encode(), b"PROXY TCP4 192.0.2.1\r\n" + bytes(50), b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n" + bytes(50),
       b"PROXY UNKNOWN " + b"x" * 200, v2("192.0.2.1", command=2), SIGNATURE + b"\x21\x11\0\x04abcd", SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
       SIGNATURE + b"\x11\x11\0\x0c" + bytes(12)]
for data in bad:
    assert read_all(raw(data)) == b"", data
eventually(lambda: log().count("did not begin with a PROXY header") == len(bad))
assert member().token
PY
}

@test "PROXY: a header that does not arrive within header_timeout ends the connection, however it trickles" {
    py - <<'PY'
from server import *
from proxied import v1
with Server("-o", "trusted_proxies=127.0.0.1", "-o", "proxy_protocol=on", "-o", "header_timeout=300ms") as s:
    for first in (b"", b"PROXY TCP4 192"):
        assert read_all(raw(first, s.name)) == b""
    c = raw(b"PROXY UNKNOWN ", s.name)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for byte in b"x" * 90:
            c.sendall(bytes([byte]))
            if select.select([c], [], [], 0.1)[0]:
                break
        else:
            raise AssertionError("9 s for a header that may take 0.3 s")
        assert c.recv(1) == b""
    eventually(lambda: not s.children("session"))
PY
}

@test "PROXY: from a peer that is not trusted it is no header, but a bad request" {
    py - <<'PY'
from proxied import *
for header in (v1("192.0.2.1"), v2("192.0.2.1")):
    sent(header + head("GET", "/users").encode(), name="direct").error(400)
    sent(header + head("GET", "/users").encode(), name="fields").error(400)
PY
}

@test "PROXY: over a Unix socket, if unix is trusted; a TCP peer next to it needs none" {
    py - <<'PY'
from server import *
from proxied import v1, head
path = f"{T}/{some_name('u')}"
with Server("-o", f"listen=127.0.0.1, unix:{path}", "-o", "trusted_proxies=unix", "-o", "proxy_protocol=on") as s:
    def over_unix(data):
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(WAIT)
        c.connect(path)
        c.sendall(data)
        return c
    c = over_unix(v1("192.0.2.77") + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert c.recv(12) == b"HTTP/1.1 404"
    assert s.children("session - 192.0.2.77")
    assert read_all(over_unix(b"GET /nothing HTTP/1.0\r\n\r\n")) == b""
    assert read_all(raw(b"GET /nothing HTTP/1.0\r\n\r\n", s.name)).startswith(b"HTTP/1.1 404")
PY
}

@test "X-Forwarded-For: the last address that is not a proxy's is the client's, and it may change with each request" {
    py - <<'PY'
from proxied import *
a, b = user(instance="fields"), user(instance="fields")
c = Http("fields")
def seen(who, field, address):
    c.send(head("GET", "/users", {"X-Forwarded-For": field} if field else {}, who.token))
    assert c.answer().status == 200
    assert children(f"session {who.name} {address}", "fields"), (field, address)
seen(a, "192.0.2.1", "192.0.2.1")
seen(a, "192.0.2.1", "192.0.2.1")
seen(b, "192.0.2.2", "192.0.2.2")
seen(a, "198.51.100.66, 192.0.2.3", "192.0.2.3")          # what the client itself claims does not count
seen(a, "192.0.2.4, 10.1.2.3,10.9.9.9", "192.0.2.4")
seen(a, "2001:db8::4", "2001:db8::4")
seen(a, None, "127.0.0.1")                                # the proxy itself
seen(a, "nonsense", "127.0.0.1")
seen(b, "192.0.2.1", "192.0.2.1")
c.close()
assert not children(f"session {a.name} 198.51.100.66", "fields") and "198.51.100.66" not in log("fields")
w = connect(a.token, "fields", headers={"X-Forwarded-For": "192.0.2.9"})
assert children(f"session {a.name} 192.0.2.9", "fields")
w.ping()
w.close()
PY
}

@test "X-Forwarded-For: limits by address are those of the request's client" {
    py - <<'PY'
from server import *
from rawhttp import *
with Server("-o", "trusted_proxies=127.0.0.1", "-o", "forwarded_for=on", "-o", "login_failures=2", "-o", "login_delay=0") as s:
    c = Http(s.name)
    def status(address):
        c.send(post("/login", {"username": "nobody", "password": "wrong-words"}, {"X-Forwarded-For": address}))
        return c.answer("POST").status
    assert [status("192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert [status("192.0.2.2") for _ in range(3)] == [401, 401, 429]
    assert status("192.0.2.1") == 429 and status("192.0.2.3") == 401
    c.close()
PY
}

@test "X-Forwarded-For: the 401s in a row that end a connection are those of one client of the proxy" {
    py - <<'PY'
from proxied import *
c = Http("fields")
def refused(address):
    c.send(head("GET", "/users", {"X-Forwarded-For": address}, "x.y.z"))
    return c.answer().error(401).headers.get("connection")
for n in range(4):
    assert [refused(f"192.0.2.{n}") for _ in range(9)] == [None] * 9
assert [refused("192.0.2.9") for _ in range(10)] == [None] * 9 + ["close"]
c.ended()
PY
}

@test "X-Forwarded-For: from a peer that is not trusted, or where it is off, it is ignored" {
    py - <<'PY'
from server import *
from rawhttp import *
for options in ([], ["trusted_proxies=10.0.0.0/8", "forwarded_for=on"], ["trusted_proxies=127.0.0.1"]):
    with Server(*[x for o in options for x in ("-o", o)]) as s:
        u = user(instance=s.name)
        for value in ("192.0.2.1", "nonsense", "unix", ","):
            c = Http(s.name)
            c.send(head("GET", "/users", {"X-Forwarded-For": value}, u.token))
            assert c.answer().status == 200
            assert s.children(f"session {u.name} 127.0.0.1"), value
            c.close()
PY
}

@test "max_connections_per_address: each client of a proxy has a number of its own, an IPv6 /64 is one; max_clients_per_address spares the proxy" {
    py - <<'PY'
from server import *
from proxied import *
with Server("-o", "trusted_proxies=127.0.0.1", "-o", "proxy_protocol=on", "-o", "max_clients_per_address=2",
            "-o", "max_connections_per_address=2") as s:
    n = s.name
    u, kept = member(name=n), []
    for same, other in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")):
        twin = same if "." in same else "2001:db8::ffff:2"
        two = [online(u, same, n), online(u, twin, n)]
        for path in ("/ws", "/events"):
            status, fields = online(u, twin, n, path)
            assert status == 429 and int(fields["retry-after"]) > 0, (path, status, fields)
        kept += two + [online(u, other, n) for _ in range(2)]
        assert all(isinstance(w, socket.socket) for w in kept), kept
        # Who only asks is served, and who leaves makes room.
        assert one(same, head("GET", "/users", token=u.token), "GET", n).status == 200
        two.pop().close()
        eventually(lambda: isinstance(online(u, same, n), socket.socket))
    # Whoever is on this machine has no limit.
    kept += [online(u, local, n) for local in ("127.0.0.2", "::1") for _ in range(3)]
    assert all(isinstance(w, socket.socket) for w in kept), kept
    # The master does not count them all as one.
    assert len(s.children("session")) >= 6
PY
}

@test "trusted_proxies: a reload puts a list to use; what is no list is refused with the reason" {
    py - <<'PY'
from server import *
from proxied import v1
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
def through(name):
    return read_all(raw(v1("192.0.2.1") + b"GET /nothing HTTP/1.0\r\n\r\n", name))[:12]
write("\n")
with Server("-f", conf) as s:
    assert through(s.name) == b"HTTP/1.1 400"
    write("trusted_proxies = 127.0.0.0/8\nproxy_protocol = on\n")
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    eventually(lambda: through(s.name) == b"HTTP/1.1 404")
for text, reason in (("trusted_proxies=10.0.0.1/8", '"10.0.0.1/8" is no address'), ("trusted_proxies=::1, localhost", '"localhost" is no address'),
                     ("proxy_protocol=on", "proxy_protocol is on, but trusted_proxies names nobody"),
                     ("forwarded_for=on", "forwarded_for is on, but trusted_proxies names nobody"),
                     ("login_delay=20s", "login_delay must be shorter than request_timeout")):
    output = refused("-t", *SECRETS, "-o", text)
    assert "trusted_proxies" in output or "login_delay" in output
    assert reason in output, output
PY
}
