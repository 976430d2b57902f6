#!/usr/bin/env bats
# Where the log goes: a file that is renamed and begun anew, or the journal; who can write to it.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

@test "SIGHUP begins the log anew for all processes, also for connections that are open; without it none moves" {
    py - <<'PY'
from server import *
u = user()
path = f"{T}/{some_name()}.file"
def read(name):
    with open(name) as f:
        return f.read()
with Server("-o", f"log_file={path}") as s:
    def everybody_speaks():
        """The broker of a bad token, the master of a dead worker."""
        try:
            connect("x.y.z", s.name)
        except Refused:
            pass
        [auth] = s.children("auth")
        os.kill(auth, signal.SIGKILL)
        eventually(lambda: s.children("auth") not in ([], [auth]))
        return [f"broker[{s.children('broker')[0]}]: ", "token refused",
                f"auth worker[{auth}] was killed by signal 9"]
    clients = [connect(u.token, s.name) for _ in range(2)]
    sessions = s.children(f"session {u.name}")
    os.rename(path, f"{path}.1")
    for words in everybody_speaks():
        eventually(lambda: words in read(f"{path}.1"))
    assert not os.path.exists(path)
    s.kill(signal.SIGHUP)
    eventually(lambda: os.path.exists(path) and "configuration reloaded" in read(path))
    old = read(f"{path}.1")
    [broker] = s.children("broker")
    os.kill(broker, signal.SIGKILL)     # which each session speaks of
    eventually(lambda: s.children("broker") not in ([], [broker]))
    for c in clients:
        c.ping()
    for words in everybody_speaks() + [f" session[{pid}]" for pid in sessions]:
        eventually(lambda: words in read(path))
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert read(f"{path}.1") == old
    assert read(path).splitlines()[-1].endswith(f" info master[{s.pid}]: stopped")
    assert not s.log(), s.log()     # nothing on standard error
PY
}

@test "log_file: a link, another user's file, a second name: refused at the start; on SIGHUP the log stays" {
    py - <<'PY'
from server import *
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
path, other = f"{folder}/log", f"{folder}/other"
def link():
    os.symlink(other, path)
def hard_link():
    os.link(other, path)
def folder_in_its_place():
    os.mkdir(path)
def pipe():
    os.mkfifo(path)
def anothers():
    open(path, "w").close()
    os.chown(path, 1, -1)
rows = [(link, "is a symbolic link; name the file itself"), (hard_link, "has another name, too"),
        (folder_in_its_place, "Is a directory"), (pipe, "No such device or address")]
if os.geteuid() == 0:
    rows.append((anothers, "belongs to another user"))
open(other, "w").close()
with Server("-o", f"log_file={path}") as s:
    for put, words in rows:
        os.rename(path, f"{path}.1")
        put()
        output = refused(*options("x"), *SECRETS, "-o", f"log_file={path}")
        assert f"log_file: {path}: {words}" in output, output
        s.kill(signal.SIGHUP)
        def said():
            with open(f"{path}.1") as f:
                return f.read()
        eventually(lambda: f"log_file: {path}: {words}" in said() and
                   said().count("configuration reloaded") == rows.index((put, words)) + 1)
        assert os.path.getsize(other) == 0
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        os.rename(f"{path}.1", path)
PY
}

