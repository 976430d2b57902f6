#!/usr/bin/env bats
# The processes: who is there and under which title, who replaces whom, what becomes of them when
# the server is told to stop, to reload, or is killed; and what must not be found in them.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off -o min_spare=3 -o max_spare=6 -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

# --- the tree ---

@test "ps shows one broker, the auth workers and the spares under the master" {
    py - <<'PY'
from server import *
master = int(open(f"{T}/main.pid").read())
eventually(lambda: len(children("spare")) == 3 and not children("session"))
titles = sorted(tree(master).values())
assert titles == ["chatd: auth"] * 2 + ["chatd: broker"] + ["chatd: spare"] * 3, titles
assert parents()[master][1] == "chatd: master"
PY
}

@test "a session's title says whom it serves: nobody yet, then the user" {
    py - <<'PY'
from server import *
eventually(lambda: not children("session"))
s = raw()
eventually(lambda: len(children("session")) == 1)
[pid] = children("session - 127.0.0.1")
s.close()
all_gone([pid])
u = user()
a = connect(u.token)
eventually(lambda: len(children(f"session {u.name} 127.0.0.1")) == 1)
a.close()
eventually(lambda: not children(f"session {u.name}"))
PY
}

@test "every client has a process of its own, which ends with its connection" {
    py - <<'PY'
from server import *
users = [user() for _ in range(4)]
clients = [connect(u.token) for u in users] + [connect(users[0].token)]
pids = [pid for u in users for pid in children(f"session {u.name} ")]
assert len(set(pids)) == 5 and len(children(f"session {users[0].name} ")) == 2
assert not set(pids) & {p for t in ("broker", "auth", "spare") for p in children(t)}
[third] = children(f"session {users[2].name} ")
clients[2].close()
all_gone([third])
assert all(alive(p) for p in pids if p != third)
for c in clients:
    c.close()
all_gone(pids)
PY
}

@test "min_spare sessions wait; after a burst there are more, never above max_spare, and then again as many" {
    py - <<'PY'
from server import *
master = int(open(f"{T}/main.pid").read())
eventually(lambda: len(children("spare")) == 3)
# All of them arrive while the master does not look, so they are more than it has spares.
os.kill(master, signal.SIGSTOP)
try:
    burst = [raw() for _ in range(30)]
finally:
    os.kill(master, signal.SIGCONT)
most = 0
def grown():
    global most
    most = max(most, len(children("spare")))
    return most > 3
eventually(grown)
eventually(lambda: len(children("session - ")) == 30)
def settled():
    grown()
    return len(children("spare")) == 3
eventually(settled)
assert most <= 6, most
for s in burst:
    s.close()
eventually(lambda: not children("session"))
assert len(children("spare")) == 3
PY
}

@test "max_clients: one more gets 503 with Retry-After, HTTP or WebSocket, until somebody leaves" {
    py - <<'PY'
from server import *
u = user()
with Server("-o", "max_clients=3") as s:
    clients = [connect(u.token, s.name), connect(u.token, s.name), raw(name=s.name)]
    eventually(lambda: len(s.children("session")) == 3)
    for _ in range(3):
        c = http.client.HTTPConnection("127.0.0.1", port(s.name), timeout=WAIT)
        c.request("GET", "/users", headers={"Authorization": f"Bearer {u.token}"})
        r = c.getresponse()
        assert r.status == 503 and int(r.headers["Retry-After"]) > 0
        assert list(json.loads(r.read())) == ["error"]
        c.close()
    for _ in range(3):
        try:
            connect(u.token, s.name)
        except Refused as e:
            assert e.status == 503 and int(e.headers["Retry-After"]) > 0
        else:
            raise AssertionError("a fourth client was let in")
    assert len(s.children("session")) == 3
    clients[0].ping()
    clients[0].close()
    eventually(lambda: len(s.children("session")) == 2)
    def let_in():
        try:
            connect(u.token, s.name).ping()
            return True
        except Refused:     # the master has not heard yet that somebody left
            return False
    eventually(let_in)
    clients[1].ping()
PY
}

@test "max_clients_per_address: one more from there gets 503 with Retry-After; other addresses are served" {
    py - <<'PY'
from server import *
u = user()
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
def answer(source="127.0.0.1", path=None):
    """Of a request on a connection of its own, from this address or over the Unix socket."""
    if path:
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(WAIT)
        c.connect(path)
    else:
        c = socket.create_connection(("127.0.0.1", port(s.name)), WAIT, (source, 0))
    c.sendall(b"GET /nowhere HTTP/1.0\r\n\r\n")
    return read_all(c)
def served(*where):
    # The master hears of an end a moment after the client.
    eventually(lambda: answer(*where).startswith(b"HTTP/1.1 404"))
def refused(source="127.0.0.1"):
    got = answer(source)
    assert got.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in got, got
    assert b'\r\n\r\n{"error":"Your address has as many connections' in got, got
path = f"{T}/{some_name('u')}"
write("max_clients_per_address = 3\n")
with Server("-f", conf, "-o", f"listen=127.0.0.1, unix:{path}", "-o", "min_spare=1", "-o", "max_spare=1") as s:
    a, b, c = connect(u.token, s.name), connect(u.token, s.name), raw(name=s.name)
    eventually(lambda: len(s.children("session")) == 3)
    for _ in range(3):
        refused()
        try:
            connect(u.token, s.name)
        except Refused as e:
            assert e.status == 503 and int(e.headers["Retry-After"]) > 0
        else:
            raise AssertionError("a fourth client was let in")
    # Each other address has a number of its own; Unix sockets have none.
    others = [socket.create_connection(("127.0.0.1", port(s.name)), WAIT, ("127.0.0.2", 0))
              for _ in range(3)]
    eventually(lambda: len(s.children("session")) == 6)
    refused("127.0.0.2")
    served("127.0.0.3")
    for _ in range(4):
        left = socket.socket(socket.AF_UNIX)
        left.connect(path)
        others.append(left)
    eventually(lambda: len(s.children("session - unix")) == 4)
    served(None, path)
    refused()
    # Every way to leave makes room for one, and for no more than one.
    def one_fits():
        got = []
        def let_in():
            try:
                got.append(connect(u.token, s.name))
            except Refused:
                return False
            return True
        eventually(let_in)
        refused()
        return got[0]
    c.close()
    c = one_fits()
    a.close()
    a = one_fits()
    b.ping()
    [*_, killed] = s.children(f"session {u.name} ")
    os.kill(killed, signal.SIGKILL)
    d = one_fits()
    assert sum(wsclient.is_open(x.socket) for x in (a, b, c, d)) == 3
    # A reload changes the number for those who come then.
    write("max_clients_per_address = 4\n")
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    one_fits()
    write("\n")
    s.kill(signal.SIGHUP)
    eventually(lambda: s.log().count("configuration reloaded") == 2)
    many = [connect(u.token, s.name) for _ in range(4)]
    assert all(x.ping() is None for x in many)
PY
}

