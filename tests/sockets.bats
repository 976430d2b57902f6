#!/usr/bin/env bats
# Where the server listens: what it binds itself, what systemd and inetd hand over; and how it says
# that it is ready.

load lib/server

setup_file() {
    server_setup_file
    # The others are further instances on its database: who talks to them talks to its users, too.
    server_start main -o presence=off -o db_readers=1
    # How inetd and systemd start theirs: with a file.
    cat >"$T/handed.conf" <<END
mode = development
db_host = $PGHOST
db_name = $DB
db_user = $DB
db_password_file = $T/db_password
jwt_secret_file = $T/jwt_secret
run_dir = $T/handed.run
log_file = $T/handed.log
log_level = debug
bcrypt_cost = 4
db_readers = 1
auth_workers = 1
presence = off
user = daemon
session_user = nobody
END
}

teardown_file() {
    server_teardown_file
}

# --- bound by itself ---

@test "listen: several IPv4 addresses, with a port and without; the ready line names all" {
    py - <<'PY'
from server import *
u = user()
[number] = free_ports()
with Server("-o", f"listen=127.0.0.1, 127.0.0.2:{number},127.0.0.3") as s:
    first, second, third = s.addresses
    assert first.startswith("127.0.0.1:") and second == f"127.0.0.2:{number}", s.addresses
    # Entries without a port have the same one.
    assert third == first.replace("127.0.0.1", "127.0.0.3")
    for address in s.addresses:
        host, _, p = address.rpartition(":")
        c = http.client.HTTPConnection(host, int(p), timeout=WAIT)
        c.request("GET", "/users", headers={"Authorization": f"Bearer {u.token}"})
        assert c.getresponse().status == 200
        c.close()
    assert f"ready: {' '.join(s.addresses)}" in s.log()
PY
}

@test "listen: IPv6 is served where the machine has it, and left out with a warning where not" {
    py - <<'PY'
from server import *
try:
    socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    has_ipv6 = True
except OSError:
    has_ipv6 = False
with Server("-o", "listen=127.0.0.1, [::1]") as s:
    if not has_ipv6:
        assert len(s.addresses) == 1 and "left out" in s.log()
        sys.exit(0)
    four, six = s.addresses
    assert six == "[::1]:" + four.rsplit(":", 1)[1], s.addresses
    c = socket.create_connection(("::1", port(s.name)), WAIT)
    eventually(lambda: s.children("session - ::1"))
    c.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert read_all(c).startswith(b"HTTP/1.1 401")
with Server("-o", f"listen=[::1]:{free_ports()[0]}") as s:
    assert s.addresses[0].startswith("[::1]:")
PY
}

@test "listen: a Unix socket serves HTTP and WebSocket, and is removed at the end" {
    py - <<'PY'
from server import *
u = user()
path = f"{T}/{some_name('u')}"
with Server("-o", f"listen=unix:{path}") as s:
    assert s.addresses == [f"unix:{path}"]
    out = subprocess.run(["curl", "-sS", "-m", "15", "--unix-socket", path, "http://localhost/users",
                          "-H", f"Authorization: Bearer {u.token}"], check=True,
                         capture_output=True).stdout
    assert u.id in [x["id"] for x in json.loads(out)]
    async def chat():
        ws = await wsclient.unix_connect(path, "ws://localhost/ws", ping_interval=None,
                                         headers={"Authorization": f"Bearer {u.token}"})
        await ws.send(json.dumps({"type": "message", "id": "c", "content": "unix",
                                  "data": {"receiver_id": u.id}}))
        return ws, {json.loads(await ws.recv())["type"] for _ in range(2)}
    ws, types = run(chat())
    assert types == {"ack", "message"}
    assert s.children(f"session {u.name} unix"), s.children()
    run(ws.close())
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert not os.path.exists(path)
PY
}

