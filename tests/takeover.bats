#!/usr/bin/env bats
# Updating without an interruption: SIGUSR2 starts the chatd that now lies where the running one was
# started from; old sessions go on in the old tree until their clients leave.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

@test "a new chatd takes over: old clients stay with the old tree, new ones come to the new one, nobody is refused" {
    py - <<'PY'
from takeover import *
alice, bob, carol, dave = (user() for _ in range(4))
with Service("-o", "min_spare=2") as s:
    a, b = connect(alice.token, s.name), connect(bob.token, s.name)
    sessions = s.children("session")
    old_roles = s.children("broker") + s.children("auth")
    spares = s.children("spare")
    with Visitors(s, alice.token) as visitors:
        s.update()
        new = s.take_over()
        visitors.more()
        eventually(lambda: len(s.children("broker") + s.children("auth")) == 2)
        visitors.more()
    assert parents()[s.pid][1] == "chatd: master, retiring" and parents()[new][1] == "chatd: master"
    assert os.readlink(f"/proc/{new}/exe") == f"{s.folder}/chatd"
    assert os.readlink(f"/proc/{s.pid}/exe").endswith(" (deleted)")
    all_gone(spares)
    c, d = connect(carol.token, s.name), connect(dave.token, s.name)
    # Old ones with old ones, and with new ones, both ways.
    assert all(belongs(pid, s.pid) for pid in sessions + old_roles)
    assert sorted(tree(s.pid).values()).count("chatd: broker") == 2
    says(a, b, bob, "old-old")
    says(a, c, carol, "old-new")
    says(c, b, bob, "new-old")
    [session] = s.children(f"session {carol.name} ")
    assert belongs(session, new)
    # What runs has its name for ps.
    for pid in old_roles + s.children("broker") + s.children("auth"):
        assert open(f"/proc/{pid}/comm").read().strip() in ("broker", "auth")
    # The old tree ends with its last client, and only then.
    a.close()
    b.ping()
    assert alive(s.pid)
    b.close()
    assert s.ended() == 0
    all_gone(sessions + old_roles)
    says(c, d, dave, "new-new")
    assert s.run_dir() == left_by(new)
    os.kill(new, signal.SIGTERM)
    assert c.closed() == d.closed() == 1012
    all_gone([new])
    assert s.run_dir() == ["lock"]
    assert " error " not in s.log() and "unknown child" not in s.log(), s.log()
PY
}

@test "while it retires the old tree starts its own broker and auth workers again, not the new ones" {
    py - <<'PY'
from takeover import *
alice, bob = user(), user()
with Service() as s:
    a, k = connect(alice.token, s.name), http.client.HTTPConnection("127.0.0.1", port(s.name), timeout=WAIT)
    def login():
        k.request("POST", "/login", json.dumps({"username": bob.name, "password": password()}),
                  {"Content-Type": "application/json"})
        return k.getresponse()
    assert login().read()
    [broker], [auth] = s.children("broker"), s.children("auth")
    s.update()
    new = s.take_over()
    b = connect(bob.token, s.name)
    for pid in (broker, auth):
        os.kill(pid, signal.SIGKILL)
    def again(title, old):
        return [p for p, (parent, t) in parents().items()
                if parent == s.pid and t == f"chatd: {title}" and p != old]
    for title, old in (("broker", broker), ("auth", auth)):
        eventually(lambda: again(title, old))
        [pid] = again(title, old)
        assert os.readlink(f"/proc/{pid}/exe") == f"{s.folder}/chatd-{title} (deleted)"
        assert open(f"/proc/{pid}/comm").read().strip() == title
    for pid in s.children("broker") + s.children("auth"):
        assert not os.readlink(f"/proc/{pid}/exe").endswith("(deleted)")
    says(a, b, bob, "after")
    says(b, a, alice, "back")
    def logged_in():
        r = login()
        r.read()
        return r.status == 200
    eventually(logged_in)
    k.close()
    a.close()
    assert s.ended() == 0
    b.ping()
PY
}

