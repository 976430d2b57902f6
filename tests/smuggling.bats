#!/usr/bin/env bats
# HTTP requests that two parsers might read in two ways, and other odd ones, as a table: the bytes, the
# statuses of the answers, and whether the connection goes on. Behind each stands one more request,
# with a token and status 200: it must be answered where the connection goes on, and never where it
# does not, whatever the first one made of it. What is accepted is read by h11, too, which must see the
# same requests. What is tolerated here is what chatd-protocol(7) lists under "Strictness".

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off
}

teardown_file() {
    server_teardown_file
}

@test "odd requests: refused and closed, or understood as h11 does" {
    py - <<'PY'
from rawhttp import *

CLOSED, KEPT, ONLY_HERE = "closed", "kept", "kept, and h11 would not"
G = "GET /nothing HTTP/1.1\r\n"
H = "Host: a\r\n"
P = "POST /nothing HTTP/1.1\r\n" + H
TE = P + "Transfer-Encoding: chunked\r\n\r\n"
bad = lambda what, data, status=400: (what, data, [status], CLOSED)
good = lambda what, data, *statuses: (what, data, list(statuses or [404]), KEPT)

rows = [
    # --- Content-Length and Transfer-Encoding (RFC 9112 6) ---
    bad("CL.TE", P + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
    bad("TE.CL", P + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nG\r\n0\r\n\r\n"),
    bad("CL.0 and TE", P + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("CL and an unknown TE", P + "Content-Length: 3\r\nTransfer-Encoding: x\r\n\r\nabc"),
    *(bad(f"TE.TE {te!r}", P + f"{te}\r\n\r\n0\r\n\r\n", status) for te, status in (
        ("Transfer-Encoding : chunked", 400), ("Transfer-Encoding\t: chunked", 400), (" Transfer-Encoding: chunked", 400),
        ("Transfer-Encoding:\r\n chunked", 400), ("Transfer-Encoding:\n chunked", 400), ("Transfer\x00-Encoding: chunked", 400),
        ("Transfer-Encoding: xchunked", 400), ("Transfer-Encoding: chunkedx", 400), ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: identity, chunked", 501), ("Transfer-Encoding: identity", 400), ("Transfer-Encoding: gzip", 400),
        ("Transfer-Encoding: gzip, chunked", 501), ("Transfer-Encoding: chunked, chunked", 400), ("Transfer-Encoding: chunked,", 400),
        ("Transfer-Encoding: ,chunked", 400), ("Transfer-Encoding:", 400), ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: 'chunked'", 400), ("Transfer-Encoding: chunked;q=1", 400), ("Transfer-Encoding: chunked chunked", 400),
        ("Transfer-Encoding: \x0bchunked", 400), ("Transfer-Encoding: chunked\x0c", 400), ("Transfer-Encoding: chunked\x00", 400),
        ("Transfer-Encoding: chunk\u00e9d", 400), ("Transfer-Encoding: \xa0chunked", 400), ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400), ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 501),
        ("Transfer-Encoding: chunked\r\ntransfer-encoding:", 400), ("X: y\rTransfer-Encoding: chunked", 400), ("X: y\nTransfer-Encoding: chunked", 400))),
    bad("TE in HTTP/1.0", "POST /nothing HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    good("TE in any case, between blanks", P + "transfer-ENCODING:\t Chunked \t\r\n\r\n0\r\n\r\n"),
    good("another field's name is no TE", P + "Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    *(bad(f"CL {cl!r}", P + f"Content-Length:{cl}\r\n\r\nabcde") for cl in (
        "5, 5", "5,6", "+5", "-5", "0x5", "5 5", "5;", "5.0", "5e0", "", " ", "\"5\"", "\u0665", "5\x00", "18446744073709551621", "9223372036854775808",
        " 5\r\nContent-Length: 5", " 5\r\nContent-Length: 6", " 0\r\ncontent-length: 5", " 5\r\nContent-Length:", "\r\n 5", "\x0b5", "five")),
    bad("CL before a colon", P + "Content-Length : 5\r\n\r\nabcde"),
    good("CL between blanks", P + "Content-Length: \t5 \r\n\r\nabcde"),
    good("CL with leading zeros", P + "Content-Length: 0005\r\n\r\nabcde"),
    good("a body that looks like a request", P + f"Content-Length: {len(G + H) + 2}\r\n\r\n{G}{H}\r\n"),
    good("GET with a body", G + H + "Content-Length: 5\r\n\r\nabcde"),
    good("no body, whatever the type", P + "Content-Type: application/json\r\n\r\n"),
    bad("a length that no body has", P + "Content-Length: 9223372036854775807\r\n\r\n", 413),

    # --- chunks (RFC 9112 7.1) ---
    *(bad(f"chunk {chunk!r}", TE + chunk) for chunk in (
        "+1\r\nx\r\n0\r\n\r\n", "-1\r\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n", " 1\r\nx\r\n0\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n", "1\t\r\nx\r\n0\r\n\r\n",
        "1g\r\nx\r\n0\r\n\r\n", "\r\n0\r\n\r\n", ";a\r\n0\r\n\r\n", "1,1\r\nx\r\n0\r\n\r\n", "1_0\r\n", "00000000000000001\r\nx\r\n0\r\n\r\n",
        "10000000000000001\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "1\rx\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n", "1\r\nx0\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n",
        "2\r\nx\r\n0\r\n\r\n", "1\x00\r\nx\r\n0\r\n\r\n", "0\n\r\n", "0\r\n\n", "0\r\n\rx", "1;a\nx\r\n0\r\n\r\n", "1;a=\"\nx\"\r\nx\r\n0\r\n\r\n",
        "1;a=\"x\r\nx\r\n0\r\n\r\n", "1;\r\nx\r\n0\r\n\r\n", "1;=\r\nx\r\n0\r\n\r\n", "1;a=\x7f\r\nx\r\n0\r\n\r\n", "1;" + "a" * 300 + "\r\nx\r\n0\r\n\r\n",
        "1;aaaaaaa\r\nx\r\n" * 600 + "0\r\n\r\n", "0\r\nx\r\n\r\n", "0\r\nx : y\r\n\r\n", "0\r\n x: y\r\n\r\n", "0\r\nx: y\r\n z\r\n\r\n", "0\r\nx: y\nz: a\r\n\r\n",
        "0\r\nx: \x01\r\n\r\n", "0\r\nGET /nothing HTTP/1.1\r\n\r\n")),
    bad("a chunk of 2^64 - 1", TE + "ffffffffffffffff\r\n", 413),
    bad("a chunk and one that makes the sum wrap", TE + "1\r\nx\r\nffffffffffffffff\r\n", 413),
    bad("endless trailers", TE + "0\r\n" + "x: y\r\n" * 1000, 431),
    good("chunks, leading zeros, digits in both cases", TE + "1\r\na\r\n0a\r\n0123456789\r\n00A\r\n0123456789\r\n000\r\n\r\n"),
    good("extensions", TE + "1;a\r\nx\r\n1;b=c;d=\"\\\"e;\"\r\ny\r\n0;f\r\n\r\n"),
    ("extensions with blanks", TE + "1 ; b = c ;d=\"e\" \r\ny\r\n0;f\r\n\r\n", [404], ONLY_HERE),
    good("trailers are dropped, whatever they say", TE + "0\r\nContent-Length: 100\r\nHost: b\r\nConnection: close\r\nAuthorization: x\r\n\r\n"),
    ("also Transfer-Encoding", TE + "0\r\nTransfer-Encoding: x\r\n\r\n", [404], ONLY_HERE),
    good("what follows the last chunk is the next request", TE + "0\r\n\r\n" + G + H + "\r\n", 404, 404),

    # --- line ends (RFC 9112 2.2) ---
    bad("bare LF", f"GET /nothing HTTP/1.1\n{H}\r\n"), bad("bare LF after a field", G + "Host: a\n\r\n"), bad("bare LF at the end", G + H + "\n"),
    bad("LF CR", "GET /nothing HTTP/1.1\n\rHost: a\n\r\n\r"), bad("bare CR", "GET /nothing HTTP/1.1\rHost: a\r\n\r\n"), bad("CR CR LF", G + "Host: a\r\r\n\r\n"),
    bad("CR NUL", G + "Host: a\r\x00\n\r\n"), bad("CR in a value", G + H + "X: a\rb\r\n\r\n"), bad("CR before the end", G + H + "\r\r\n"),
    ("an empty line before the request", "\r\n" + G + H + "\r\n", [404], ONLY_HERE),
    bad("two of them", "\r\n\r\n" + G + H + "\r\n"), bad("LF before the request", "\n" + G + H + "\r\n"), bad("CR before the request", "\r" + G + H + "\r\n"),
    bad("blanks on a line before the request", " \r\n" + G + H + "\r\n"),

    # --- the request line (RFC 9112 3) ---
    bad("blank before the method", " " + G + H + "\r\n"), bad("two blanks", f"GET  /nothing HTTP/1.1\r\n{H}\r\n"), bad("tab", f"GET\t/nothing HTTP/1.1\r\n{H}\r\n"),
    bad("tab before the version", f"GET /nothing\tHTTP/1.1\r\n{H}\r\n"), bad("vertical tab", f"GET\x0b/nothing HTTP/1.1\r\n{H}\r\n"),
    bad("blank at the end", f"GET /nothing HTTP/1.1 \r\n{H}\r\n"), bad("blank in the target", f"GET /nothing x HTTP/1.1\r\n{H}\r\n"),
    bad("tab in the target", f"GET /no\tthing HTTP/1.1\r\n{H}\r\n"), bad("control in the target", f"GET /no\x01 HTTP/1.1\r\n{H}\r\n"),
    bad("DEL in the target", f"GET /no\x7f HTTP/1.1\r\n{H}\r\n"), bad("NUL in the target", f"GET /no\x00 HTTP/1.1\r\n{H}\r\n"),
    bad("a letter beyond ASCII in the target", f"GET /n\u00f6 HTTP/1.1\r\n{H}\r\n"), bad("fragment", f"GET /nothing#x HTTP/1.1\r\n{H}\r\n"),
    bad("no token as method", f"G(T /nothing HTTP/1.1\r\n{H}\r\n"), bad("a letter beyond ASCII in the method", f"G\u00cbT /nothing HTTP/1.1\r\n{H}\r\n"),
    ("a method in lower case is another method", f"get /nothing HTTP/1.1\r\n{H}\r\n", [501], KEPT),
    bad("no version: HTTP/0.9", "GET /nothing\r\n\r\n"), bad("no target", "GET HTTP/1.1\r\n" + H + "\r\n"), bad("no slash in front", f"GET nothing HTTP/1.1\r\n{H}\r\n"),
    bad("http in lower case", f"GET /nothing http/1.1\r\n{H}\r\n"), bad("Http", f"GET /nothing Http/1.1\r\n{H}\r\n"), bad("HTTPS", f"GET /nothing HTTPS/1.1\r\n{H}\r\n"),
    *(bad(f"version {v}", f"GET /nothing HTTP/{v}\r\n{H}\r\n", s) for v, s in (("2.0", 505), ("2.1", 505), ("0.9", 505), ("3.0", 505), ("1", 400), ("1.10", 400),
                                                                               ("01.1", 400), ("1.1x", 400), ("-1.1", 400), ("1,1", 400), ("", 400))),
    bad("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    bad("a request line that is too long", "GET /" + "x" * 9000 + f" HTTP/1.1\r\n{H}\r\n", 414), bad("a method that is too long", "M" * 9000 + f" / HTTP/1.1\r\n{H}\r\n", 501),
    bad("a method of 100 kB", "M" * 100000 + f" / HTTP/1.1\r\n{H}\r\n", 501), bad("and one without an end", "M" * 100000, 501),
    ("a later HTTP/1 is HTTP/1.1", f"GET /nothing HTTP/1.2\r\n{H}\r\n", [404], ONLY_HERE),

    # --- forms of the target (RFC 9112 3.2), and paths ---
    good("absolute form: its host counts, not the field's", "GET http://other.example/nothing HTTP/1.1\r\n" + H + "\r\n"),
    good("absolute form of another scheme's port", "GET https://a:444/nothing HTTP/1.1\r\n" + H + "\r\n"),
    bad("absolute form without Host", "GET http://a/nothing HTTP/1.1\r\n\r\n"), bad("userinfo", "GET http://u:p@a/nothing HTTP/1.1\r\n" + H + "\r\n"),
    bad("no host", "GET http:///nothing HTTP/1.1\r\n" + H + "\r\n"), bad("another scheme", "GET gopher://a/nothing HTTP/1.1\r\n" + H + "\r\n"),
    bad("authority form elsewhere", "GET a:80 HTTP/1.1\r\n" + H + "\r\n"), ("authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", [501], ONLY_HERE),
    bad("CONNECT to a path", "CONNECT /nothing HTTP/1.1\r\n" + H + "\r\n"), good("asterisk form", "OPTIONS * HTTP/1.1\r\n" + H + "\r\n", 204),
    bad("asterisk form elsewhere", "GET * HTTP/1.1\r\n" + H + "\r\n"), bad("an asterisk and more", "OPTIONS *x HTTP/1.1\r\n" + H + "\r\n"),
    *(good(f"nothing is decoded or resolved in a path: {path}", f"GET {path} HTTP/1.1\r\n{H}\r\n") for path in (
        "/%75sers", "/users%00", "/users%2F", "/%zz", "/%", "/users/..", "/./users", "//users", "/users//", "/../users", "/users;a=b", "/users\\", "/us%0d%0aers", "/users%3Fx")),

    # --- Host (RFC 9112 3.2) ---
    bad("no Host", G + "\r\n"), bad("two Hosts", G + H + H + "\r\n"), bad("two Hosts that differ", G + H + "hOST: b\r\n\r\n"), bad("a list of hosts", G + "Host: a, b\r\n\r\n"),
    bad("a list without a blank", G + "Host: a,b\r\n\r\n"), bad("userinfo in Host", G + "Host: u@a\r\n\r\n"), bad("path in Host", G + "Host: a/b\r\n\r\n"),
    bad("blank in Host", G + "Host: a b\r\n\r\n"), bad("port that is none", G + "Host: a:b\r\n\r\n"), bad("two ports", G + "Host: a:1:2\r\n\r\n"),
    bad("open bracket", G + "Host: [::1\r\n\r\n"), bad("folded Host", G + "Host:\r\n a\r\n\r\n"), bad("blank before its colon", G + "Host : a\r\n\r\n"),
    bad("Host after a blank first line", G + " Host: a\r\n\r\n"), good("an IPv6 host", G + "Host: [::1]:8080\r\n\r\n"), good("an empty Host", G + "Host:\r\n\r\n"),

    # --- fields (RFC 9112 5) ---
    bad("obs-fold", G + H + "X: a\r\n b\r\n\r\n"), bad("obs-fold by tab", G + H + "X: a\r\n\tb\r\n\r\n"), bad("obs-fold of the first field", G + " " + H + "\r\n"),
    bad("a line of blanks", G + H + " \r\n\r\n"), bad("blank before the colon", G + H + "X : a\r\n\r\n"), bad("tab before the colon", G + H + "X\t: a\r\n\r\n"),
    bad("no name", G + H + ": a\r\n\r\n"), bad("no colon", G + H + "X\r\n\r\n"), bad("blank in a name", G + H + "X Y: a\r\n\r\n"), bad("quote in a name", G + H + "X\": a\r\n\r\n"),
    bad("a letter beyond ASCII in a name", G + H + "X\u00e9: a\r\n\r\n"), bad("control in a name", G + H + "X\x01: a\r\n\r\n"), bad("DEL in a name", G + H + "X\x7f: a\r\n\r\n"),
    bad("NUL in a value", G + H + "X: a\x00b\r\n\r\n"), bad("control in a value", G + H + "X: a\x08b\r\n\r\n"), bad("escape in a value", G + H + "X: \x1b[2J\r\n\r\n"),
    bad("DEL in a value", G + H + "X: a\x7f\r\n\r\n"), good("tab in a value", G + H + "X: a\tb\r\n\r\n"), good("bytes beyond ASCII in a value", G + H + "X: \u00e9\r\n\r\n"),
    good("an empty value", G + H + "X:\r\nY: \r\n\r\n"), good("no blank after the colon", G + "Host:a\r\nX:y\r\n\r\n"),
    bad("a name that is too long", G + H + "X" * 9000 + ": y\r\n\r\n", 431), bad("a value that is too long", G + H + "X: " + "y" * 9000 + "\r\n\r\n", 431),
    bad("too many fields", G + H + "X: y\r\n" * 100 + "\r\n", 431), good("just as many as may be", G + H + "X: y\r\n" * 99 + "\r\n"),
    bad("too much in all", G + H + ("X: " + "y" * 900 + "\r\n") * 10 + "\r\n", 431),

    # --- what may stand once (RFC 9110 5.3) ---
    *(bad(f"two fields {name}", G + H + f"{name}: {value}\r\nX: y\r\n{name.upper()}: {value}\r\n\r\n") for name, value in (
        ("Content-Type", "application/json"), ("Authorization", "Bearer x"), ("Origin", "http://a"), ("Last-Event-ID", "1"), ("Idempotency-Key", "k"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="), ("Sec-WebSocket-Version", "13"))),

    # --- lists: empty elements count for nothing (RFC 9110 5.6.1) ---
    ("Connection: close among nothing", G + H + "Connection:\r\nConnection: , ,close,\r\n\r\n", [404], CLOSED),
    good("an empty Connection", G + H + "Connection:\r\n\r\n"), ("an empty Expect", G + H + "Expect: ,\r\n\r\n", [404], KEPT),

    # --- Connection, Upgrade, Expect, pipelines ---
    ("Connection: close in a list", G + H + "Connection: keep-alive , CLOSE\r\n\r\n", [404], CLOSED), good("Connection: keep-alive", G + H + "Connection: keep-alive, x\r\n\r\n"),
    ("close wins in any order, in any field", G + H + "Connection: close\r\nConnection: keep-alive\r\n\r\n", [404], CLOSED),
    ("HTTP/1.0 closes", "GET /nothing HTTP/1.0\r\n\r\n", [404], CLOSED),
    ("unless it asks", "GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [404], ONLY_HERE),
    good("an upgrade to something else is no upgrade", G + H + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
    good("an upgrade elsewhere with a body", P + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nabcde"),
    bad("another expectation", P + "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n", 417), bad("and beside the known one", P + "Expect: 100-continue, x\r\n\r\n", 417),
    good("an expectation without a body is not answered", G + H + "Expect: 100-continue\r\n\r\n"),
    good("a body that came with its expectation needs no 100", P + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde"),
    bad("too large a body is not asked for", P + "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n", 413),
    good("a pipeline", G + H + "\r\n" + P + "Content-Length: 3\r\n\r\nabc" + TE + "1\r\nx\r\n0\r\n\r\n" + G + H + "\r\n", 404, 404, 404, 404),
    ("a pipeline ends at its first fault", G + H + "\r\n" + P + "Content-Length: +3\r\n\r\nabc" + G + H + "\r\n", [404, 400], CLOSED),
    ("and at a close", G + H + "\r\n" + G + H + "Connection: close\r\n\r\n" + G + H + "\r\n", [404, 404], CLOSED),
]

a = user()
second = head("GET", "/users", token=a.token).encode()

def requests_of_h11(data):
    """How many requests h11 sees, up to the bytes' end."""
    c = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    c.receive_data(data)
    count = 0
    while True:
        event = c.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED and not c.trailing_data[0]:
            return count
        if isinstance(event, h11.Request):
            count += 1
        if isinstance(event, h11.EndOfMessage):
            c.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            c.send(h11.EndOfMessage())
            if c.our_state is not h11.DONE:
                return count
            c.start_next_cycle()

wrong = []
for what, data, statuses, end in rows:
    data = data.encode("utf-8" if "\u0665" in data else "latin-1")
    c = Http()
    try:
        c.send(data + second)
        got = []
        for status in statuses:
            answer = c.answer("CONNECT" if data[:7] == b"CONNECT" else "GET")
            got.append(answer.status)
            assert answer.interim == [], "an interim response"
        assert got == statuses, got
        if end == CLOSED:
            assert answer.headers.get("connection") == "close", answer.headers
            c.ended()
        else:
            assert "connection" not in answer.headers or answer.headers["connection"] == "keep-alive"
            assert c.answer().status == 200, "the next request"
            if end == KEPT:
                assert requests_of_h11(data + second) == len(statuses) + 1, "h11 sees other requests"
    except (AssertionError, h11.ProtocolError, OSError) as e:
        wrong.append(f"{what[:70]}: {type(e).__name__} {e}")
    c.close()
assert not wrong, "\n".join(wrong)
assert len(rows) > 200, len(rows)
PY
}

@test "100 Continue is sent once, when the body has not come and is wanted" {
    py - <<'PY'
from rawhttp import *
for fields, first, rest in ((["Content-Length: 5"], "", "abcde"), (["Transfer-Encoding: chunked"], "", "1\r\nx\r\n0\r\n\r\n")):
    c = Http()
    c.send(head("POST", "/nothing", ["Expect: 100-continue", *fields]) + first)
    assert c.interim() == 100
    c.send(rest, head("GET", "/nothing"))
    for method in ("POST", "GET"):
        r = c.answer(method)
        assert r.status == 404 and r.interim == []
    c.close()
PY
}

@test "what follows a refused handshake is the next request, behind its body if it has one" {
    py - <<'PY'
from rawhttp import *
a = user()
key = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyEhIQ=="]
c = Http()
c.send(head("GET", "/ws", key, token=a.token), head("GET", "/users", token=a.token))
assert c.answer().error(426).status == 426
assert c.answer().status == 200
c.close()
for framing, body in (("Content-Length: 5", "abcde"), ("Transfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n")):
    c = Http()
    c.send(head("GET", "/ws", [*key[:2], "Sec-WebSocket-Version: 13", key[3], framing], token=a.token), body, head("GET", "/users", token=a.token))
    c.answer().error(400, "body")
    assert c.answer().status == 200
    c.close()
PY
}
