#!/usr/bin/env bats
# The running server and its operator: status, who and kick of chatctl(8), and the socket beneath.
#
# The cluster is this file's own, so that stopping it disturbs nobody.

load lib/server

setup_file() {
    unset TEST_CLUSTER
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# Whatever a test left behind.
setup() {
    "$ROOT/tests/tools/cluster" start --fast "$TEST_CLUSTER"
}

@test "status shows the servers of this host, the hosts of the service, and the database" {
    server_start second
    py - <<'PY'
from operators import *
a, b = user(), user(instance="second")
ws, other = connect(a.token), connect(b.token, "second")
eventually(lambda: sql("select count(*) from sessions") == "2")
status = asked("main", "status")
[server] = status["servers"]
with open(f"{T}/main.pid") as f:
    assert server["server"] == int(f.read())
assert (server["phase"], server["database"], server["behind"], server["waiting"]) == ("serving", "up", False, 0), server
assert server["online"] == 1 and server["clients"] >= 1 and server["max_clients"] == 1000 and server["deaths"] == 0, server
assert server["version"] == subprocess.run([CHATD, "-V"], capture_output=True, text=True).stdout.split()[1]
hosts = {h["host"]: h for h in status["hosts"]}
assert len(hosts) == 2 and hosts[server["host"]]["online"] == 1 and sum(h["users"] for h in hosts.values()) == 2, hosts
[database] = status["database"]
migrations = len([f for f in os.listdir(f"{ROOT}/sql") if f.startswith("0")])
assert database["database"] == os.environ["DB"] and database["schema"] == migrations and database["connections"] >= 4, database
assert asked("second", "status")["servers"][0]["host"] != server["host"]
# For people, in columns.
out = subprocess.run([CTL, *options("main"), "status"], capture_output=True, text=True, check=True).stdout
assert out.startswith("servers:\nSERVER  VERSION  PHASE") and "\nhosts:\n" in out and "\ndatabase:\n" in out, out
# What is counted grows.
before = dict(line.split(" ", 1) for line in told("main", "status")[:-1])
ws.message(b.id, "hello", "c-1")
other.until("message")
ws.until("ack")
after = dict(line.split(" ", 1) for line in told("main", "status")[:-1])
assert int(after["stored"]) == int(before["stored"]) + 1, (before, after)
second = dict(line.split(" ", 1) for line in told("second", "status")[:-1])
assert int(second["delivered"]) >= 1, second
ws.close(), other.close()
PY
    server_stop second
}

@test "who lists each connection with user, state, address, age and queue, and only of one user" {
    py - <<'PY'
from operators import *
a, b = user("who-a"), user("who-b")
ws, other = connect(a.token), connect(b.token)
kept = http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT)
kept.request("GET", "/me", headers={"Authorization": f"Bearer {b.token}"})
assert kept.getresponse().read()
rows = asked("main", "who", "WHO-A")
[row] = rows
assert (row["user"], row["user_id"], row["state"], row["address"]) == ("who-a", a.id, "online", "127.0.0.1"), row
assert row["age"] >= 0 and row["queue"] == 0 and row["session"] in children("session who-a"), row
states = sorted(r["state"] for r in asked("main", "who", "who-b"))
assert states == ["online", "requests"], states
assert len(asked("main", "who")) >= 3 and asked("main", "who", "nobody-here") == []
ws.close(), other.close(), kept.close()
eventually(lambda: asked("main", "who", "who-a") == [])
PY
}

# bats test_tags=root
@test "an exporter that was taken over may ask for numbers, and not who is there, nor close anything" {
    py - <<'PY'
from metrics import *
from operators import *
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
with Server(*ADMIN) as s:
    u = user(instance=s.name)
    ws = connect(u.token, s.name)
    [session] = s.children(f"session {u.name}")
    [exporter] = s.children("exporter")
    assert get("/readyz", s.name) == (200, "ready\n")
    os.kill(exporter, signal.SIGSTOP)   # so that the answers are ours
    try:
        fd = libc.syscall(438, os.pidfd_open(exporter), 12, 0)    # pidfd_getfd: ROLE_FD_MASTER
        assert fd >= 0, os.strerror(ctypes.get_errno())
        master = socket.socket(fileno=fd)
        master.settimeout(WAIT)
        def answer(request):
            master.send(b"?")
            _, [fd], _, _ = socket.recv_fds(master, 65536, 1)
            with socket.socket(fileno=fd) as broker:
                broker.settimeout(WAIT)
                broker.sendall(f"{request}\n".encode())
                return rest(broker).decode().splitlines()
        lines = answer("metrics")
        assert lines[0] == "database up" and lines[-1] == "end" and any(line.startswith("chatd_requests_total") for line in lines), lines
        for request in "who", "status", f"kick user {u.name}", f"kick session {session}", "metrics ", "":
            assert answer(request) == ["error the exporter may ask for metrics alone", "end"], request
    finally:
        os.kill(exporter, signal.SIGCONT)
    ws.ping()
    assert any(line.startswith(f"session {session} ") for line in told(s.name, "who"))
    assert get("/readyz", s.name) == (200, "ready\n") and s.children("exporter") == [exporter]
    ws.close()
PY
}