@test "the successor is replaced in turn; three generations serve at a time, and each ends with its clients" {
    py - <<'PY'
from takeover import *
people = [user() for _ in range(3)]
with Service() as s:
    clients, masters = [connect(people[0].token, s.name)], [s.pid]
    for who in people[1:]:
        s.update()
        masters.append(s.take_over())
        clients.append(connect(who.token, s.name))
    assert [parents()[m][1] for m in masters] == ["chatd: master, retiring"] * 2 + ["chatd: master"]
    for i in range(3):
        for j in range(3):
            if i != j:
                says(clients[i], clients[j], people[j], f"{i}-{j}")
    # In the middle, at the beginning, at the end.
    clients[1].close()
    all_gone([masters[1]])
    says(clients[0], clients[2], people[2], "first-last")
    assert s.run_dir() == left_by(masters[0], masters[2])
    clients[0].close()
    assert s.ended() == 0
    clients[2].ping()
    # A stranger finds the place taken, whoever of them has it.
    out = refused(*options("x"), *SECRETS, "-o", f"run_dir={T}/{s.name}.run")
    assert "is in use by another chatd" in out, out
    os.kill(masters[2], signal.SIGTERM)
    assert clients[2].closed() == 1012
    all_gone(masters)
    assert s.run_dir() == ["lock"]
PY
}

@test "the successor has the arguments and the folder of the first, and reads the configuration anew" {
    py - <<'PY'
from takeover import *
u = user()
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
with open(f"{folder}/c.conf", "w") as f:
    f.write("min_password = 8\nlog_file = own.log\n")
def register(length):
    name = some_name("r")
    return api("POST", "/register", {"username": name, "password": "x" * length,
                                     "email": f"{name}@example.com"}, name=s.name)[0]
with Service("-f", "c.conf", "-o", "min_spare=3", cwd=folder, relative=True) as s:
    s.logfile = f"{folder}/own.log"
    assert register(8) == 201
    with open(f"{folder}/c.conf", "w") as f:
        f.write("min_password = 20\nlog_file = own.log\nbatch_max = 7\n")
    new = s.take_over()
    assert s.ended() == 0
    assert register(8) == 400 and register(20) == 201
    eventually(lambda: len(s.children("spare")) == 3)
    # A reload finds the file again, and what needed a restart has had it.
    with open(f"{folder}/c.conf", "w") as f:
        f.write("min_password = 10\nlog_file = own.log\nbatch_max = 7\n")
    os.kill(new, signal.SIGHUP)
    s.logged("configuration reloaded")
    eventually(lambda: register(10) == 201)
    assert "needs a restart" not in s.log()
PY
}

# --- what goes wrong ---

@test "a successor that does not accept its configuration changes nothing, and another may be started" {
    py - <<'PY'
from takeover import *
u = user()
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
write("max_clients = 50\n")
with Service("-f", conf) as s, Visitors(s, u.token) as visitors:
    a = connect(u.token, s.name)
    write("max_clients = 50\n\nmax_client = 60\n")
    pid = s.ask()
    s.stays(pid)
    assert f"chatd[{pid}] cannot take over: {conf}:3: unknown key \"max_client\"" in s.log(), s.log()
    assert f"chatd[{pid}] exited with status 1 before it took over" in s.log(), s.log()
    a.ping()
    visitors.more()
    write("max_clients = 60\n")
    s.take_over()
    visitors.more()
    a.ping()
    assert s.run_dir() == left_by(s.pid, s.master)
PY
}

@test "a successor, and an old broker that connects anew, use a newer schema that admits them, and no other" {
    py - <<'PY'
from takeover import *
u, v = user(), user()
def newer(compatible_from):
    sql("delete from chatd.schema_version where name = 'newer'; insert into chatd.schema_version"
        f" select max(number) + 1, 'newer', '', now(), max(number) + {compatible_from} from chatd.schema_version")
SAYS, REFUSES = "can use, too", "install the newer chatd"
try:
    with Service() as s:
        a = connect(u.token, s.name)
        newer(0)
        assert s.log().count(SAYS) == 0
        sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'")
        s.logged(SAYS)
        s.take_over()
        b = connect(v.token, s.name)
        def came(text):
            a.message(v.id, text, text)
            return a.until("ack") and b.until("message")["content"] == text
        assert came("across")
        # Once for each broker, however many connections it has.
        assert s.log().count(SAYS) == 2 and REFUSES not in s.log()
        status, output = chatd("-T", *options(s.name), *SECRETS)
        assert status == 0 and SAYS in output, output
        newer(1)
        s.stays(s.ask())
        assert REFUSES in s.log()
        status, output = chatd("-T", *options(s.name), *SECRETS)
        assert status == 1 and REFUSES in output, output
        assert came("as before")
        b.close()
        a.close()
finally:
    sql("delete from chatd.schema_version where name = 'newer'")
PY
}