# bats test_tags=root
@test "one address does not get all places, unless it is this machine's own: by default, a quarter" {
    cat >"$T/quarter.py" <<'PY'
from server import *
import fcntl, struct
# In a network of its own, lo is down and has one address.
def lo(request, form, *values):
    fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), request, struct.pack(form, *values))
lo(0x8914, "16sH14s", b"lo", 1, b"")                                            # SIOCSIFFLAGS: up
lo(0x8916, "16sHH4s8s", b"lo:1", socket.AF_INET, 0, bytes([192, 0, 2, 7]), b"")  # SIOCSIFADDR: a /24
def come(address, source):
    host, number = address.rsplit(":", 1)
    return socket.create_connection((host, int(number)), WAIT, (source, 0))
def refused(c):
    got = read_all(c)
    return got.startswith(b"HTTP/1.1 503 ") and b"Your address has as many connections" in got
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
write("")
with Server("-f", conf, "-o", "listen=192.0.2.7, 127.0.0.1", "-o", "max_clients=68", "-o", "log_level=info") as s:
    far, near = s.addresses
    silent = [come(far, "192.0.2.7") for _ in range(17)]
    eventually(lambda: len(s.children("session")) == 17)
    for _ in range(3):
        assert refused(come(far, "192.0.2.7"))
    assert "its address has 17, see max_clients_per_address in chatd.conf(5); from 192.0.2.7" in s.log(), s.log()
    # There is room for others, and for all of this machine's.
    other = come(far, "192.0.2.8")
    other.sendall(b"GET /nowhere HTTP/1.0\r\n\r\n")
    assert read_all(other).startswith(b"HTTP/1.1 404 ")
    many = [come(near, "127.0.0.1") for _ in range(40)]
    eventually(lambda: len(s.children("session")) == 57)
    # A number is for everybody.
    write("max_clients_per_address = 20\n")
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    assert refused(come(near, "127.0.0.1"))
    silent += [come(far, "192.0.2.7") for _ in range(3)]
    eventually(lambda: len(s.children("session")) == 60)
    assert refused(come(far, "192.0.2.7"))
PY
    unshare --net /usr/bin/python3 "$T/quarter.py"
}

@test "max_clients_per_address: a client for whom no process could be made does not count" {
    py - <<'PY'
from server import *
import shutil, tempfile
# Limits do not hold for root: as another user then, who has to be able to run a copy.
program, folder = [], tempfile.mkdtemp(prefix="chatd-limit.")
try:
    if os.geteuid() == 0:
        program = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    for name in ("chatd", "chatd-broker", "chatd-auth", "chatd-signer"):
        shutil.copy(f"{BUILD}/{name}", folder)
    name = some_name()
    p = Process([*program, f"{folder}/chatd", *options(name), "-o", f"run_dir={folder}/run",
                 "-o", f"db_host={folder}", "-o", "min_spare=0", "-o", "max_clients_per_address=1"],
                name, env={"JWT_SECRET": "k" * 40}, cwd="/")
    with p:
        p.logged("ready: ")
        set_address(name, p.log().split("ready: ")[1].split()[0])
        request = b"GET /nowhere HTTP/1.0\r\n\r\n"
        [before] = [line.split()[2] for line in open(f"/proc/{p.pid}/limits") if "processes" in line]
        def limit(processes):
            subprocess.run([*program, "prlimit", f"--pid={p.pid}", f"--nproc={processes}:"], check=True)
        limit(1)
        for _ in range(3):
            assert read_all(raw(request, name)).startswith(b"HTTP/1.1 503 ")
        assert p.log().count("fork: ") >= 3, p.log()
        limit(before)
        assert read_all(raw(request, name)).startswith(b"HTTP/1.1 404 ")
finally:
    shutil.rmtree(folder)
PY
}