@test "who -w lists them again and again, until it is stopped or the server is" {
    server_start watched
    py - <<'PY'
from operators import *
p = subprocess.Popen([CTL, *options("watched"), "who", "-w"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
for _ in range(2):
    while "SESSION" not in (line := p.stdout.readline()):
        assert line, p.stderr.read()
with open(f"{T}/watched.pid") as f:
    os.kill(int(f.read()), signal.SIGTERM)
assert p.wait(60) == 3 and "no chatd answers" in p.stderr.read()
PY
    server_stop watched
}

@test "kick closes a user's connections, or one, with code 4000; they may come back, and others stay" {
    py - <<'PY'
from operators import *
a, b = user("kick-a"), user("kick-b")
first, second, other = connect(a.token), connect(a.token), connect(b.token)
done = asked("main", "kick", "user", "KICK-A")
assert len(done) == 2 and {d["what"] for d in done} == {"session"} and {d["done"] for d in done} == {"closed"}, done
assert first.closed() == 4000 and second.closed() == 4000
first = connect(a.token)
second = connect(a.token)
eventually(lambda: len([r for r in asked("main", "who", "kick-a") if r["state"] == "online"]) == 2)
one = [r["session"] for r in asked("main", "who", "kick-a") if r["state"] == "online"][0]
assert [d["name"] for d in asked("main", "kick", "session", str(one))] == [str(one)]
eventually(lambda: len(asked("main", "who", "kick-a")) == 1)
other.ping()
# An event stream ends likewise.
s = raw(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {a.token}\r\n\r\n".encode())
eventually(lambda: [r["state"] for r in asked("main", "who", "kick-a")] == ["online"] * 2)
assert len(asked("main", "kick", "user", "kick-a")) == 2
assert read_all(s).endswith(b"0\r\n\r\n")
code, out, err = ctl("main", "kick", "user", "nobody-here")
assert code == 4 and "chatctl who lists them" in err and out == "[]\n", (code, out, err)
assert ctl("main", "kick", "session", "1")[0] == 4
assert ctl("main", "kick", "session", "x")[0] == 2
assert ctl("main", "kick", "user", "a b")[0] == 4
assert ctl("main", "kick", "user", "x" * 100)[0] == 4
other.ping()
other.close()
PY
}

@test "with the database away, status says so, and who and kick work" {
    py - <<'PY'
from operators import *
import postgres
a = user("away-a")
ws = connect(a.token)
postgres.stop()
eventually(lambda: "database away" in told("main", "status"))
code, out, err = ctl("main", "status")
status = json.loads(out)
assert code == 3 and status["servers"][0]["database"] == "away" and status["hosts"] is None and "the database" in err, (code, out, err)
assert [r["user"] for r in asked("main", "who", "away-a")] == ["away-a"]
assert len(asked("main", "kick", "user", "away-a")) == 1
assert ws.closed() == 4000
code, out, err = ctl("main", "user", "list")
assert code == 3 and not out, (code, out, err)
postgres.start()
eventually(lambda: "database up" in told("main", "status"))
PY
}

@test "without a server, status, who and kick end with 3 and say so; a killed one leaves nothing in the way" {
    py - <<'PY'
from operators import *
code, out, err = ctl("none", "who")
assert code == 3 and "start chatd" in err and not out, (code, out, err)
with Server(name="killed") as s:
    assert len(sockets("killed")) == 1
    everybody = s.tree()
    s.kill(signal.SIGKILL)
    s.process.wait()
    all_gone(everybody)
for words in (("who",), ("kick", "user", "a"), ("kick", "session", "1")):
    code, out, err = ctl("killed", *words)
    assert code == 3 and "no chatd answers" in err, (code, out, err)
code, out, err = ctl("killed", "status")
status = json.loads(out)
assert code == 3 and status["servers"] == [] and status["hosts"] is not None, (code, out, err)
left = sockets("killed")
assert len(left) == 1
with Server(name="killed") as s:
    assert sockets("killed") != left and len(sockets("killed")) == 1
    assert len(asked("killed", "status")["servers"]) == 1
assert sockets("killed") == []
PY
}

@test "after a takeover both servers answer, and say which retires; after a reload it goes on" {
    py - <<'PY'
from takeover import *
from operators import *
with Service() as s:
    a = user(instance=s.name)
    ws = connect(a.token, s.name)
    s.take_over()
    eventually(lambda: len(sockets(s.name)) == 2)
    eventually(lambda: sorted(x["phase"] for x in asked(s.name, "status")["servers"]) == ["retiring", "serving"])
    again = connect(a.token, s.name)
    rows = asked(s.name, "who", a.name)
    assert len(rows) == 2 and len({r["server"] for r in rows}) == 2, rows
    assert len(asked(s.name, "kick", "user", a.name)) == 2
    assert ws.closed() == 4000 and again.closed() == 4000
    eventually(lambda: len(sockets(s.name)) == 1)
    [server] = asked(s.name, "status")["servers"]
    assert server["phase"] == "serving", server
    os.kill(server["server"], signal.SIGHUP)
    s.logged("configuration reloaded")
    assert len(asked(s.name, "status")["servers"]) == 1
PY
}

@test "a new broker answers after one that died; one that hangs is told from one that is not there" {
    py - <<'PY'
from operators import *
[broker] = children("broker")
os.kill(broker, signal.SIGKILL)
all_gone([broker])
eventually(lambda: len(children("broker")) == 1 and len(told("main", "status")) > 3)
[server] = asked("main", "status")["servers"]
assert server["deaths"] >= 1, server
[broker] = children("broker")
os.kill(broker, signal.SIGSTOP)
try:
    code, out, err = ctl("main", "who")
finally:
    os.kill(broker, signal.SIGCONT)
assert code == 3 and "has not answered within" in err, (code, out, err)
served()
PY
}

# --- who may ask, and what they may do ---

# bats test_tags=root
@test "nobody but root and the user who started the server may ask, whatever the mode of the socket" {
    py - <<'PY'
from operators import *
[path] = sockets("main")
assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and os.stat(path).st_uid == os.geteuid()
assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) & 0o22 == 0
script = f"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect({path!r})
except PermissionError:
    sys.exit(3)
try:
    s.sendall(b"status\\n")
    print(s.recv(100))
except (ConnectionResetError, BrokenPipeError):
    print(b"")
"""
def another():
    p = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c", script],
                       capture_output=True, text=True)
    return p.returncode, p.stdout.strip(), p.stderr
assert another()[0] == 3
run_dir = os.path.dirname(path)
mode = stat.S_IMODE(os.stat(run_dir).st_mode)
os.chmod(run_dir, 0o755), os.chmod(path, 0o666)
try:
    code, out, err = another()
finally:
    os.chmod(run_dir, mode), os.chmod(path, 0o600)
assert (code, out) == (0, "b''"), (code, out, err)
assert "control socket: user 65534 was refused" in open(f"{T}/main.log").read()
served()
PY
}

@test "a session has no way to the control socket" {
    # It may connect to one address, which is not this one, and is in no folder from which it could reach it.
    grep -q 'ALLOW_IF(connect, "the broker, and nobody else"' "$ROOT/src/session/session_sandbox.c"
    py - <<'PY'
from operators import *
a = user()
ws = connect(a.token)
[row] = asked("main", "who", a.name)
run_dir = os.path.realpath(f"{T}/main.run")
[name] = [os.path.basename(path) for path in sockets("main")]    # bound inside run_dir, by its name there
with open("/proc/net/unix") as f:
    found = [line.split() for line in f]
control = {f"socket:[{words[6]}]" for words in found if words[7:] == [name]}
assert control, (name, found)
def opened(pid):
    return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
with open(f"{T}/main.pid") as f:
    assert opened(int(f.read())) & control    # where it is looked for, it is found
seen = set()
for pid in children("session") + children("spare"):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):    # of an earlier request
        fds, cwd = opened(pid), os.readlink(f"/proc/{pid}/cwd")
        assert fds and not fds & control and cwd != run_dir, (pid, fds, control, cwd)
        seen.add(pid)
assert row["session"] in seen, (row, seen)
ws.close()
PY
}

@test "what is no request is refused; half a one, a long one and none end the connection alone" {
    py - <<'PY'
from operators import *
for wrong in ("", "STATUS", "who all", "kick", "kick user", "kick user a b", "kick session x", "kick session 1 2", "kick session 99999999999",
              "status ", " status", "stop", "\0", "status\0", "é"):
    lines = told("main", wrong)
    assert lines == ["error this chatd knows no such request", "end"], (wrong, lines)
assert told("main", b"x" * 127) == told("main", b"x" * 5000) == told("main", b"status") == told("main", b"") == []
# Byte by byte, and with more behind it.
s = call(sockets("main")[0])
for byte in b"status\nwho\n":
    s.sendall(bytes([byte])) if byte != 10 else s.sendall(b"\n")
    if byte == 10:
        break
assert rest(s).endswith(b"end\n")
served()
PY
}

@test "operators who say nothing, do not read, or are too many hold up nobody, and are ended in time" {
    py - <<'PY'
from operators import *
[path] = sockets("main")
a = user()
ws = connect(a.token)
silent = [call(path) for _ in range(4)]
eventually(lambda: told("main", "status") == ["error too many operators ask at the same time; try again", "end"])
code, out, err = ctl("main", "who")
assert code == 3 and "too many operators" in err, (code, out, err)
# Far more than the master and the broker keep: it is refused, or waits in the queue of the kernel.
more = []
for _ in range(100):
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
        s.connect(path)
    more.append(s)
ws.ping()
ws.message(a.id, "through", "c-1")
ws.until("ack")
assert api("GET", "/me", token=a.token)[0] == 200
assert all(rest(s) == b"" for s in silent)
assert "control socket: an operator has taken too long" in open(f"{T}/main.log").read()
for s in silent + more:
    s.close()
eventually(lambda: len(told("main", "status")) > 3)
ws.close()
PY
}

@test "an operator who stops reading a long list leaves the broker's memory and turn alone" {
    py - <<'PY'
from operators import *
a = user("long-a")
# One session each, and many of them.
clients = [connect(a.token) for _ in range(60)]
s = call(sockets("main")[0])
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
s.sendall(b"who\n")
for c in clients:
    c.ping()
served()
got = rest(s).decode().splitlines()
assert got[-1] == "end" and sum(" long-a online " in line for line in got) == 60, got
# Those that leave while they are listed are left out, or not; the list ends all the same.
s = call(sockets("main")[0])
s.sendall(b"who\n")
for c in clients:
    c.close()
assert rest(s).endswith(b"end\n")
s = call(sockets("main")[0])
s.sendall(b"who\n")
s.close()
served()
PY
}

@test "random requests: the broker is the same afterwards, and answers" {
    py - <<'PY'
from operators import *
from chance import *
[broker] = children("broker")
[path] = sockets("main")
words = [b"status", b"who", b"kick", b"user", b"session", b"-1", b"0", b"999999999", b"a" * 40, b"%s%n", b"\0", b"\xff", b" ", b"\n", b"\t", b"\r\n"]
for _ in range(300):
    text = b"".join(dice.choice(words) + dice.choice([b"", b" ", b"\n"]) for _ in range(dice.randrange(1, 9)))
    s = call(path)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.sendall(text)
        if dice.random() < 0.3:
            s.close()
            continue
        s.shutdown(socket.SHUT_WR)
    got = rest(s)
    assert not got or got.endswith(b"end\n"), (text, got)
    s.close()
assert children("broker") == [broker]
eventually(lambda: len(told("main", "status")) > 3)
PY
}

@test "chatctl takes any answer: from a server that is none it prints valid JSON, or says what is wrong" {
    py - <<'PY'
from operators import *
folder = f"{T}/fake.run"
os.mkdir(folder, 0o700)
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{folder}/control.4711")
listener.listen(8)
answers = [b"", b"end\n", b"error x\nend\n", b"session\nend\n", b"session 1 2 3\nend\n", b"session x 1 \xff\x1b[2J \xff \xfe 1 1\nend\n",
           b"session 1 0 - online - 9999999999999999999999 -5\nend\n", b"clients {}\nstored []\nbehind x\npid\nend\n",
           b"kicked\nkicked \"\nend\n", b"a " * 5000 + b"\nend\n", b"x\0y\nend\n", b"status" * 100]
def serve():
    while True:
        try:
            c, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError):
            c.recv(1000)
            c.sendall(answers[serve.at])
        c.close()
threading.Thread(target=serve, daemon=True).start()
for serve.at in range(len(answers)):
    for words in (("who",), ("status",), ("kick", "user", "a")):
        code, out, err = ctl("fake", *words, env={"LC_ALL": "C"})
        assert code in (0, 3, 4), (answers[serve.at], words, code, out, err)
        if out:
            json.loads(out, strict=True)
listener.close()
PY
}