@test "a successor that cannot use the database changes nothing: it serves nobody, and says so" {
    py - <<'PY'
from takeover import *
u = user()
with Service() as s, Visitors(s, u.token) as visitors:
    a = connect(u.token, s.name)
    # As for one that was written for another schema; the old one goes on with what it has prepared.
    sql("alter function chatd_api.schema_range() rename to schema_range_now")
    try:
        pid = s.ask()
        s.stays(pid)
        assert f"chatd[{pid}] cannot take over: its broker cannot use the database" in s.log(), s.log()
    finally:
        sql("alter function chatd_api.schema_range_now() rename to schema_range")
    a.ping()
    visitors.more()
    s.take_over()
    visitors.more()
    a.ping()
PY
}

# stays_in_service SCRIPT-OR-ACTION WORDS: the successor fails in some way, the log has the words.
stays_in_service() {
    py - "$@" <<'PY'
from takeover import *
how, words = sys.argv[1:]
u = user()
with Service() as s, Visitors(s, u.token) as visitors:
    a = connect(u.token, s.name)
    if how == "gone":
        os.unlink(f"{s.folder}/chatd")
    elif how == "no broker":
        s.update()
        os.unlink(f"{s.folder}/chatd-broker")
    else:
        s.replace(how)
    pid = s.ask()
    s.stays(pid)
    assert words in s.log(), s.log()
    assert s.run_dir() == left_by(s.pid)
    a.ping()
    visitors.more()
    s.update()
    s.take_over()
    visitors.more()
    a.ping()
    assert "unknown child" not in s.log()
PY
}

@test "a successor that crashes changes nothing, and another may be started" {
    stays_in_service 'kill -SEGV $$' 'was killed by signal 11'
}

@test "a successor that is not there changes nothing, and another may be started" {
    stays_in_service gone 'cannot run'
}

@test "a successor that comes half way leaves nothing behind" {
    stays_in_service 'no broker' 'chatd-broker: No such file or directory'
}

@test "a successor that closes its pipe and stays is ended" {
    # shellcheck disable=SC2016 # it is the successor's shell that expands it
    stays_in_service 'for n in 3 4 5 6 7 8; do eval "exec $n>&-"; done; exec sleep 1000' 'was killed by signal 9'
}

@test "a successor that says nothing is ended after half a minute; SIGUSR2 is ignored meanwhile" {
    py - <<'PY'
from takeover import *
u = user()
with Service() as s:
    a = connect(u.token, s.name)
    s.replace("exec sleep 1000")
    pid = s.ask()
    s.kill(signal.SIGUSR2)
    s.logged("SIGUSR2 is ignored: a takeover is under way")
    assert len(s.started()) == 1 and alive(pid)
    connect(u.token, s.name).ping()
    s.logged(f"chatd[{pid}] has said nothing for 30 seconds", 45)
    s.stays(pid)
    connect(u.token, s.name).ping()
    a.ping()
PY
}

@test "SIGTERM while a successor starts ends both" {
    py - <<'PY'
from takeover import *
u = user()
with Service() as s:
    a = connect(u.token, s.name)
    s.replace("exec sleep 1000")
    pid = s.ask()
    s.kill(signal.SIGTERM)
    assert a.closed() == 1012 and s.ended() == 0
    all_gone([pid])
    assert s.run_dir() == ["lock"]
PY
}

@test "SIGTERM to one that retires closes its clients with 1012, and no others; SIGUSR2 is ignored" {
    py - <<'PY'
from takeover import *
alice, bob = user(), user()
with Service() as s:
    a = connect(alice.token, s.name)
    new = s.take_over()
    b = connect(bob.token, s.name)
    s.kill(signal.SIGUSR2)
    s.logged(f"SIGUSR2 is ignored: chatd[{new}] has taken over")
    s.kill(signal.SIGTERM)
    assert a.closed() == 1012 and s.ended() == 0
    b.ping()
    connect(alice.token, s.name).ping()
PY
}

@test "the end of the successor is no matter of the one that retires" {
    py - <<'PY'
from takeover import *
alice, bob = user(), user()
with Service() as s:
    a = connect(alice.token, s.name)
    new = s.take_over()
    b = connect(bob.token, s.name)
    everybody = tree(new)
    os.kill(new, signal.SIGKILL)
    all_gone([new, *everybody])
    a.ping()
    # Its clients can still write to each other.
    a.message(alice.id, "alone", "c-1")
    a.until("ack")
    assert "unknown child" not in s.log() and f"chatd[{new}] was killed" not in s.log()
    a.close()
    assert s.ended() == 0
    # What kill -9 left behind is removed by the next one that starts here.
    assert f"tree.{new}" in s.run_dir()
    with Server("-o", f"run_dir={T}/{s.name}.run") as again:
        assert s.run_dir() == left_by(again.pid)
PY
}