# refuses_many OPTION: with five clients, which is what this option allows, 200 more come at once.
refuses_many() {
    py - "$1" <<'PY'
from server import *
u = user()
with Server("-o", sys.argv[1]) as s:
    clients = [connect(u.token, s.name) for _ in range(5)]
    url = f"ws://127.0.0.1:{port(s.name)}/ws"
    async def handshake():
        try:
            await wsclient.connect(url, headers={"Authorization": f"Bearer {u.token}"}, ping_interval=None)
            return 101
        except Refused as e:
            assert int(e.headers["Retry-After"]) > 0
            return e.status
    async def request():
        reader, writer = await asyncio.open_connection("127.0.0.1", port(s.name))
        # In two parts: the second one comes after the answer, and must not undo it.
        writer.write(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        line = await reader.readline()
        writer.write(b"x" * 60000)
        rest = await reader.read()
        writer.close()
        assert b"\r\nRetry-After: " in rest and rest.endswith(b'"}'), rest
        return int(line.split()[1])
    async def everybody():
        return await asyncio.gather(*(handshake() for _ in range(100)), *(request() for _ in range(100)))
    assert run(everybody(), 30) == [503] * 200
    for c in clients:
        c.ping()
    assert len(s.children("session")) == 5
PY
}

@test "max_clients: 200 more at once all read their 503, and those who are there are served" {
    refuses_many max_clients=5
}

@test "max_clients_per_address: 200 more at once all read their 503, and those who are there are served" {
    refuses_many max_clients_per_address=5
}

@test "max_clients: however many are refused at a time, no reset follows the answer to what was not read" {
    py - <<'PY'
from server import *
with Server("-o", "max_clients=1") as s:
    first = raw(name=s.name)
    eventually(lambda: len(s.children("session")) == 1)
    # More than the master waits for.
    clients = [raw(b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n", s.name) for _ in range(300)]
    for c in clients:
        assert read_all(c).startswith(b"HTTP/1.1 503 ")
    errors = [c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for c in clients]
    assert not any(errors), errors
PY
}

# --- deaths ---

@test "a broker that is killed is replaced, and open connections serve on" {
    py - <<'PY'
from server import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
[old] = children("broker")
os.kill(old, signal.SIGKILL)
eventually(lambda: children("broker") and children("broker") != [old])
a.message(bob.id, "after", "c-1")
assert b.expect("message")["content"] == "after"
assert a.expect("ack")["id"] == "c-1"
assert f"broker[{old}] was killed by signal 9" in open(f"{T}/main.log").read()
PY
}

@test "auth workers that are killed are replaced, and logins work again" {
    py - <<'PY'
from server import *
u = user()
old = children("auth")
assert len(old) == 2
for pid in old:
    os.kill(pid, signal.SIGKILL)
eventually(lambda: len(children("auth")) == 2 and not set(old) & set(children("auth")))
login = lambda: api("POST", "/login", {"username": u.name, "password": password()})[0]
eventually(lambda: login() == 200)
assert "auth worker[%d] was killed by signal 9" % old[0] in open(f"{T}/main.log").read()
PY
}

# Nice within the session of chatd they would be to chatd alone, and with the usual slice whoever is
# woken for a message would wait for theirs.
@test "auth workers yield to everybody: the session of each is nice, and so is itself, with a long slice" {
    py - <<'PY'
import re
from server import *
def autogroup(pid):
    with open(f"/proc/{pid}/autogroup") as f:
        return f.read().split()
workers = children("auth")
assert len(workers) == 2
mine = os.getpriority(os.PRIO_PROCESS, 0)
eventually(lambda: all(os.sched_getscheduler(pid) == os.SCHED_BATCH for pid in workers))
u = user()
for pid in workers:
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(mine + 10, 19)
    with open(f"/proc/{pid}/sched") as f:
        slices = re.findall(r"^se.slice +: +(\d+)", f.read(), re.M)
    assert slices in ([], ["100000000"]), slices # from Linux 6.12 on
    if os.path.exists("/proc/self/autogroup"):
        assert os.getsid(pid) == pid
        # Who was turned away tries again with each request.
        eventually(lambda: autogroup(pid)[1:] == ["nice", "10"]
                   or api("POST", "/login", {"username": u.name, "password": password()})[0] != 200)
PY
}

@test "spares that are killed are replaced; who comes before the master knows of it is served" {
    py - <<'PY'
from server import *
u = user()
master = int(open(f"{T}/main.pid").read())
eventually(lambda: len(children("spare")) == 3 and not children("session"))
old = children("spare")
os.kill(master, signal.SIGSTOP)
try:
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    all_gone(old)
    request = f"GET /users HTTP/1.0\r\nAuthorization: Bearer {u.token}\r\n\r\n"
    clients = [raw(request.encode()) for _ in range(5)]
finally:
    os.kill(master, signal.SIGCONT)
for c in clients:
    assert read_all(c).startswith(b"HTTP/1.1 200")
eventually(lambda: len(children("spare")) == 3 and not set(old) & set(children("spare")))
PY
}

@test "a session that is killed takes along nobody but its client" {
    py - <<'PY'
from server import *
alice, bob, carol = user(), user(), user()
a, b, c = (connect(u.token) for u in (alice, bob, carol))
roles = children("broker") + children("auth")
[pid] = children(f"session {alice.name} ")
os.kill(pid, signal.SIGKILL)
assert a.closed() == 1006
b.message(carol.id, "still here", "c-1")
assert c.expect("message")["content"] == "still here"
assert b.expect("ack")["id"] == "c-1"
assert children("broker") + children("auth") == roles
a = connect(alice.token)
a.ping()
PY
}

@test "clients that talk garbage, or nothing, are dropped and harm nobody" {
    py - <<'PY'
from chance import dice
from server import *
import struct
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
roles = children("broker") + children("auth")
tls = bytes.fromhex("16030100c8010000c40303") + dice.randbytes(192)
garbage = [b"\0" * 5000, b"\r\n" * 5000, b"GET " + b"A" * 20000, tls, b"\xff" * 3000,
           b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
           *(dice.randbytes(n) + b"\r\n\r\n" for n in (10, 100, 1000, 9000))]
for bytes_ in garbage:
    s = raw(bytes_)
    s.shutdown(socket.SHUT_WR)
    assert read_all(s).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or not bytes_.strip(b"\r\n")
    s.close()
reset = [raw(b"GET / HT") for _ in range(10)]
for s in reset:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
for s in [raw() for _ in range(10)]:
    s.close()
# After the handshake, too.
w = raw(f"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Authorization: Bearer {alice.token}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
assert w.recv(12) == b"HTTP/1.1 101"
w.sendall(b"\xff" * 1000)
read_all(w)
w.close()
a.message(bob.id, "unharmed", "c-1")
assert b.expect("message")["content"] == "unharmed"
assert children("broker") + children("auth") == roles
a.close(), b.close()
eventually(lambda: not children("session"))
assert "killed by signal 11" not in open(f"{T}/main.log").read()
PY
}

# --- stopping ---

stops_on() {
    py - "$1" <<'PY'
from server import *
alice, bob = user(), user()
path = f"{T}/{some_name('u')}"
with Server("-o", f"listen=127.0.0.1, unix:{path}", "-o", "min_spare=2") as s:
    a, b = connect(alice.token, s.name), connect(bob.token, s.name)
    silent = raw(name=s.name)
    half = raw(b"POST /login HTTP/1.1\r\nHost: x\r\n", s.name)
    eventually(lambda: len(s.children("session")) == 4)
    a.message(bob.id, "last words", "c-1")
    b.expect("message")
    everybody = s.tree()
    number = port(s.name)
    assert stat.S_ISSOCK(os.stat(path).st_mode) and os.path.exists(broker_socket(s.name))
    s.kill(getattr(signal, sys.argv[1]))
    assert a.closed() == b.closed() == 1012
    assert read_all(silent) == b""
    read_all(half)
    assert s.ended() == 0, s.log()
    all_gone(everybody)
    assert not os.path.exists(path) and os.listdir(f"{T}/{s.name}.run") == ["lock"]
    try:
        socket.create_connection(("127.0.0.1", number), WAIT)
    except ConnectionRefusedError:
        pass
    else:
        raise AssertionError("it still listens")
    log = s.log()
    assert " error " not in log and "stopped" in log.splitlines()[-1], log
PY
}

@test "SIGTERM: clients get 1012, status 0, and neither processes nor sockets stay" {
    stops_on SIGTERM
}

@test "SIGINT: clients get 1012, status 0, and neither processes nor sockets stay" {
    stops_on SIGINT
}

# all_at_once SIGNAL…: to all processes, one after the other.
all_at_once() {
    py - "$@" <<'PY'
from tls import *
u = user()
pair = Pair()
with Server(*pair.options(), "-o", f"listen=127.0.0.1, tls:unix:{T}/{some_name('u')}", "-o", "drain_time=1m") as s:
    clients = [connect(u.token, s.name) for _ in range(20)]
    assert s.children("signer")
    for number in sys.argv[1:]:
        os.killpg(s.pid, getattr(signal, number))
    assert {c.closed() for c in clients} == {1012}
    assert s.ended() == 0
    assert " error " not in s.log() and "killed" not in s.log(), s.log()
PY
}

@test "SIGINT to all processes at once, as a terminal sends it, is the same orderly end" {
    all_at_once SIGINT
}

@test "SIGTERM to all processes at once, as some supervisors send it, is the same orderly end" {
    all_at_once SIGTERM
}

@test "SIGINT, and then SIGTERM of a script that has heard of it, use no force either" {
    all_at_once SIGINT SIGTERM
}

# --- what is inherited ---

@test "whatever chatd inherits: a killed broker is replaced, SIGHUP reloads, SIGTERM ends it" {
    py - <<'PY'
from server import *
u = user()
def shell(line):
    return ["bash", "-c", f'{line}; exec "$@"', "bash"]
def python(line):
    return ["/usr/bin/python3", "-c", f"import os, signal, sys; {line}; os.execv(sys.argv[1], sys.argv[1:])"]
rows = {
    "SIGCHLD ignored": shell("trap '' CHLD"),
    "every signal ignored": shell("trap '' $(seq 64)"),
    "every signal blocked": python("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"),
    "timers run": python("[signal.setitimer(t, 0.5) for t in (0, 1, 2)]"),
    "0, 1 and 2 closed": shell("exec <&- >&- 2>&-"),
    "umask 0": shell("umask 0"),
    "umask 777": shell("umask 777"),
    "no working directory": shell("mkdir gone; cd gone; rmdir ../gone"),
    "a child": shell("{ sleep 0.1 & }"),
    "few descriptors": shell("ulimit -Sn 40"),
    "many descriptors": python("[os.dup2(0, fd) for fd in range(200, 900)]"),
    "nice": ["nice", "-n", "5"],
    "environment": ["env", "POSIXLY_CORRECT=1", "TZ=:/nowhere", "LC_ALL=tr_TR.UTF-8", "LANGUAGE=tr",
                    "MALLOC_PERTURB_=255", "MALLOC_ARENA_MAX=1", "IFS=/", "CHATD_TAKEOVER=1 2 3 4 5",
                    "LISTEN_PID=1", "LISTEN_FDS=9", "NOTIFY_SOCKET=/nowhere", "PATH="],
}
for row, program in rows.items():
    print(row, flush=True)
    log = f"{T}/{some_name()}.written"
    with Server("-o", f"log_file={log}", program=program) as s:
        def said():
            return open(log).read()
        mode = os.stat(log).st_mode & 0o777
        assert mode & ~0o640 == 0, oct(mode)
        assert os.stat(f"{T}/{s.name}.run").st_mode & 0o777 == 0o700
        [broker] = s.children("broker")
        os.kill(broker, signal.SIGKILL)
        eventually(lambda: s.children("broker") not in ([], [broker]))
        eventually(lambda: api("GET", "/users", token=u.token, name=s.name)[0] == 200)
        s.kill(signal.SIGHUP)
        eventually(lambda: "configuration reloaded" in said())
        everybody = s.tree()
        s.kill(signal.SIGTERM)
        assert s.ended() == 0, row
        all_gone(everybody)
        assert "stopped" in said().splitlines()[-1], said()
PY
}

@test "a server without clients and without spares stops at once, and does not wait for drain_time" {
    py - <<'PY'
from server import *
with Server("-o", "min_spare=0", "-o", "drain_time=1h") as s:
    assert not s.children("spare")
    s.kill(signal.SIGTERM)
    assert s.ended(5) == 0
PY
}

@test "a server whose broker has just died stops at once" {
    py - <<'PY'
from server import *
with Server() as s:
    old = s.children("broker")
    # Killed a few times: the next is not started at once.
    for _ in range(4):
        eventually(lambda: s.children("broker"))
        [broker] = s.children("broker")
        os.kill(broker, signal.SIGKILL)
        all_gone([broker])
    started = time.monotonic()
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert time.monotonic() - started < 4
PY
}

@test "a session that does not end within drain_time is killed" {
    py - <<'PY'
from server import *
u = user()
with Server("-o", "drain_time=300ms") as s:
    a = connect(u.token, s.name)
    [pid] = s.children(f"session {u.name}")
    everybody = s.tree()
    os.kill(pid, signal.SIGSTOP)
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    all_gone(everybody)
PY
}

@test "a second SIGTERM does not wait for drain_time" {
    py - <<'PY'
from server import *
u = user()
with Server("-o", "drain_time=1h") as s:
    a = connect(u.token, s.name)
    [pid] = s.children(f"session {u.name}")
    everybody = s.tree()
    os.kill(pid, signal.SIGSTOP)
    s.kill(signal.SIGTERM)
    s.logged("every client was told")
    assert s.process.poll() is None and alive(pid)
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    all_gone(everybody)
PY
}

@test "SIGTERM: WebSockets are closed one after the other, all with 1012 and within drain_time" {
    py - <<'PY'
from server import *
COUNT, STEP, DRAIN = 60, 0.01, 20
u = user()
with Server("-o", f"drain_time={DRAIN}s") as s:
    clients = [connect(u.token, s.name) for _ in range(COUNT)]
    async def end_of(c):
        await c.socket.wait_closed()
        return time.monotonic(), c.socket.close_code
    async def ends():
        return await asyncio.gather(*map(end_of, clients))
    s.kill(signal.SIGTERM)
    moments, codes = zip(*run(ends(), 30))
    assert set(codes) == {1012}, codes          # beyond drain_time they would have none
    assert max(moments) - min(moments) >= COUNT * STEP / 3, sorted(moments)
    assert len({int(m / STEP) for m in moments}) >= COUNT / 6
    assert s.ended() == 0 and " error " not in s.log(), s.log()
PY
}

@test "SIGTERM: more clients than steps in drain_time follow each other faster, and all are told in time" {
    py - <<'PY'
from server import *
with Server("-o", "drain_time=2s", "-o", "max_spare=100", "-o", "header_timeout=5m") as s:
    clients = [raw(name=s.name) for _ in range(250)]
    eventually(lambda: len(s.children("session")) == len(clients), 60)
    s.kill(signal.SIGTERM)
    assert all(read_all(c) == b"" for c in clients)
    assert s.ended() == 0
    # Four fifths of the time for all, rather than ten milliseconds for each.
    assert "250 clients are told within 1600 ms" in s.log() and "every client was told" in s.log(), s.log()
PY
}

@test "SIGTERM: a request under way gets its whole answer with Connection: close; idle connections just end" {
    py - <<'PY'
from rawhttp import *
from server import *
u = user()
login = post("/login", {"username": u.name, "password": password()})
with Server("-o", "drain_time=1h", "-o", "min_spare=2") as s:
    # Kept open by both sides after a first answer.
    busy, idle = Http(s.name), Http(s.name)
    for c in (busy, idle):
        assert c.send(login).answer().status == 200
    [auth] = s.children("auth")
    os.kill(auth, signal.SIGSTOP)
    busy.send(login)
    eventually(lambda: unread(busy.socket) == 0)
    s.kill(signal.SIGTERM)
    idle.ended()
    s.logged("every client was told")
    eventually(lambda: not s.children("spare") and len(s.children("session")) == 1)
    try:
        raw(name=s.name)
        raise AssertionError("it still listens")
    except ConnectionRefusedError:
        pass
    os.kill(auth, signal.SIGCONT)
    r = busy.answer()
    assert r.status == 200 and r.json()["user"]["username"] == u.name
    assert r.headers["connection"] == "close", r.fields
    busy.ended()
    assert s.ended() == 0 and " error " not in s.log(), s.log()
PY
}

@test "an auth worker that does not answer in time is replaced when it goes on, and when it does not" {
    py - <<'PY'
from concurrent.futures import ThreadPoolExecutor
from server import *
u = user()
with Server("-o", "auth_workers=1", "-o", "bcrypt_cost=10") as s, ThreadPoolExecutor(1) as pool:
    def login():
        try:
            return api("POST", "/login", {"username": u.name, "password": password()}, name=s.name)[0]
        except TimeoutError:
            return None
    def ticks():
        with open(f"/proc/{auth}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[11])
    # Until it is halted in the middle of a password, not before or behind it.
    while True:
        eventually(lambda: login() == 200, 90)
        [auth] = s.children("auth")
        before, answer = ticks(), pool.submit(login)
        eventually(lambda: ticks() > before or answer.done())
        os.kill(auth, signal.SIGSTOP)
        if answer.result() != 200:
            break
        os.kill(auth, signal.SIGCONT)
    s.logged("an auth worker did not answer")
    os.kill(auth, signal.SIGCONT)
    s.logged(f"auth worker[{auth}] was killed by signal {signal.SIGALRM.value} ")
    eventually(lambda: login() == 200, 90)
    [auth] = s.children("auth")
    os.kill(auth, signal.SIGSTOP)
    s.logged(f"auth worker[{auth}] was halted for 30 seconds and is replaced", 90)
    eventually(lambda: login() == 200, 90)
    assert s.children("auth") != [auth]
    # Halted and going on in time: nothing happens, also later.
    [auth] = s.children("auth")
    for number in signal.SIGSTOP, signal.SIGCONT:
        os.kill(auth, number)
    eventually(lambda: login() == 200, 90)
    assert s.children("auth") == [auth]
PY
}

@test "kill -9 of the master: all the others end by themselves, and a new one starts on what it left" {
    py - <<'PY'
from server import *
u = user()
name, path = some_name(), f"{T}/{some_name('u')}"
with Server("-o", f"listen=127.0.0.1, unix:{path}", name=name) as s:
    a = connect(u.token, name)
    silent = raw(name=name)
    eventually(lambda: len(s.children("session")) == 2)
    everybody = s.tree()
    assert len(everybody) >= 4 + 4
    s.kill(signal.SIGKILL)
    s.ended()
    left = broker_socket(name)
    assert os.path.exists(left) and os.path.exists(path)
    assert a.closed() in (1012, 1006)
    assert read_all(silent) == b""
    # Started at once, while some of the old ones may still be there.
    with Server("-o", f"listen=127.0.0.1, unix:{path}", name=some_name(),
                *["-o", f"run_dir={T}/{name}.run"]) as again:
        connect(u.token, again.name).ping()
        assert not os.path.exists(left)
        all_gone(everybody)
        connect(u.token, again.name).ping()
PY
}

@test "kill -9 of the master while its children start leaves none behind" {
    py - <<'PY'
from server import *
name = some_name()
for delay in (0, 0.01, 0.02, 0.03, 0.05, 0.08):
    p = Process([CHATD, *options(name), *SECRETS])
    time.sleep(delay)      # at no event in particular
    p.kill(signal.SIGKILL)
    p.ended()
left = lambda: [pid for pid, (parent, _) in parents().items() if uses(pid, f"{T}/{name}.run")]
def uses(pid, folder):
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(folder)
    except OSError:
        return False
eventually(lambda: not left())
PY
}

@test "a second chatd on a run_dir that is in use is refused, and the first serves on" {
    py - <<'PY'
from server import *
u = user()
a = connect(u.token)
out = refused(*options("main"), *SECRETS)
assert f"{T}/main.run is in use by another chatd" in out, out
assert os.path.exists(broker_socket())
a.ping()
connect(u.token).ping()
PY
}

# --- reloading ---

@test "SIGHUP: new connections see the change, open ones keep what they had" {
    py - <<'PY'
from server import *
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
def register(c, name, password):
    c.request("POST", "/register", json.dumps({"username": name, "password": password,
              "email": f"{name}@example.com"}), {"Content-Type": "application/json"})
    r = c.getresponse()
    r.read()
    return r.status
u = user()
write("min_password = 8\nbatch_max = 100\n")
with Server("-f", conf) as s:
    a = connect(u.token, s.name)
    def client():
        return http.client.HTTPConnection("127.0.0.1", port(s.name), timeout=WAIT)
    old = client()
    assert register(old, some_name("r"), "short words") == 201
    pids = s.children("broker") + s.children("auth") + s.children("session")
    write("min_password = 20\nbatch_max = 200\n")
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    assert register(client(), some_name("r"), "short words") == 400
    assert register(client(), some_name("r"), "words that are long enough") == 201
    assert register(old, some_name("r"), "short words") == 201
    # What only a restart changes is named, and nothing else is.
    [line] = [x for x in s.log().splitlines() if "needs a restart to take effect" in x]
    assert line.endswith("to take effect: batch_max"), line
    a.ping()
    assert not set(pids) - set(s.tree())

    # A file with an error changes nothing; the log says where it is.
    write("min_password = 9\n\nmin_pasword = 9\n")
    s.kill(signal.SIGHUP)
    s.logged(f"not reloaded: {conf}:3: unknown key \"min_pasword\"")
    assert register(client(), some_name("r"), "short words") == 400
    write("min_password = 8\n")
    s.kill(signal.SIGHUP)
    eventually(lambda: register(client(), some_name("r"), "short words") == 201)
    a.ping()
PY
}

@test "SIGHUP: a file that contradicts itself changes nothing either" {
    py - <<'PY'
from server import *
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
write("min_spare = 2\n")
with Server("-f", conf) as s:
    for text, words in [("min_spare = 6\nmax_spare = 5\n", "max_spare is only 5"),
                        ("min_spare = 2\ncors_origins = example.com\n", "is no origin")]:
        write(text)
        done = s.log().count("reloaded")
        s.kill(signal.SIGHUP)
        eventually(lambda: s.log().count("reloaded") > done)
        assert words in s.log() and "configuration reloaded" not in s.log(), "it was accepted"
    eventually(lambda: len(s.children("spare")) == 2)
PY
}

# --- secrets ---

# Where the secrets come from: environment, .env, files, options.
secrets_from() {
    py - "$1" <<'PY'
from server import *
import base64
def random_text():
    return base64.b64encode(os.urandom(30)).decode()
def shown(pid):
    return open(f"/proc/{pid}/environ", "rb").read() + open(f"/proc/{pid}/cmdline", "rb").read()

how = sys.argv[1]
key, role = random_text(), open(f"{T}/db_password").read().strip()
other, own = random_text(), random_text()
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
start = {"secrets": [], "cwd": folder, "env": {}}
if how == "environment":
    start["env"] = {"JWT_SECRET": key, "DB_PASSWORD": role}
elif how == "dotenv":
    with open(f"{folder}/.env", "w") as f:
        f.write(f"# secrets\nJWT_SECRET={key}\nexport DB_PASSWORD='{role}'\n")
elif how == "files":
    with open(f"{folder}/key", "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(key + "\n")
    start["secrets"] = ["-o", f"jwt_secret_file={folder}/key", *SECRETS[:2]]
else:
    start["secrets"] = ["-o", f"jwt_secret={key}", "-o", f"db_password={role}"]

def register(name, password):
    status, answer = api("POST", "/register", {"username": name, "password": password,
                         "email": f"{name}@example.com"}, name=s.name)
    assert status == 201, answer
    return User(answer)
with Server(**start) as s:
    bob, alice = register(some_name("bob"), other), register(some_name("alice"), own)
    b, a = connect(bob.token, s.name), connect(alice.token, s.name)
    a.message(bob.id, "marker-" + other[::-1])
    b.expect("message")
    status, _ = api("POST", "/login", {"username": bob.name, "password": other}, name=s.name)
    assert status == 200
    eventually(lambda: len(s.children("session")) == 2)
    [session] = s.children(f"session {alice.name}")
    [broker], [auth] = s.children("broker"), s.children("auth")
    spare = s.children("spare")[0]
    for round in range(2):
        secrets = {key, role, other}
        # The runtime of a sanitizer keeps a copy of the environment of its own.
        kept = {key, role} if how == "environment" and "libasan" in open(f"/proc/{s.pid}/maps").read() else set()
        for pid in (s.pid, spare, session):
            assert not holds(pid, secrets - kept), (how, parents()[pid], round)
        assert not holds(auth, {key, role})
        # The search does find what is there.
        assert holds(broker, {key}) and holds(session, {"marker-" + other[::-1]})
        everybody = [s.pid, session, broker, auth, spare]
        assert set(everybody) <= {s.pid, *s.tree()}
        for pid in everybody:
            for secret in secrets:
                assert secret.encode() not in shown(pid), (how, parents()[pid])
        # A reload reads the sources again, and forgets them again.
        before = set(s.children("spare"))
        s.kill(signal.SIGHUP)
        s.logged("configuration reloaded")
        eventually(lambda: len(set(s.children("spare")) - before) >= 4)
        spare = (set(s.children("spare")) - before).pop()
    assert connect(alice.token, s.name).ping() is None
    log = s.log()
    assert not any(x in log for x in (key, role, other, own, alice.token, bob.token))
PY
}

@test "secrets from the environment: gone from memory, environ and cmdline of master, spare and session" {
    secrets_from environment
}

@test "secrets from .env: gone from memory, environ and cmdline of master, spare and session" {
    secrets_from dotenv
}

@test "secrets from files: gone from memory, environ and cmdline of master, spare and session" {
    secrets_from files
}

@test "secrets from -o: gone from memory, environ and cmdline of master, spare and session" {
    secrets_from options
}

@test "a session has no descriptors but client, broker, log and the standard ones; a spare has fewer" {
    py - <<'PY'
from server import *
u = user()
a = connect(u.token)
eventually(lambda: children("spare"))
[session] = children(f"session {u.name}")
log = os.path.realpath(f"{T}/main.log")
def inodes(table, column):
    return {line.split()[column] for line in open(f"/proc/net/{table}").readlines()[1:]}
def kinds(pid):
    tcp, unix = inodes("tcp", 9), inodes("unix", 6)
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        to = os.readlink(f"/proc/{pid}/fd/{fd}")
        number = to[8:-1] if to.startswith("socket:") else None
        found[int(fd)] = "tcp" if number in tcp else "unix" if number in unix else to
    return found
def check(pid, sockets):
    found = kinds(pid)
    assert [found[i] for i in range(3)] == ["/dev/null", "/dev/null", log], found
    rest = sorted(v for k, v in found.items() if k > 2 and v != log)
    assert rest == sockets, found
check(session, ["tcp", "unix"])
check(children("spare")[0], ["unix"])
PY
}

@test "the master keeps no descriptor of a client" {
    py - <<'PY'
from server import *
master = int(open(f"{T}/main.pid").read())
def open_ones():
    return len(os.listdir(f"/proc/{master}/fd"))
eventually(lambda: not children("session") and len(children("spare")) == 3)
before = open_ones()
clients = [raw() for _ in range(20)]
eventually(lambda: len(children("session")) == 20)
eventually(lambda: len(children("spare")) == 3 and open_ones() == before)
PY
}

# With sanitizers they stay open: a leak checker needs what is refused here.
# bats test_tags=once
@test "in production nobody but root may look into any of the processes" {
    py - <<'PY'
from server import *
import shutil, tempfile
# As root: all of it under another user, who has to be able to run a copy of the programs.
program, me, folder = [], os.geteuid(), tempfile.mkdtemp(prefix="chatd-hidden.")
try:
    if me == 0:
        program = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    for name in ("chatd", "chatd-broker", "chatd-auth", "chatd-signer"):
        shutil.copy(f"{BUILD}/{name}", folder)
        os.chmod(f"{folder}/{name}", 0o755)
    look = "\n".join(["import os, sys", "for pid in sys.argv[1:]:",
        "    for what in 'mem', 'environ', 'fd', 'maps':",
        "        try:",
        "            path = f'/proc/{pid}/{what}'",
        "            os.listdir(path) if what == 'fd' else open(path).close()",
        "        except PermissionError:",
        "            continue",
        "        print('open:', path)"])
    def looked(mode):
        p = Process([*program, f"{folder}/chatd", *options("hidden"), "-o", f"mode={mode}",
                     "-o", f"run_dir={folder}/run", "-o", f"db_host={folder}"],
                    env={"JWT_SECRET": "k" * 40}, cwd="/")
        with p:
            p.logged("ready: ")
            eventually(lambda: sum(t == "chatd: spare" for t in p.tree().values()) >= 4)
            pids = [p.pid, *p.tree()]
            return subprocess.run([*program, "/usr/bin/python3", "-c", look, *map(str, pids)],
                                  check=True, capture_output=True, text=True, cwd="/").stdout
    assert looked("production") == ""
    assert "/mem" in looked("development")
finally:
    shutil.rmtree(folder)
PY
}

# bats test_tags=once,root
@test "started as root, in development as well, the processes that have another user are closed to that user" {
    py - <<'PY'
from server import *
u = user()
look = "import sys; [open(f'/proc/{pid}/mem') for pid in sys.argv[1:]]"
with Server("-o", "user=nobody", "-o", "session_user=") as s:
    c = connect(u.token, s.name)
    for title in "broker", "auth", "spare", "session":
        pid = s.children(title)[0]
        p = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                            "/usr/bin/python3", "-c", look, str(pid)], capture_output=True, text=True, cwd="/")
        assert "PermissionError" in p.stderr, (title, p)
    c.ping()
PY
}

# --- which program holds what ---

# has_none FILE GREP-ARGUMENTS: a line that matches is an error, and so is an empty file.
has_none() {
    local file=$1
    shift
    [[ -s $file ]] || fail "$file is empty"
    if grep "$@" "$file" >&2; then fail "found in $file"; fi
}

@test "chatd has no symbol and no library of the database, of tokens, of password hashes" {
    nm -D "$BUILD/chatd" >"$T/symbols"
    nm "$BUILD/chatd" >>"$T/symbols"
    has_none "$T/symbols" -wE '(PQ|pq)[A-Za-z0-9_]*|jwt_[a-z_]*|crypt(_[a-z]+)?'
    readelf -d "$BUILD/chatd" | grep NEEDED >"$T/needed"
    has_none "$T/needed" -E 'libpq|libjwt|libcrypt\.so'
    # The same question about those who have them.
    nm -D "$BUILD/chatd-broker" | grep -qw PQsendQueryPrepared
    nm -D "$BUILD/chatd-broker" | grep -qw jwt_decode
    nm -D "$BUILD/chatd-auth" | grep -qwE 'crypt_r(@.*)?'
}

@test "chatd-auth and chatd-signer need no library of the database, of tokens, of JSON; chatd-broker none of hashes; chatd-exporter libc" {
    # Keys, but no TLS: the signer reads nothing that a stranger has sent.
    readelf -d "$BUILD/chatd-signer" | grep NEEDED >"$T/needed"
    has_none "$T/needed" -E 'libpq|libjwt|libjson-c|libcrypt\.so|libssl'
    readelf -d "$BUILD/chatd-auth" | grep NEEDED >"$T/needed"
    has_none "$T/needed" -E 'libpq|libjwt|libjson-c'
    readelf -d "$BUILD/chatd-broker" | grep NEEDED >"$T/needed"
    has_none "$T/needed" -E 'libcrypt\.so|libjson-c'
    readelf -d "$BUILD/chatd-exporter" | grep NEEDED >"$T/needed"
    grep -q 'libc\.so' "$T/needed"
    has_none "$T/needed" -vE 'lib(c|asan|ubsan|m|gcc_s|stdc\+\+)\.so|ld-linux'
}

@test "no log has a password or a token, neither right nor wrong ones" {
    py - <<'PY'
from server import *
u = user()
secrets = [password(), u.token, u.token[:-4] + "AAAA", some_name("Wrong-Password-")]
def log_in(password):
    return api("POST", "/login", {"username": u.name, "password": password})[0]
assert (log_in(secrets[0]), log_in(secrets[3])) == (200, 401)
assert api("GET", "/users", token=secrets[2])[0] == 401
assert api("POST", "/login", '{"username":"%s","password":"%s"' % (u.name, secrets[3]))[0] == 400
assert api("POST", "/register", {"username": u.name, "password": secrets[3],
                                 "email": "new@example.com"})[0] == 409
assert api("GET", f"/nowhere?token={secrets[2]}", token=u.token)[0] == 404
try:
    connect(secrets[2])
    raise AssertionError("let in with a bad token")
except Refused as e:
    assert e.status == 401
connect(subprotocols=["chatd.v1", f"bearer.{u.token}"]).ping()
for token in u.token, secrets[2]:
    page = connect(subprotocols=["chatd.v1"])
    page.send({"type": "auth", "data": {"token": token}})
    page.expect("authenticated") if token == u.token else page.closed()
a = connect(u.token)
a.send({"type": "auth", "data": {"token": secrets[2]}})
a.recv()
s = raw(f"BAD {secrets[1]} {secrets[0]}\r\n\r\n".encode())
read_all(s)
[broker] = children("broker")
os.kill(broker, signal.SIGKILL)
eventually(lambda: children("broker") not in ([], [broker]))
a.message(u.id, secrets[3], "c-1")
a.until("ack")
logs = [f for f in os.listdir(T) if f.endswith(".log")]
assert "main.log" in logs and u.name in open(f"{T}/main.log").read()
for name in logs:
    log = open(f"{T}/{name}", errors="replace").read()
    for secret in secrets:
        assert secret not in log and secret[-24:] not in log, name
    assert "eyJhbGciOi" not in log
PY
}
