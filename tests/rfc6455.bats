#!/usr/bin/env bats
# Every MUST and MUST NOT of RFC 6455 that binds a server, as rows that begin with their section. All
# are asked of tests/ws_echo; those without an echo in what is expected of chatd as well. What only
# chatd has (tokens, origins, subprotocols, JSON) is in websocket.bats.
#
# Not here, for no peer can see whether it is done: 10.3 (clients choose masks), 10.4 (limits: see
# max_message in websocket.bats), and what binds clients only.

load lib/server
load lib/echo

setup_file() {
    server_setup_file
    server_start main -o presence=off
    echo_start
}

teardown_file() {
    echo_stop
    server_teardown_file
}

@test "section 4.2: the opening handshake" {
    py - <<'PY'
from frames import *
token = user().token
same = {}
long_list = ", ".join(f"p{i}" for i in range(50))
rows = [
    # 4.2.1 reading the client's handshake
    ("4.2.1", "a handshake as it should be", {}, 101),
    ("4.2.1 1", "the method is GET", "POST /ws HTTP/1.1", 405),
    ("4.2.1 1", "HTTP is 1.1 or higher", "GET /ws HTTP/1.0", 426),
    ("4.2.1 2", "Host is there", {"Host": None}, 400),
    ("4.2.1 2", "Host is there once", {"Host": "a\r\nHost: a"}, 400),
    ("4.2.1 3", "Upgrade is there", {"Upgrade": None}, 426),
    ("4.2.1 3", "Upgrade names websocket", {"Upgrade": "web-socket"}, 426),
    ("4.2.1 3", "Upgrade in any case", {"Upgrade": "WEBsocket"}, 101),
    ("4.2.1 3", "Upgrade is a list", {"Upgrade": "h2c, websocket"}, 101),
    ("4.2.1 4", "Connection is there", {"Connection": None}, 426),
    ("4.2.1 4", "Connection has the token Upgrade", {"Connection": "keep-alive"}, 426),
    ("4.2.1 4", "a token is whole", {"Connection": "Upgraded"}, 426),
    ("4.2.1 4", "Connection in any case, in a list", {"Connection": "keep-alive ,uPGRADE"}, 101),
    ("4.2.1 4", "Connection in two fields", {"Connection": "keep-alive\r\nConnection: Upgrade"}, 101),
    ("4.2.1 5", "the key is there", {"Sec-WebSocket-Key": None}, 400),
    ("4.2.1 5", "the key is not empty", {"Sec-WebSocket-Key": ""}, 400),
    ("4.2.1 5", "the key has 16 bytes, not 15", {"Sec-WebSocket-Key": base64.b64encode(b"x" * 15).decode()}, 400),
    ("4.2.1 5", "the key has 16 bytes, not 17", {"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()}, 400),
    ("4.2.1 5", "the key is base64", {"Sec-WebSocket-Key": KEY.replace("c", "_", 1)}, 400),
    ("4.2.1 5", "the key is padded", {"Sec-WebSocket-Key": KEY.rstrip("=")}, 400),
    ("11.3.1", "the key is there once", {"Sec-WebSocket-Key": f"{KEY}\r\nSec-WebSocket-Key: {KEY}"}, 400),
    ("4.2.1 6", "the version is there", {"Sec-WebSocket-Version": None}, 426),
    ("4.4", "the version is 13", {"Sec-WebSocket-Version": "12"}, 426),
    ("4.4", "the version is no list", {"Sec-WebSocket-Version": "13, 8"}, 426),
    ("11.3.5", "the version is there once", {"Sec-WebSocket-Version": "13\r\nSec-WebSocket-Version: 13"}, 400),
    ("4.2.1 8", "other subprotocols are none of ours", {"Sec-WebSocket-Protocol": long_list}, 101),
    ("4.2.1 9", "other extensions are none of ours", {"Sec-WebSocket-Extensions": "x-foo; a=1; b, bar"}, 101),
    ("9.1", "extensions that are malformed fail", {"Sec-WebSocket-Extensions": "permessage-deflate;"}, 400),
    ("RFC 9110 5.6.1", "an empty list of them is none", {"Sec-WebSocket-Extensions": " , "}, 101),
    ("RFC 9110 5.6.1", "so is one without a byte", {"Sec-WebSocket-Extensions": ""}, 101),
    ("RFC 9110 5.6.1", "and an empty list of subprotocols", {"Sec-WebSocket-Protocol": ",\t,"}, 101),
    ("RFC 9110 5.6.1", "empty elements count for nothing", {"Connection": ", ,Upgrade,", "Upgrade": ",websocket ,,"}, 101),
    ("RFC 9110 5.6.1", "an empty Upgrade is none", {"Upgrade": ""}, 426),
    ("4.1", "other fields are ignored", {"X-Forwarded-For": "1.2.3.4", "Cookie": "a=b"}, 101),
    ("RFC 9112 6", "no body stands between handshake and frames", {"Content-Length": "3"}, 400),
    ("RFC 9112 6", "nor one in chunks", {"Transfer-Encoding": "chunked"}, 400),
    ("RFC 9110 7.8", "a client that closes does not upgrade", {"Connection": "Upgrade, close"}, 426),
]
for name in ("main", "echo"):
    for section, what, change, status in rows:
        line = change if isinstance(change, str) else "GET /ws HTTP/1.1"
        fields = {} if isinstance(change, str) else change
        body = b"0\r\n\r\n" if "Transfer-Encoding" in fields else b"abc" if "Content-Length" in fields else b""
        s = raw(handshake(token, fields, line) + body, name)
        head = b""
        while b"\r\n\r\n" not in head:
            part = s.recv(65536)
            assert part, (name, section, what, head)
            head += part
        got = head.decode().split("\r\n\r\n")[0].split("\r\n")
        fields_back = {k.lower(): v for k, v in (f.split(": ", 1) for f in got[1:])}
        assert int(got[0].split()[1]) == status, (name, section, what, got)
        if status == 101:           # 4.2.2 5: what the answer has, and what it must not have
            assert got[0] == "HTTP/1.1 101 Switching Protocols", got
            assert fields_back["upgrade"] == "websocket" and fields_back["connection"] == "Upgrade"
            assert fields_back["sec-websocket-accept"] == accept_of(KEY)
            assert not {"sec-websocket-protocol", "sec-websocket-extensions"} & set(fields_back), (what, got)
        if status == 426:           # 4.2.2 4, 4.4
            assert fields_back["sec-websocket-version"] == "13" and fields_back["upgrade"] == "websocket"
        if status == 405:
            assert "GET" in fields_back["allow"]
        s.close()
PY
}

@test "sections 5 to 8: frames, messages, closing" {
    py - <<'PY'
from frames import *
token = user().token
T, B, C, P = TEXT, BINARY, CONTINUATION, PING
big = b"0123456789abcdef" * 8192          # 128 KiB
rows = [
    # 5.1 masking
    ("5.1", "a client's frame that is not masked closes", frame(T, b"x", masked=False), [1002]),
    ("5.1", "also if it is a control frame", frame(P, b"x", masked=False), [1002]),
    ("5.1", "also if it is a continuation", frame(T, b"x", fin=False) + frame(C, b"y", masked=False), [1002]),
    ("5.3", "any mask is undone", frame(T, b"mask", mask=b"\0\0\0\0") + frame(T, b"mask", mask=b"\xff\1\x80\0"),
     [(T, b"mask"), (T, b"mask")]),
    # 5.2 base framing
    *(("5.2", f"RSV {rsv} without an extension fails", frame(T, b"x", rsv=rsv), [1002]) for rsv in range(1, 8)),
    ("5.2", "RSV on a control frame fails", frame(P, b"x", rsv=4), [1002]),
    ("5.2", "RSV on a continuation fails", frame(T, b"x", fin=False) + frame(C, b"x", rsv=4), [1002]),
    *(("5.2", f"the reserved opcode {op} fails", frame(op, b"x"), [1002]) for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("5.2", "a length below 126 in two bytes fails", frame(T, b"x" * 125, wide=2), [1002]),
    ("5.2", "a length below 126 in eight bytes fails", frame(T, b"x" * 125, wide=8), [1002]),
    ("5.2", "a length below 65536 in eight bytes fails", frame(T, b"x" * 65535, wide=8), [1002]),
    ("5.2", "a length with its top bit set fails", frame(T, declare=1 << 63), [1002]),
    *(("5.2", f"a message of {n} bytes", frame(B, big[:n]), [(B, big[:n])]) for n in (0, 1, 125, 126, 127, 128, 65535, 65536, 131072)),
    # 5.4 fragmentation
    ("5.4", "two fragments", frame(T, b"He", fin=False) + frame(C, b"llo"), [(T, b"Hello")]),
    ("5.4", "fragments may be empty", frame(T, fin=False) + frame(C, fin=False) + frame(C), [(T, b"")]),
    ("5.4", "the first opcode is the message's", frame(B, b"\xff", fin=False) + frame(C, b"\xfe"), [(B, b"\xff\xfe")]),
    ("5.4", "control frames come between and are answered first", frame(T, b"a", fin=False) + frame(P, b"p") + frame(C, b"b"),
     [(PONG, b"p"), (T, b"ab")]),
    ("5.4", "a control frame is not fragmented: ping", frame(P, b"x", fin=False), [1002]),
    ("5.4", "a control frame is not fragmented: pong", frame(PONG, b"x", fin=False), [1002]),
    ("5.4", "a control frame is not fragmented: close", frame(CLOSE, fin=False), [1002]),
    ("5.4", "messages are not interleaved", frame(T, b"a", fin=False) + frame(T, b"b"), [1002]),
    ("5.4", "not with another type either", frame(T, b"a", fin=False) + frame(B, b"b", fin=False), [1002]),
    ("5.4", "nothing to continue", frame(C, b"x"), [1002]),
    ("5.4", "nothing to continue, and more to come", frame(C, b"x", fin=False), [1002]),
    ("5.4", "nothing left to continue", frame(T, b"a", fin=False) + frame(C, b"b") + frame(C, b"c"), [(T, b"ab"), 1002]),
    # 5.5 control frames
    *(("5.5", f"opcode {op} has at most 125 bytes", frame(op, b"\x03\xe8" + b"x" * 124), [1002]) for op in (CLOSE, P, PONG)),
    ("5.5.1", "a close is answered by its code", close_frame(1000, b"bye"), [1000]),
    ("5.5.1", "a close without a code is answered by one without", close_frame(), [None]),
    ("5.5.1", "a code has two bytes", frame(CLOSE, b"\x03"), [1002]),
    ("5.5.1", "a reason is UTF-8", close_frame(1000, b"\xce\xba\xff"), [1007]),
    ("5.5.1", "a reason may have 123 bytes", close_frame(1000, b"r" * 123), [1000]),
    ("5.5.1", "nothing is answered after a close", close_frame(1001) + frame(T, b"x") + frame(P, b"x") + close_frame(1002), [1001]),
    ("5.5.1", "a close may come inside a message", frame(T, b"a", fin=False) + close_frame(1000) + frame(C, b"b"), [1000]),
    ("5.5.2", "a ping is answered", frame(P), [(PONG, b"")]),
    ("5.5.3", "by the same bytes", frame(P, bytes(range(125))), [(PONG, bytes(range(125)))]),
    ("5.5.3", "each of them, in order", frame(P, b"1") + frame(P, b"2"), [(PONG, b"1"), (PONG, b"2")]),
    ("5.5.3", "a pong that nobody asked for is not answered", frame(PONG, b"x") + frame(P, b"y"), [(PONG, b"y")]),
    # 5.6, 8.1 text
    ("5.6", "text is UTF-8, whole code points over fragments", frame(T, b"\xe2", fin=False) + frame(C, b"\x82\xac"), [(T, b"\xe2\x82\xac")]),
    ("5.6", "binary is anything", frame(B, b"\xff\xfe\0"), [(B, b"\xff\xfe\0")]),
    *(("8.1", f"no UTF-8: {bad!r}", frame(T, b"ok" + bad), [1007]) for bad in
      (b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
       b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98")),
    *(("8.1", f"UTF-8: {good!r}", frame(T, good), [(T, good)]) for good in
      (b"\0", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80",
       b"\xf4\x8f\xbf\xbf")),
    ("8.1", "bad text fails before its frame ends", frame(T, b"\xed\xa0", declare=100), [1007]),
    ("8.1", "and before its message ends", frame(T, b"\xf4", fin=False) + frame(C, b"\x90", declare=9), [1007]),
    # 7.4 status codes
    *(("7.4", f"{code} may be sent", close_frame(code), [code]) for code in
      (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)),
    *(("7.4", f"{code} may not", close_frame(code), [1002]) for code in
      (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535)),
    # 7.1.7 after a failure
    ("7.1.7", "nothing after a fault is looked at", frame(7, b"x") + frame(P, b"x") + frame(T, b"x"), [1002]),
    ("7.1.7", "what came before it is", frame(P, b"1") + frame(T, b"\xff"), [(PONG, b"1"), 1007]),
    ("10.4", "a length beyond all sizes fails at once", frame(B, declare=(1 << 63) - 1), [1009]),
]

def check(name, section, what, data, want, pieces):
    w = Raw(token, name)
    w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for piece in pieces(data):
            w.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        assert not isinstance(want[-1], tuple), (name, section, what)
    for item in want:
        if isinstance(item, tuple):
            assert w.frame() == item, (name, section, what)
        else:                       # 7.1.1: the server closes first, and sends nothing after
            got = w.closes()
            assert got == item, (name, section, what, got)
            assert got not in (1005, 1006, 1015)
    w.socket.close()

whole = lambda data: [data]
bytewise = lambda data: [data[i:i + 1] for i in range(len(data))]
for section, what, data, want in rows:
    echoes = any(isinstance(x, tuple) and x[0] in (T, B) for x in want)
    check("echo", section, what, data, want, whole)
    if len(data) < 300:
        check("echo", section, what, data, want, bytewise)
    if not echoes:
        check("main", section, what, data, want, whole)
PY
}