@test "SIGUSR2 to all processes at once replaces the master, once, and harms nobody" {
    py - <<'PY'
from takeover import *
u = user()
with Service() as s:
    a = connect(u.token, s.name)
    others = set(tree(s.pid)) - set(s.children("spare"))
    os.killpg(s.pid, signal.SIGUSR2)
    eventually(lambda: s.started())
    s.successors = s.started()
    s.logged(f"chatd[{s.started()[0]}] has taken over")
    a.ping()
    assert all(alive(pid) for pid in others) and len(s.started()) == 1
PY
}

# --- secrets ---

@test "secrets that only the environment and the command line gave are handed on, and shown nowhere" {
    py - <<'PY'
from takeover import *
import base64
key, role = base64.b64encode(os.urandom(30)).decode(), open(f"{T}/db_password").read().strip()
for how in ({"secrets": [], "env": {"JWT_SECRET": key, "DB_PASSWORD": role}},
            {"secrets": ["-o", f"jwt_secret={key}", "-o", f"db_password={role}"]}):
    with Service(**how) as s:
        alice = user(instance=s.name)
        a = connect(alice.token, s.name)
        for _ in range(2):
            s.update()
            new = s.take_over()
            # A token from before is good, and so is the role's password.
            connect(alice.token, s.name).ping()
            assert api("GET", "/users", token=alice.token, name=s.name)[0] == 200
            eventually(lambda: s.children("broker") and s.children("auth") and s.children("spare"))
            [broker] = s.children("broker")
            assert holds(broker, {key})
            for pid in (new, s.children("spare")[0]):
                assert not holds(pid, {key, role}), (how, pid)
            for pid in [new, *tree(new)]:
                shown = open(f"/proc/{pid}/environ", "rb").read() + open(f"/proc/{pid}/cmdline", "rb").read()
                assert key.encode() not in shown and role.encode() not in shown
                assert b"CHATD_TAKEOVER" not in shown and b"LISTEN_" not in shown
        assert key not in s.log() and role not in s.log()
        a.ping()
PY
}