@test "listen: a Unix socket that was left behind is replaced, one that is served is refused" {
    py - <<'PY'
from server import *
path = f"{T}/{some_name('u')}"
left = socket.socket(socket.AF_UNIX)
left.bind(path)
left.close()
with Server("-o", f"listen=unix:{path}") as s:
    name = some_name()
    out = refused(*options(name), *SECRETS, "-o", f"listen=unix:{path}")
    assert f"another server answers at unix:{path}" in out, out
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    c.close()
PY
}

@test "listen: a file in the place of a Unix socket is not ours to remove" {
    py - <<'PY'
from server import *
path = f"{T}/{some_name('u')}"
with open(path, "w") as f:
    f.write("precious")
out = refused(*options(some_name()), *SECRETS, "-o", f"listen=unix:{path}")
assert f"listen: unix:{path}: " in out, out
assert open(path).read() == "precious"
PY
}

@test "a port that is in use: a clear error and status 1" {
    py - <<'PY'
from server import *
number = port()
out = refused(*options(some_name()), *SECRETS, "-o", f"listen=127.0.0.1:{number}")
assert f"listen: 127.0.0.1 port {number}: Address already in use" in out, out
out = refused(*options(some_name()), *SECRETS, "-o", f"listen=127.0.0.1", "-o", f"port={number}")
assert f"port {number}: Address already in use" in out, out
assert len(out.splitlines()) == 1, out
PY
}

@test "a restart takes the port at once, whatever is left of old connections" {
    py - <<'PY'
from server import *
u = user()
[number] = free_ports()
for _ in range(2):
    with Server("-o", "listen=127.0.0.1", "-o", f"port={number}") as s:
        a = connect(u.token, s.name)
        s.kill(signal.SIGTERM)
        assert a.closed() == 1012 and s.ended() == 0
PY
}

# bad_listen VALUE WORDS: is refused with these words.
bad_listen() {
    py - "$@" <<'PY'
from server import *
value, words = sys.argv[1:]
given = [*options(some_name()), *SECRETS, "-o", f"listen={value}"]
# What the start refuses -t refuses, too, unless it depends on the machine.
for arguments in given, ["-t", *given]:
    if arguments[0] == "-t" and words == "No such file or directory":
        continue
    out = refused(*arguments)
    assert "listen: " in out and words in out, out
    assert len(out.splitlines()) == 1 and "bug" not in out, out
PY
}

@test "listen: a name, or a number that is no address, is refused with what would be right" {
    bad_listen 'localhost' 'give an IPv4 address, an IPv6 address in [], * or unix:/path'
    bad_listen 'localhost.example' 'give an IPv4 address, an IPv6 address in [], * or unix:/path'
    bad_listen '127.0.0.256' 'give an IPv4 address'
    bad_listen '::1' 'give an IPv4 address'
}

@test "listen: a port that is no number, or none from 0 to 65535, is refused" {
    bad_listen '127.0.0.1:http' 'port "http"'
    bad_listen '127.0.0.1:-1' 'port "-1"'
    bad_listen '127.0.0.1:70000' '70000'
}

@test "listen: a bracket without its other half, and text after it, are refused" {
    bad_listen '[::1' 'the ] is missing'
    bad_listen '[::1]junk:0' 'junk'
}

@test "listen: two entries without a comma between them are refused" {
    bad_listen '127.0.0.1 127.0.0.2' '127.0.0.2'
}

@test "listen: an entry without an address is refused, and not taken for all addresses" {
    bad_listen '127.0.0.1, :0' 'give an IPv4 address'
    # With a port that is taken, lest anything but loopback be listened on even if this fails.
    bad_listen ":$(server_port)" 'give an IPv4 address'
}

@test "listen: a Unix socket needs an absolute path that fits, in a folder that exists" {
    bad_listen 'unix:relative' '"unix:relative": needs an absolute path'
    bad_listen 'tls:unix:relative' '"unix:relative": needs an absolute path'
    bad_listen "unix:/$(printf 'x%.0s' {1..120})" 'at most 107 bytes'
    bad_listen "unix:$T/nowhere/socket" 'No such file or directory'
}