# bats test_tags=root
@test "log_file: a session that was taken over can neither pass for another nor make anybody wait" {
    py - <<'PY'
from server import *
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
u = user()
path = f"{T}/{some_name()}.file"
def read():
    with open(path) as f:
        return f.read()
with Server("-o", f"log_file={path}", "-o", "min_spare=1") as s:
    a = connect(u.token, s.name)
    other = raw(name=s.name)
    eventually(lambda: len(s.children("session - ")) == 1)
    [session] = s.children(f"session {u.name}")
    pidfd = os.pidfd_open(session)
    log = libc.syscall(438, pidfd, 4, 0)    # pidfd_getfd: the session's log is ours, too
    assert log >= 0, os.strerror(ctypes.get_errno())
    me = os.getpid()
    for line in (b"<3>broker[1]: forged\n<3>master[2]: again\n", b"2026-01-01T00:00:00.000Z error x\n",
                 b"<9>odd", b"", b"\x1b[31m" + b"z" * 5000):
        os.write(log, line)
    eventually(lambda: "zzz" in read())
    mine = [line for line in read().splitlines() if f" process {me}: " in line]
    assert [m.split(f" process {me}: ")[1][:45] for m in mine] == [
        "broker[1]: forged?<3>master[2]: again?", "2026-01-01T00:00:00.000Z error x", "<9>odd", "",
        "?[31m" + "z" * 40], mine
    assert " error process" in mine[0] and " warning process" in mine[1] and len(mine[4]) < 1200
    # A flood, while the master reads nothing: nobody waits, and what the broker says is kept.
    s.kill(signal.SIGSTOP)
    os.set_blocking(log, False)
    try:
        while True:
            os.write(log, b"<7>flood")
    except BlockingIOError:
        pass
    a.ping()
    other.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x.y.z\r\n\r\n")
    assert other.recv(12) == b"HTTP/1.1 401"
    s.kill(signal.SIGCONT)
    eventually(lambda: "token refused" in read())
    eventually(lambda: read().count("flood") > 100)
    a.close()
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
PY
}

@test "the journal: lines carry <N> and no time, from the first on; another JOURNAL_STREAM changes nothing" {
    py - <<'PY'
from server import *
import re
u = user()
ours, theirs = socket.socketpair()
st = os.fstat(theirs.fileno())
journal = f"{st.st_dev}:{st.st_ino}"
def start(stream, *more):
    name = some_name()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return name, subprocess.Popen([CHATD, *options(name), *SECRETS, *more], stdin=subprocess.DEVNULL,
        stdout=theirs, stderr=theirs, env={**environment, "JOURNAL_STREAM": stream}, cwd=T,
        start_new_session=True)
text = ""
def read_until(words):
    global text
    ours.settimeout(WAIT)
    while words not in text:
        text += ours.recv(65536).decode()
name, p = start(journal)
read_until("ready: ")
set_address(name, re.search(r"ready: (\S+)", text)[1])
try:
    connect("x.y.z", name)
except Refused:
    pass
read_until("token refused")
connect(u.token, name).close()
p.terminate()
assert p.wait(WAIT) == 0
read_until("stopped\n")
lines = text.splitlines()
bad = [line for line in lines if not re.match(r"<[3467]>(master|broker|auth|session)\[\d+\]", line)]
assert not bad and {m for m in re.findall(r"^<(\d)>broker", text, re.M)} >= {"6"}, text
# What is said before the configuration is known.
text = ""
_, p = start(journal, "-o", "listen=localhost")
assert p.wait(WAIT) == 1
read_until("\n")
assert text.startswith("<3>chatd: -o: listen: "), text
text = ""
_, p = start(f"{st.st_dev}:{st.st_ino + 1}")
read_until("ready: ")
p.terminate()
assert p.wait(WAIT) == 0
assert re.match(r"20\d\d-\d\d-\d\dT[0-9:.]*Z \w+ (master|broker)\[\d+\]: ", text), text
PY
}