@test "a secret that a file gives is read anew by the successor, whatever was handed over" {
    py - <<'PY'
from takeover import *
import base64
path = f"{T}/{some_name('key')}"
def write():
    with open(path, "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(base64.b64encode(os.urandom(30)).decode())
write()
with Service(secrets=[*SECRETS[:2], "-o", f"jwt_secret_file={path}"]) as s:
    alice = user(instance=s.name)
    assert api("GET", "/users", token=alice.token, name=s.name)[0] == 200
    write()
    s.take_over()
    eventually(lambda: not alive(s.pid))
    assert api("GET", "/users", token=alice.token, name=s.name)[0] == 401
PY
}

@test "a successor has no descriptors but those of any master" {
    py - <<'PY'
from takeover import *
def kinds(pid):
    return sorted(os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{pid}/fd"))
with Service("-o", "min_spare=1", "-o", "max_spare=1") as s:
    eventually(lambda: len(s.children("spare")) == 1)
    first = kinds(s.pid)
    for _ in range(2):
        old = s.master
        new = s.take_over()
        all_gone([old])
        eventually(lambda: len(s.children("spare")) == 1)
        eventually(lambda: kinds(new) == first, 5)
PY
}

# --- sockets ---

@test "a Unix socket stays while one of them serves it, and is removed by the last" {
    py - <<'PY'
from takeover import *
u = user()
path = f"{T}/{some_name('u')}"
def served():
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    c.sendall(f"GET /users HTTP/1.0\r\nAuthorization: Bearer {u.token}\r\n\r\n".encode())
    assert read_all(c).startswith(b"HTTP/1.1 200")
with Service("-o", f"listen=127.0.0.1, unix:{path}") as s:
    inode = os.stat(path).st_ino
    for _ in range(2):
        old = s.master
        s.take_over()
        all_gone([old])
        served()
        assert os.stat(path).st_ino == inode
    os.kill(s.master, signal.SIGTERM)
    all_gone([s.master])
    assert not os.path.exists(path)
PY
}

@test "sockets that systemd handed over are handed on, and stay open for who comes after all of them" {
    py - <<'PY'
from takeover import *
u = user()
path = f"{T}/{some_name('u')}"
tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
unix.bind(path)
unix.listen(16)
numbers = tcp.fileno(), unix.fileno()
script = f'export LISTEN_PID=$$ LISTEN_FDS=2; exec "$@" 3<&{numbers[0]} 4<&{numbers[1]}'
how = {"program": ["bash", "-c", script, "bash"], "pass_fds": numbers}
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
write("")
with Service("-f", conf, **how) as s:
    a = connect(u.token, s.name)
    s.take_over()
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    c.sendall(b"GET /users HTTP/1.0\r\n\r\n")
    assert read_all(c).startswith(b"HTTP/1.1 401")
    # They are not its own, which it sees as the first did: it may end when it is idle.
    write("idle_exit = 300ms\n")
    new = s.take_over()
    all_gone([new])
    assert os.path.exists(path)
    late = raw(b"GET /users HTTP/1.0\r\n\r\n", s.name)
    a.ping()
with Server(**how) as s:
    assert read_all(late).startswith(b"HTTP/1.1 401")
PY
}

@test "run_dir may be another directory for the successor, and each leaves its own in order" {
    py - <<'PY'
from takeover import *
u, v = user(), user()
name = some_name()
link, places = f"{T}/{name}.run", [f"{T}/{some_name('r')}" for _ in range(2)]
for place in places:
    os.mkdir(place, 0o700)
os.symlink(places[0], link)
with Service(name=name) as s:
    a = connect(u.token, name)
    os.unlink(link)
    os.symlink(places[1], link)
    new = s.take_over()
    b = connect(v.token, name)
    assert [sorted(os.listdir(p)) for p in places] == [left_by(s.pid), left_by(new)]
    says(a, b, v, "across")
    a.close()
    assert s.ended() == 0
    b.ping()
    assert [sorted(os.listdir(p)) for p in places] == [left_by(), left_by(new)]
PY
}

# --- who watches ---

@test "NOTIFY_SOCKET: systemd hears of the new main process from the old one, and of an end only from the new" {
    py - <<'PY'
from takeover import *
u = user()
path, n = notify_socket()
n.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
import struct
def message():
    """(pid, lines)"""
    text, control, _, _ = n.recvmsg(4096, 1024)
    return struct.unpack("3i", control[0][2])[0], text.decode().splitlines()
got = []
def until(pid, line):
    while not any(p == pid and line in lines for p, lines in got):
        got.append(message())
with Service(env={"NOTIFY_SOCKET": path}) as s:
    until(s.pid, "READY=1")
    a = connect(u.token, s.name)
    # One that gives up says nothing of an end: the service goes on.
    sql("alter function chatd_api.schema_range() rename to schema_range_now")
    failed = s.ask()
    s.stays(failed)
    sql("alter function chatd_api.schema_range_now() rename to schema_range")
    new = s.take_over()
    until(s.pid, f"MAINPID={new}")
    # It spoke before the old one named it.
    until(new, "READY=1")
    assert got.index((new, ["READY=1"])) < got.index((s.pid, [f"MAINPID={new}"]))
    for pid in [new, *tree(new)]:
        assert b"NOTIFY_SOCKET" not in open(f"/proc/{pid}/environ", "rb").read()
    s.kill(signal.SIGTERM)
    assert a.closed() == 1012 and s.ended() == 0
    os.kill(new, signal.SIGTERM)
    until(new, "STOPPING=1")
    assert not [x for x in got if x[0] in (s.pid, failed) and "STOPPING=1" in x[1]]
n.close()
PY
}

# ignores_in_inetd KIND: SIGUSR2 is ignored with a line in the log by a chatd that inetd, or systemd
# with Accept=yes, started.
ignores_in_inetd() {
    py - "$1" <<'PY'
from takeover import *
u = user()
name = some_name()
listener = socket.create_server(("127.0.0.1", 0))
set_address(name, "127.0.0.1:%d" % listener.getsockname()[1])
a = raw(f"GET /users HTTP/1.1\r\nHost: x\r\n\r\n".encode(), name)
given = listener if sys.argv[1] == "wait" else listener.accept()[0]
number = given.fileno()
script = (f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{number}' if sys.argv[1] == "accept" else
          f'exec "$@" <&{number} >&{number}')
with Process(["bash", "-c", script, "bash", CHATD, "-i", *options(name), *SECRETS],
             name, pass_fds=(number,)) as p:
    if given is not listener:
        given.close()
    assert a.recv(12) == b"HTTP/1.1 401"
    p.kill(signal.SIGUSR2)
    p.logged("SIGUSR2 is ignored: ")
    assert " to take over" not in p.log()
    a.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert read_all(a).count(b"HTTP/1.1 401") == 1
listener.close()
PY
}

@test "a chatd for a single connection is not replaced" {
    ignores_in_inetd nowait
}

@test "a chatd for a single connection, from systemd, is not replaced" {
    ignores_in_inetd accept
}

@test "a chatd that inetd waits for is not replaced" {
    ignores_in_inetd wait
}