@test "listen: an empty list is refused" {
    bad_listen '' 'no address'
    bad_listen ' , ' 'no address'
}

# --- systemd ---

@test "systemd: several sockets handed over are served; nothing of listen is bound" {
    py - <<'PY'
from server import *
u = user()
one, two = free_ports(2)
name = some_name()
with Process(["systemd-socket-activate", "-l", f"127.0.0.1:{one}", "-l", f"127.0.0.1:{two}",
              CHATD, *options(name), *SECRETS, "-o", "listen=127.0.0.9:1"], name) as p:
    p.logged(f"127.0.0.1:{two}")
    set_address(name, f"127.0.0.1:{one}")
    a = connect(u.token, name)
    p.logged(f"ready: 127.0.0.1:{one} 127.0.0.1:{two}")
    set_address(name, f"127.0.0.1:{two}")
    b = connect(u.token, name)
    a.message(u.id, "to the other socket")
    assert b.expect("message")["content"] == "to the other socket"
    assert children("broker", "main") and len([t for t in p.tree().values() if "broker" in t]) == 1
    # Whose pid systemd meant: the environment that says it is for nobody else, and gone.
    for pid in [p.pid, *p.tree()]:
        assert b"LISTEN_" not in open(f"/proc/{pid}/environ", "rb").read()
    p.kill(signal.SIGTERM)
    assert a.closed() == 1012 and p.ended() == 0
PY
}

@test "a socket handed over: who comes while the server stops waits in its queue for the next one" {
    py - <<'PY'
from server import *
u = user()
listener = socket.create_server(("127.0.0.1", 0), backlog=16)
with Server("-o", "drain_time=1h", **handed(listener)) as first:
    old = connect(u.token, first.name)
    [pid] = first.children(f"session {u.name}")
    os.kill(pid, signal.SIGSTOP)
    first.kill(signal.SIGTERM)
    first.logged("every client was told")
    late = raw(f"GET /users HTTP/1.0\r\nAuthorization: Bearer {u.token}\r\n\r\n".encode(), first.name)
    os.kill(pid, signal.SIGCONT)
    assert old.closed() == 1012 and first.ended() == 0
    assert not select.select([late], [], [], 0)[0]
    with Server(**handed(listener)) as second:
        assert second.addresses == first.addresses
        assert read_all(late).startswith(b"HTTP/1.1 200")
        connect(u.token, second.name).ping()
listener.close()
PY
}