# bats test_tags=root
@test "SIGUSR2: root runs no chatd that another user could have put in its place" {
    py - <<'PY'
from server import *
import re
import shutil
folder = f"{T}/{some_name('d')}"
os.makedirs(f"{folder}/in")
for program in "chatd", "chatd-broker", "chatd-auth", "chatd-signer":
    shutil.copy(f"{BUILD}/{program}", f"{folder}/in/{program}")
program = f"{folder}/in/chatd"
link = f"{folder}/link"
os.symlink("in/chatd", link)
with Server(chatd=link) as s:
    rows = [(program, 1, None, "belongs to another user"), (folder, 1, None, "belongs to another user"),
            (f"{folder}/in", None, 0o775, "may be written by others"), (link, 1, None, "belongs to another user"),
            (program, None, 0o757, "may be written by others")]
    for path, owner, mode, words in rows:
        before = s.log().count("not taking over: ")
        if owner is not None:
            os.chown(path, owner, -1, follow_symlinks=False)
        else:
            os.chmod(path, mode)
        s.kill(signal.SIGUSR2)
        eventually(lambda: s.log().count("not taking over: ") == before + 1)
        assert s.log().rsplit("not taking over: ", 1)[1].startswith(f"{path}: {words}"), s.log()
        if owner is not None:
            os.chown(path, 0, -1, follow_symlinks=False)
        else:
            os.chmod(path, 0o755)
    assert "to take over" not in s.log()
    s.kill(signal.SIGUSR2)
    s.logged("has taken over")
    successor = int(re.search(r"chatd\[(\d+)\] has taken over", s.log())[1])
    assert s.ended() == 0
    os.kill(successor, signal.SIGTERM)
    all_gone([successor])
PY
}

# --- floods ---

