#!/usr/bin/env bats
# tests/ws_echo, with clients that chatd did not write: what conformance suites do with it. The rules
# of RFC 6455 one by one are in rfc6455.bats.

bats_require_minimum_version 1.5.0
load lib/server
load lib/echo

setup_file() {
    echo_start
}

teardown_file() {
    echo_stop
}

@test "text and binary come back as they are, from nothing up to 16 MiB; a byte more is 1009" {
    py - <<'PY'
from chance import dice
from chat import *
for compression in (None, "deflate"):
    c = connect(name="echo", path="/any/path?at=all", compression=compression)
    assert c.socket.subprotocol is None
    assert bool(wsclient.extensions(c.socket)) == bool(compression)
    most = 16 << 20
    def send(message):          # a loaded machine may need a while for so many bytes
        try:
            run(c.socket.send(message), 120)
        except wsclient.ConnectionClosed:
            pass
    for message in ("", b"", "x", "\u20ac" * 1000, dice.randbytes(100000), "abcdefgh" * (most // 8), dice.randbytes(most // 64) * 64):
        send(message)
        assert run(c.socket.recv(), 120) == message, len(message)
    c.ping()
    send(b"x" * (most + 1))
    assert c.closed(120) == 1009
PY
}

@test "a message of 4 MiB in fragments of 64 bytes, with pings between them" {
    py - <<'PY'
from frames import *
w = Raw("", "echo")
data = dice.randbytes(64) * 65536
parts = [data[i:i + 64] for i in range(0, len(data), 64)]
mask = b"\0\0\0\0"
out = [frame(BINARY, parts[0], fin=False, mask=mask)]
for i, part in enumerate(parts[1:], 1):
    if i % 16384 == 0:
        out.append(frame(PING, b"%d" % i))
    out.append(frame(CONTINUATION, part, fin=i == len(parts) - 1, mask=mask))
sender = threading.Thread(target=w.send, args=(b"".join(out),))
sender.start()
for i in (16384, 32768, 49152):
    assert w.frame(120) == (PONG, b"%d" % i)
assert w.frame(120) == (BINARY, data)
sender.join()
PY
}

@test "a ping between fragments, and one in pieces, are answered before the message is complete" {
    py - <<'PY'
from frames import *
w = Raw("", "echo")
w.send(frame(TEXT, b"a", fin=False) + frame(PING, b"now"))
assert w.frame() == (PONG, b"now")
ping = frame(PING, b"in pieces")
for i in range(len(ping)):
    w.send(ping[i:i + 1])
assert w.frame() == (PONG, b"in pieces")
w.send(frame(CONTINUATION, b"b"))
assert w.frame() == (TEXT, b"ab")
PY
}

@test "bad UTF-8 ends the connection while the frame that holds it is under way" {
    py - <<'PY'
from frames import *
good = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
for start in (frame(TEXT, good + b"\xf4\x90", declare=1000), frame(TEXT, good, fin=False) + frame(CONTINUATION, b"\xf4\x90", declare=1000)):
    w = Raw("", "echo")
    w.send(start)
    w.fails(1007)
PY
}

@test "one client in trouble, or idle, keeps nobody from being served" {
    py - <<'PY'
from frames import *
idle = [Raw("", "echo") for _ in range(20)]
half = raw(b"GET / HTTP/1.1\r\n", "echo")
Raw("", "echo").send(frame(7))
c = connect(name="echo")
c.send("served")
assert run(c.socket.recv()) == "served"
for w in idle:
    w.send(text("still here"))
    assert w.frame() == (TEXT, b"still here")
half.close()
PY
}

@test "SIGTERM and SIGINT end it, and its clients" {
    py - <<'PY'
from frames import *
import signal
for sig in (signal.SIGTERM, signal.SIGINT):
    p = subprocess.Popen([f"{os.environ['BUILD']}/ws_echo", "0"], stdout=subprocess.PIPE, text=True)
    url = p.stdout.readline().strip()
    with open(f"{T}/other.address", "w") as f:
        f.write(url[len("ws://"):].rstrip("/"))
    w = Raw("", "other")
    p.send_signal(sig)
    assert p.wait(WAIT) == 0
    assert read_all(w.socket) == b""
PY
}

@test "make tests/ws_echo builds it where its first line says" {
    run make -s -n -C "$ROOT" tests/ws_echo
    echo "$output"
    [[ $status == 0 ]]
    grep -qx /tests/ws_echo "$ROOT/.gitignore"
    run -1 timeout 20 "$BUILD/ws_echo"
    [[ $output == *usage* ]]
    run -1 timeout 20 "$BUILD/ws_echo" 70000
    [[ $output == *'"70000" is no port'* ]]
}

# --- permessage-deflate (RFC 7692) ---

@test "compression: every window and every wish about contexts, and the client understands" {
    py - <<'PY'
from chance import dice
from chat import *
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Offer
import itertools
texts = ["", "x" * 50000, json.dumps({"a": list(range(3000))}), dice.randbytes(3000), b"\0" * 300000, "short"]
for server, client in itertools.product([None, *range(8, 16)], [None, True, *range(9, 16)]):
    for server_none, client_none in ((False, False), (True, True)) if client not in (None, 9) else itertools.product((False, True), repeat=2):
        c = connect(name="echo", compression=None, extensions=[Offer(server_none, client_none, server, client)])
        [used] = wsclient.extensions(c.socket)
        assert used.remote_no_context_takeover and used.local_no_context_takeover
        for t in texts:
            c.send(t)
            assert run(c.socket.recv()) == t, (server, client, len(t))
        assert c.close() == 1000
PY
}

@test "compression: what a client offers, and what it gets" {
    py - <<'PY'
from frames import *
both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
for offer, want in (("permessage-deflate", both), ("permessage-deflate; client_max_window_bits", both),
                    ("permessage-deflate; client_max_window_bits=12; server_max_window_bits=10", f"{both}; server_max_window_bits=10; client_max_window_bits=12"),
                    ("permessage-deflate; server_max_window_bits=7", None), ("permessage-deflate; unknown", None),
                    ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
                    ("permessage-deflate; unknown, permessage-deflate", both), ("x, permessage-deflate", both), ("deflate-frame", None)):
    assert ask(None, {"Sec-WebSocket-Extensions": offer}, "echo").fields.get("sec-websocket-extensions") == want, offer
PY
}

@test "compression: frames by hand, against zlib" {
    py - <<'PY'
from frames import *
import zlib
def packed(data, level=6, flush=zlib.Z_SYNC_FLUSH, wbits=-15):
    z = zlib.compressobj(level, zlib.DEFLATED, wbits)
    out = z.compress(data) + z.flush(flush)
    return out[:-4] if flush == zlib.Z_SYNC_FLUSH else out + b"\0"
def inflated(data):
    return zlib.decompressobj(-15).decompress(data + b"\0\0\xff\xff")
def deflating():
    return Raw("", "echo", fields={"Sec-WebSocket-Extensions": "permessage-deflate"})
w = deflating()
shrinks = b"z" * 100000
for data in (b"", b"Hello", shrinks, dice.randbytes(70000), b"z" + dice.randbytes(69999)):
    for body in (packed(data), packed(data, 0), packed(data, flush=zlib.Z_FINISH), packed(data, wbits=-9)):
        w.send(frame(BINARY, body, rsv=4))
        compressed, opcode, payload = w.any_frame()
        assert opcode == BINARY and (inflated(payload) if compressed else payload) == data
        # Compressed where that makes it shorter, and only there.
        assert compressed == (data == shrinks), len(data)
# In fragments, of which the first alone says that it is compressed; control frames never are.
body = packed("\u20ac".encode() * 1000)
w.send(frame(TEXT, body[:3], fin=False, rsv=4) + frame(PING, b"x") + b"".join(frame(CONTINUATION, body[i:i + 1], fin=False) for i in range(3, len(body))) + frame(CONTINUATION))
assert w.frame() == (PONG, b"x")
compressed, opcode, payload = w.any_frame()
assert compressed and opcode == TEXT and inflated(payload) == "\u20ac".encode() * 1000
# Messages that are not compressed may come between.
w.send(frame(TEXT, b"plain") + frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4))
assert w.frame() == (TEXT, b"plain") and w.frame() == (TEXT, b"Hello")
for bad, code in ((frame(PING, b"", rsv=4), 1002), (frame(TEXT, b"", fin=False) + frame(CONTINUATION, packed(b"x"), rsv=4), 1002),
                  (frame(TEXT, packed(b"x"), rsv=6), 1002), (frame(TEXT, b"x", rsv=2), 1002), (frame(TEXT, b"Hello", rsv=4), 1007),
                  (frame(TEXT, packed(b"Hello")[:-2], rsv=4), 1007), (frame(TEXT, packed(b"\xff"), rsv=4), 1007),
                  (frame(TEXT, packed(b"\xff" * 100, 0)[:50], rsv=4, fin=False), 1007), (frame(TEXT, b"", rsv=4), 1007)):
    w = deflating()
    w.send(bad)
    w.fails(code)
PY
}

@test "compression: a bomb of 200 MiB is 1009, and takes no more memory than a message may" {
    py - <<'PY'
from frames import *
import zlib
w = Raw("", "echo", fields={"Sec-WebSocket-Extensions": "permessage-deflate"})
with open(f"{T}/echo.pid") as f:
    parent = f.read().strip()
[pid] = subprocess.run(["pgrep", "-n", "-P", parent], capture_output=True, text=True).stdout.split()
peak = [0]
def watch():
    try:
        while True:
            with open(f"/proc/{pid}/status") as f:
                peak[0] = int(f.read().split("VmHWM:")[1].split()[0])
            time.sleep(0.005)
    except (OSError, IndexError):
        pass
watch_thread = threading.Thread(target=watch)
watch_thread.start()
z = zlib.compressobj(9, zlib.DEFLATED, -15)
bomb = b"".join(z.compress(bytes(1 << 20)) for _ in range(200)) + z.flush(zlib.Z_SYNC_FLUSH)
assert len(bomb) < 210000
w.send(frame(BINARY, bomb[:-4], rsv=4))
w.fails(1009)
w.socket.close()
watch_thread.join()
assert 0 < peak[0] < 120 * 1024, f"{peak[0]} kB"   # sanitizers keep what was freed
PY
}