@test "LISTEN_PID of another process: the sockets are not ours, and listen counts" {
    py - <<'PY'
from server import *
with Server(env={"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}) as s:
    assert s.addresses[0].startswith("127.0.0.1:")
PY
}

# serves_single COMMAND…: a tree of its own for every connection, until that ends. PORT in the
# arguments stands for a free one.
serves_single() {
    py - "$@" <<'PY'
import chat
from server import *
alice, bob = user(), user()
name = some_name("single")
[number] = free_ports()
command = [a.replace("PORT", str(number)).replace("CHATD", CHATD) for a in sys.argv[1:]]
if command[0].endswith("inetd"):
    with open(f"{T}/{name}.inetd", "w") as f:
        who = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        f.write(f"127.0.0.1:{number} stream tcp nowait {who} {CHATD} chatd -i -f {T}/handed.conf\n")
    command.append(f"{T}/{name}.inetd")
def single_folders():
    return [f for f in os.listdir(f"{T}/handed.run") if f.startswith("single.")]
def listening():
    try:
        socket.create_connection(("127.0.0.1", number), WAIT).close()
        return True
    except ConnectionRefusedError:
        return False
with Process(command, name) as p:
    set_address(name, f"127.0.0.1:{number}")
    eventually(listening)
    eventually(lambda: not p.tree())
    url = f"http://127.0.0.1:{number}/users"
    out = subprocess.run(["curl", "-sS", "-m", "20", url, url, "-H", f"Authorization: Bearer {alice.token}",
                          "-w", "%{http_code} %{num_connects}\n"], capture_output=True, text=True)
    assert out.returncode == 0 and out.stdout.count(alice.name) == 2, (out, p.log())
    # One connection for both, and each transfer says how many it had to make.
    assert "200 1\n" in out.stdout and "200 0\n" in out.stdout, out.stdout
    eventually(lambda: not p.tree())
    # A WebSocket there chats with a user of the main instance.
    a, b = connect(alice.token, name), connect(bob.token, "main")
    a.message(bob.id, "from the single one", "c-1")
    assert b.expect("message")["content"] == "from the single one" and a.expect("ack")
    b.message(alice.id, "to the single one")
    assert a.expect("message")["content"] == "to the single one"
    titles = sorted(p.tree().values())
    assert titles == ["chatd: auth", "chatd: broker", "chatd: master",
                      f"chatd: session {alice.name} 127.0.0.1"], titles
    # A second connection is a second tree, and the end of the first is not its.
    c = connect(bob.token, name)
    assert sorted(p.tree().values()).count("chatd: master") == 2
    assert len(single_folders()) == 2
    [first] = [pid for pid, title in p.tree().items() if alice.name in title]
    a.close()
    all_gone([first])
    # At once: nothing is left for it to wait for.
    eventually(lambda: sorted(p.tree().values()).count("chatd: master") == 1, 5)
    c.message(alice.id, "still here", "c-2")
    c.until("ack")
    # A client that is gone without a word.
    everybody = p.tree()
    chat._loop.call_soon_threadsafe(c.socket.transport.abort)
    eventually(lambda: not p.tree(), 5)
    all_gone(everybody)
    assert single_folders() == []
    assert p.process.poll() is None
PY
}

@test "systemd, Accept=yes: a tree for every connection, which ends with it" {
    serves_single systemd-socket-activate --accept -l 127.0.0.1:PORT CHATD -i -f "$T/handed.conf"
}

@test "systemd, Accept=yes with StandardInput=socket: the same" {
    serves_single systemd-socket-activate --accept --inetd -l 127.0.0.1:PORT CHATD -i -f "$T/handed.conf"
}

# --- inetd ---

inetd_program() {
    local path
    for path in inetd /usr/sbin/inetd /usr/sbin/openbsd-inetd; do
        command -v "$path" && return
    done
    fail "no inetd is installed"
}

@test "inetd, nowait: a tree for every connection, which ends with it" {
    serves_single "$(inetd_program)" -i
}

@test "inetd, wait: the first connection starts a server for all; idle_exit ends it; the next starts another" {
    py - "$(inetd_program)" <<'PY'
from server import *
alice, bob = user(), user()
[number] = free_ports()
name = some_name("wait")
who = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
with open(f"{T}/{name}.inetd", "w") as f:
    f.write(f"127.0.0.1:{number} stream tcp wait {who} {CHATD} chatd -i -f {T}/handed.conf "
            f"-o run_dir={T}/{name}.run -o idle_exit=500ms -o log_file={T}/{name}.chatd.log\n")
def master(p):
    found = [pid for pid, title in p.tree().items() if title == "chatd: master"]
    assert len(found) <= 1, p.tree()
    return found[0] if found else None
def listening():
    try:
        socket.create_connection(("127.0.0.1", number), WAIT).close()
        return True
    except ConnectionRefusedError:
        return False
with Process([sys.argv[1], "-i", f"{T}/{name}.inetd"], name) as p:
    set_address(name, f"127.0.0.1:{number}")
    eventually(listening)
    seen_masters = []
    for _ in range(2):
        a = connect(alice.token, name)
        b, far = connect(bob.token, name), connect(bob.token, "main")
        first = master(p)
        assert first and first not in seen_masters
        seen_masters.append(first)
        a.message(bob.id, "hello", "c-%d" % first)
        assert b.expect("message")["content"] == far.expect("message")["content"] == "hello"
        assert a.expect("ack")["data"]["duplicate"] is False
        out = subprocess.run(["curl", "-sS", "-m", "20", f"http://127.0.0.1:{number}/users",
                              "-H", f"Authorization: Bearer {alice.token}"], capture_output=True,
                             text=True, check=True).stdout
        assert bob.name in out
        # With clients it is not idle, however quiet they are.
        a.silent(0.8)
        assert master(p) == first
        everybody = p.tree()
        for c in (a, b, far):
            c.close()
        all_gone(everybody)
        assert not p.tree() and p.process.poll() is None
    log = open(f"{T}/{name}.chatd.log").read()
    assert log.count("stopped") >= 2 and " error " not in log, log
PY
}

@test "chatd -i without a socket on descriptor 0 says for whom it is" {
    py - <<'PY'
from server import *
out = refused("-i", *options(some_name()), *SECRETS)
assert "descriptor 0 is not a socket; this is for inetd and for systemd's Accept=yes" in out, out
PY
}

@test "chatd -i never writes to its client what is for the log" {
    py - <<'PY'
from server import *
mine, theirs = socket.socketpair()
mine.settimeout(WAIT)
p = subprocess.Popen([CHATD, "-i", "-o", "no_such_key=1"], stdin=theirs, stdout=theirs, stderr=theirs,
                     cwd=T)
theirs.close()
assert read_all(mine) == b""
assert p.wait(WAIT) == 1
PY
}

# --- readiness ---

@test "NOTIFY_SOCKET: STATUS and READY=1 when it serves, STOPPING=1 before clients hear of the end" {
    py - <<'PY'
from server import *
def messages(s, until):
    got = []
    while not any(until in m for m in got):
        got.append(s.recv(4096).decode())
    return "".join(got).splitlines()
u = user()
for address, n in notify_socket(), notify_socket("@" + some_name(f"chatd-{os.getpid()}-")):
    with Server(env={"NOTIFY_SOCKET": address}) as s:
        lines = messages(n, "READY=1")
        assert "STATUS=serving" in lines and lines.count("READY=1") == 1, lines
        for pid in [s.pid, *s.tree()]:
            assert b"NOTIFY_SOCKET" not in open(f"/proc/{pid}/environ", "rb").read()
        a = connect(u.token, s.name)
        s.kill(signal.SIGTERM)
        assert "STOPPING=1" in messages(n, "STOPPING=1")
        assert a.closed() == 1012 and s.ended() == 0
    n.close()
PY
}

@test "without its database it is ready all the same, and STATUS says what is missing" {
    py - <<'PY'
from server import *
path, n = notify_socket()
with Server("-o", f"db_host={T}/nowhere", env={"NOTIFY_SOCKET": path}) as s:
    got = ""
    while "READY=1" not in got:
        got += n.recv(4096).decode()
    assert "STATUS=the database is away; the log says why" in got, got
    status, answer = api("POST", "/login", {"username": "u", "password": "p" * 9}, name=s.name)
    assert status == 503 and list(answer) == ["error"]
PY
}

@test "ready_fd: one line with the addresses, then end of file; a descriptor that is not open is an error" {
    py - <<'PY'
from server import *
name = some_name()
ready, theirs = os.pipe()
with Process([CHATD, *options(name), *SECRETS, "-o", "listen=127.0.0.1", "-o", f"ready_fd={theirs}"],
             name, pass_fds=(theirs,)) as p:
    os.close(theirs)
    with open(ready) as f:
        text = f.read()           # to the end: none of its processes holds it open
    assert text.startswith("ready 127.0.0.1:") and text.count("\n") == 1, text
    set_address(name, text.split()[1])
    s = raw(name=name)
    s.close()
    assert p.process.poll() is None
out = refused(*options(some_name()), *SECRETS, "-o", "ready_fd=77")
assert "ready_fd: descriptor 77: Bad file descriptor" in out, out
PY
}