# At the usual level: with log_level = debug, as elsewhere in the tests, nothing is counted.
@test "whatever floods of one address do, they write a few lines, with the address, that say how many they stand for" {
    py - <<'PY'
from floods import *
from frames import *
from tls import Pair
pair = Pair()
path = f"{T}/{some_name('u')}"
with Server(*pair.options(), "-o", "log_level=info", "-o", "login_failures=0", "-o", "login_delay=0",
            "-o", f"listen=127.0.0.1, tls:127.0.0.1:{free_ports()[0]}, unix:{path}") as s, \
        Server("-o", "log_level=info", "-o", "max_clients_per_address=40") as few:
    plain, tls, _ = s.addresses
    def at(address):
        set_address(s.name, address)
    at(plain)
    def pipelined():
        """Eight connections at a time."""
        for _ in range(8):
            for c in [raw(bad(10), s.name) for _ in range(8)]:
                assert read_all(c).count(b" 401 ") == 10
    def one_by_one():
        for _ in range(100):
            assert b" 401 " in read_all(raw(bad(1), s.name))
    def websockets():
        for _ in range(100):
            got = read_all(raw(handshake(None, {"Sec-WebSocket-Protocol": "chatd.v1, bearer.x.y.z"}), s.name))
            assert b" 101 " in got and struct.pack("!H", 4401) in got, got
    def logins():
        body = b'{"username":"nobody","password":"wrong-words"}'
        for _ in range(10):
            assert b" 401 " in read_all(raw(post("/login", body, {"Connection": "close"}), s.name))
    def malformed():
        for n in range(100):
            read_all(raw((b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET /users\r\n\r\n", b"x" * 9000)[n % 4], s.name))
    def come_and_go():
        for _ in range(10):
            for _ in range(20):
                raw(name=s.name).close()
            eventually(lambda: not s.children("session"))
    def too_many():
        kept = [raw(name=few.name) for _ in range(40)]
        eventually(lambda: len(few.children("session")) == 40)
        for _ in range(300):
            assert b" 503 " in read_all(raw(b"", few.name))
    def in_tls(data):
        def flood():
            at(tls)
            for _ in range(100):
                c = raw(data, s.name)
                with contextlib.suppress(OSError):      # it may have closed already
                    c.shutdown(socket.SHUT_WR)
                read_all(c)
            at(plain)
        return flood
    floods = [(pipelined, "token refused: ", 640), (one_by_one, "token refused: ", 100), (websockets, "token refused: ", 100),
              (logins, "", 0), (malformed, "", 0), (come_and_go, "", 0),
              (in_tls(b""), "left during the TLS handshake", 100), (in_tls(b"x" * 100), "TLS failed", 100),
              (in_tls(b"GET / HTTP/1.1\r\n\r\n"), "plain HTTP on a port of TLS", 100)]
    def check(server, flood, words, number):
        log = Log(server)
        flood()
        if number:
            eventually(lambda: log.told(words) >= number)
        assert log.told(words) == number, (words, number, log.new())
        assert len(log.new()) <= log.most(), (words, log.new())
        assert sum(map(len, log.new())) <= 20000 * log.seconds(), (words, log.new())
        assert all("; from 127.0.0.1" in line for line in log.new()), log.new()
    for flood in floods:
        check(s, *flood)
    check(few, too_many, "a client was refused: ", 300)
PY
}

@test "who is refused is in the log, once for many: beyond max_clients, and beyond max_clients_per_address" {
    py - <<'PY'
from floods import *
for key in "max_clients", "max_clients_per_address":
    with Server("-o", "log_level=info", "-o", f"{key}=5") as s:
        log = Log(s)
        kept = [raw(name=s.name) for _ in range(5)]
        eventually(lambda: len(s.children("session")) == 5)
        for _ in range(300):
            assert b" 503 " in read_all(raw(b"", s.name))
        eventually(lambda: log.told("a client was refused: ") >= 300)
        assert log.told("a client was refused: ") == 300, log.new()
        lines = log.lines("warning master[", f"see {key} in chatd.conf(5); from 127.0.0.1")
        assert lines == log.new() and len(lines) <= log.most(), log.new()
PY
}

@test "what an operator must see is seen during a flood: other kinds of lines are not held back, nor is another address" {
    py - <<'PY'
from floods import *
path = f"{T}/{some_name()}.file"
for more in [], ["-o", f"log_file={path}"]:
    with Server("-o", "log_level=info", *more) as s:
        log = Log(s, path if more else None)
        def flood():
            read_all(raw(bad(10), s.name))
            return True
        for kind in "auth", "broker", "spare":
            for _ in range(30):
                flood()
            pid = s.children(kind)[0]
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: flood() and f"[{pid}] was killed by signal 9" in log.text())
        eventually(lambda: flood() and log.text().count("the database is up") == 2)
        assert len(log.lines("token refused: ")) <= 2 * log.most(), log.new()      # two brokers
        c = socket.create_connection(("127.0.0.1", port(s.name)), WAIT, ("127.0.0.9", 0))
        c.sendall(bad(1))
        read_all(c)
        eventually(lambda: log.lines("token refused: ", "; from 127.0.0.9"))
        s.kill(signal.SIGHUP)
        eventually(lambda: "configuration reloaded" in log.text())
        s.kill(signal.SIGUSR2)
        eventually(lambda: "to take over" in log.text())
        eventually(lambda: "has taken over" in log.text())
        successor = int(re.search(r"chatd\[(\d+)\] has taken over", log.text())[1])
        assert s.ended() == 0
        os.kill(successor, signal.SIGTERM)
        all_gone([successor])
PY
}

@test "log_level = debug: nothing is counted" {
    py - <<'PY'
from floods import *
with Server() as s:
    log = Log(s)
    for _ in range(10):
        assert read_all(raw(bad(10), s.name)).count(b" 401 ") == 10
    eventually(lambda: len(log.lines("token refused: ")) == 100)
    assert not log.lines(", and ")
PY
}

@test "a number that was counted is told when the process ends, not only after a second" {
    py - <<'PY'
from floods import *
with Server("-o", "log_level=info", "-o", "max_clients_per_address=1") as s:
    log = Log(s)
    first = raw(request("/users", "x.y.z") * 8, s.name)
    answers = b""
    while answers.count(b"HTTP/1.1 401 ") < 8:
        answers += first.recv(65536)
    for _ in range(50):
        assert b" 503 " in read_all(raw(b"", s.name))
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert log.told("a client was refused: ") == 50, log.new()
    assert log.told("token refused: ") == 8, log.new()
PY
}
