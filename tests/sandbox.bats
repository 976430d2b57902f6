#!/usr/bin/env bats
# bats file_tags=once
#
# What the processes must not do: a program tries it, closed in as they are, and the live ones are
# looked at. A build for AddressSanitizer closes nothing in, so this is for the other one alone.

load lib/server

setup_file() {
    export SIGSYS_EXPECTED=1
    server_setup_file
    server_start main -o presence=off -o min_spare=2 -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

# expects ROLE OTHERWISE: the role tries everything; lines "NAME RESULT" on standard input say what
# has to come out, and OTHERWISE for the rest.
expects() {
    py - "$1" "$2" "$BUILD/unit/probe" "$(cat)" <<'PY'
import subprocess, sys
role, otherwise, program, text = sys.argv[1:]
out = subprocess.run([program, role], check=True, capture_output=True, text=True).stdout
got = dict(line.split(" ", 2)[1:] for line in out.splitlines())
assert len(got) >= 60, len(got)
want = dict(line.split(" ", 1) for line in text.splitlines() if line)
assert set(want) - set(got) <= {"x32_call", "i386_call"}, set(want) - set(got)
wrong = {name: result for name, result in got.items() if result != want.get(name, otherwise)}
assert not wrong, wrong
PY
}

# --- tried ---

@test "a session that tries anything but to talk to its client and the broker ends, or is denied" {
    expects session 'killed 31' <<'END'
shut_client allowed
unix_stream allowed
connect_to_broker allowed
use_memory allowed
talk allowed
compute allowed
sign allowed
unix_datagram denied EACCES
unix_packet denied EACCES
tcp_socket denied EACCES
udp_socket denied EACCES
raw_socket denied EACCES
packet_socket denied EACCES
connect_tcp denied EACCES
serve_tcp denied EACCES
unmap_address denied EINVAL
move_address denied ENOMEM
drop_address allowed
abort_itself killed 6
END
}

@test "an auth worker that tries anything but to answer the broker ends, or is denied" {
    expects auth 'killed 31' <<'END'
use_memory allowed
compute allowed
set_timer allowed
unix_stream denied EACCES
connect_to_broker denied EACCES
connect_to_others denied EACCES
connect_abstract denied EACCES
unix_datagram denied EACCES
unix_packet denied EACCES
tcp_socket denied EACCES
udp_socket denied EACCES
raw_socket denied EACCES
packet_socket denied EACCES
connect_tcp denied EACCES
serve_tcp denied EACCES
unmap_address allowed
move_address denied ENOMEM
abort_itself killed 6
END
}

@test "a signer that tries anything but to answer the broker ends, or is denied" {
    expects signer 'killed 31' <<'END'
use_memory allowed
sign allowed
unix_stream denied EACCES
connect_to_broker denied EACCES
connect_to_others denied EACCES
connect_abstract denied EACCES
unix_datagram denied EACCES
unix_packet denied EACCES
tcp_socket denied EACCES
udp_socket denied EACCES
raw_socket denied EACCES
packet_socket denied EACCES
connect_tcp denied EACCES
serve_tcp denied EACCES
unmap_address allowed
move_address denied ENOMEM
abort_itself killed 6
END
}

@test "an exporter that tries anything but to answer who connects ends, or is denied" {
    expects exporter 'killed 31' <<'END'
use_memory allowed
serve_visitor allowed
shut_client allowed
unix_stream denied EACCES
connect_to_broker denied EACCES
connect_to_others denied EACCES
connect_abstract denied EACCES
unix_datagram denied EACCES
unix_packet denied EACCES
tcp_socket denied EACCES
udp_socket denied EACCES
raw_socket denied EACCES
packet_socket denied EACCES
connect_tcp denied EACCES
serve_tcp denied EACCES
unmap_address allowed
move_address denied ENOMEM
abort_itself killed 6
END
}

@test "a broker reads files and connects; to run, make, or look into a process is its end, the rest is denied" {
    expects broker 'denied EPERM' <<'END'
open_to_read allowed
map_file allowed
map_over allowed
make_writable allowed
unmap_address allowed
move_address allowed
drop_address allowed
other_advice allowed
unix_stream allowed
unix_datagram allowed
unix_packet allowed
tcp_socket allowed
udp_socket allowed
connect_tcp allowed
connect_to_broker allowed
serve_visitor allowed
accept_elsewhere allowed
connect_to_others allowed
connect_abstract allowed
send_to_address allowed
pass_descriptor allowed
other_option allowed
change_log allowed
shut_log allowed
shut_client allowed
use_memory allowed
talk allowed
compute allowed
sign allowed
serve_tcp denied EACCES
run_program killed 31
run_open_program killed 31
make_process killed 31
make_process_anew killed 31
trace_me killed 31
attach killed 31
read_others killed 31
write_others killed 31
signal_others killed 31
x32_call killed 31
i386_call killed 31
abort_itself killed 6
END
}

@test "Landlock, where the kernel has it, denies files, TCP, abstract sockets and signals by itself" {
    py - "$BUILD/unit/probe" <<'PY'
import ctypes, subprocess, sys
out = subprocess.run([sys.argv[1], "landlock"], check=True, capture_output=True, text=True).stdout
got = dict(line.split(" ", 2)[1:] for line in out.splitlines())
LANDLOCK_CREATE_RULESET = 444
version = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
since = {"open_to_read": 1, "open_to_write": 1, "create": 1, "make_directory": 1, "remove_file": 1,
         "run_program": 1, "truncate_file": 3, "connect_tcp": 4, "serve_tcp": 4}
for name, first in since.items():
    assert got[name] == ("denied EACCES" if version >= first else "allowed"), (version, name, got[name])
for name in ("connect_abstract", "signal_others"):
    assert got[name] == ("denied EPERM" if version >= 6 else "allowed"), (version, name, got[name])
# The rest is what this test is compared with: nothing else is closed here.
for name in ("tcp_socket", "make_process", "make_writable", "connect_to_others", "talk"):
    assert got[name] == "allowed", (name, got[name])
# Calls numbered in another way are the end with any list, even with an empty one.
for name in ("x32_call", "i386_call"):
    assert got.get(name, "killed 31") == "killed 31", (name, got[name])
PY
}

@test "every call on the lists has its reason, and the lists are short" {
    py - "$ROOT/src" <<'PY'
import re, sys
most = {"session": 38, "broker": 66, "auth": 16, "signer": 20, "exporter": 19}
for role, limit in most.items():
    text = open(f"{sys.argv[1]}/{role}/{role}_sandbox.c").read()
    text = text[text.index("rules[] = {"):].split("\n};")[0]
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    starts = re.findall(r"^\s*(?:ALLOW|ALLOW_IF|FAIL|KILL|KILL_IF)\(", text, re.M)
    rows = re.findall(r'\b(ALLOW|ALLOW_IF|FAIL|KILL|KILL_IF)\((\w+),\s*(?:E[A-Z]+,\s*)?"([^"]{5,})"', text)
    assert len(starts) == len(rows), (role, len(starts), len(rows))
    allowed = {name for kind, name, _ in rows if kind.startswith("ALLOW")}
    assert 8 <= len(allowed) <= limit, (role, len(allowed))
PY
}

# --- the live processes ---

@test "every process but the master: no capability, no new privileges, a filter; as root also another user" {
    py - <<'PY'
from server import *
import pwd
def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict((k, v.split()) for k, v in (line.rstrip().split(":", 1) for line in f))
u = user()
a = connect(u.token)
silent = raw()
eventually(lambda: children("spare") and len(children("session")) == 2)
users = {"session": "nobody", "spare": "nobody", "broker": "daemon", "auth": "daemon"}
for title, name in users.items():
    for pid in children(title):
        s = status(pid)
        assert s["Seccomp"] == ["2"] and s["NoNewPrivs"] == ["1"], (title, s)
        assert int(s["CapEff"][0], 16) == int(s["CapPrm"][0], 16) == int(s["CapAmb"][0], 16) == 0, s
        them = pwd.getpwnam(name) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        assert s["Uid"] == [str(them.pw_uid)] * 4, (title, s["Uid"])
        if os.geteuid() == 0:
            assert s["Gid"] == [str(them.pw_gid)] * 4 and s["Groups"] == [], (title, s)
silent.close()
a.close()
PY
}

@test "a session is closed in before its client has sent a byte, with and without a spare" {
    py - <<'PY'
from server import *
def closed(pid):
    with open(f"/proc/{pid}/status") as f:
        return "Seccomp:\t2\n" in f.read()
eventually(lambda: children("spare") and all(closed(p) for p in children("spare")))
with Server("-o", "min_spare=0", "-o", "max_spare=1") as s:
    assert not s.children("spare")
    c = raw(name=s.name)
    eventually(lambda: s.children("session") and all(closed(p) for p in s.children("session")))
    c.close()
PY
}

@test "started as root, a session sees a folder with the broker's socket and nothing else; broker and auth stay out of the way" {
    py - <<'PY'
from server import *
u = user()
a = connect(u.token)
eventually(lambda: children("spare"))
home = os.path.dirname(broker_socket())
root = os.geteuid() == 0
for pid in children("session") + children("spare"):
    assert os.path.realpath(os.readlink(f"/proc/{pid}/root")) == (os.path.realpath(home) if root else "/")
    assert os.path.realpath(os.readlink(f"/proc/{pid}/cwd")) == os.path.realpath(home)
for pid in children("broker") + children("auth"):
    assert os.readlink(f"/proc/{pid}/root") == "/"
assert os.listdir(home) == ["broker.sock"]
# Others come no further than run_dir, and only sessions may use the socket.
mode = lambda path: stat.S_IMODE(os.stat(path).st_mode)
assert mode(os.path.dirname(home)) == 0o700
assert (mode(home), mode(broker_socket())) == ((0o710, 0o660) if root else (0o700, 0o600))
assert os.stat(home).st_uid == os.geteuid()
a.close()
PY
}

@test "limits: no process, few descriptors, no file but the log's, bounded memory; no core in production" {
    py - <<'PY'
from server import *
def limits(pid):
    with open(f"/proc/{pid}/limits") as f:
        rows = [line[:26].strip() + "|" + line[26:] for line in f.readlines()[1:]]
    return {name: values.split()[:2] for name, values in (r.split("|") for r in rows)}
ours = limits(os.getpid())
def check(s, size, core):
    eventually(lambda: s.children("spare") and s.children("broker") and len(s.children("auth")) == 1)
    for title in ("spare", "broker", "auth"):
        for pid in s.children(title):
            l = limits(pid)
            assert l["Max processes"] == ["0", "0"], (title, l)
            assert l["Max file size"] == size, (title, l)
            assert l["Max core file size"] == core, (title, l)
            if title != "broker":
                assert l["Max open files"] == ["16", "16"], l
                assert int(l["Max address space"][1]) < 1 << 30, l
with Server("-o", "mode=production") as s:
    check(s, ["unlimited", "unlimited"], ["0", "0"])
name = some_name()
with Server("-o", "log_file=syslog") as s:
    check(s, ["0", "0"], ours["Max core file size"])
PY
}

@test "descriptors: a session has client, broker and log, a spare its handover, an auth worker its socket, a broker no file" {
    py - <<'PY'
from server import *
def kinds(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        to = os.readlink(f"/proc/{pid}/fd/{fd}")
        found[int(fd)] = to.split(":")[0]
    return found
u = user()
a = connect(u.token)
eventually(lambda: children("spare"))
log = os.path.realpath(f"{T}/main.log")
standard = {0: "/dev/null", 1: "/dev/null", 2: log}
[session] = children(f"session {u.name}")
assert kinds(session) == {**standard, 3: "socket", 4: log, 5: "socket"}, kinds(session)
assert kinds(children("spare")[0]) == {**standard, 3: "socket", 4: log}, kinds(children("spare")[0])
for pid in children("auth"):
    # One more until the kernel has lowered its session; who was turned away tries with each request.
    eventually(lambda: kinds(pid) == {**standard, 4: "socket", 7: log}
               or api("POST", "/login", {"username": u.name, "password": password()})[0] != 200)
[broker] = children("broker")
assert set(kinds(broker).values()) == {"/dev/null", log, "socket", "pipe", "anon_inode"}, kinds(broker)
a.close()
PY
}

@test "a session that its filter ends is in the log, and the others serve on" {
    py - <<'PY'
from server import *
u, v = user(), user()
a, b = connect(u.token), connect(v.token)
[pid] = children(f"session {u.name}")
os.kill(pid, signal.SIGSYS)
assert a.closed() == 1006
eventually(lambda: f"session[{pid}] was killed by signal 31 (Bad system call)" in open(f"{T}/main.log").read())
b.ping()
b.close()
PY
}

@test "a session finds the next broker after its own has died, and syslog need not be there" {
    py - <<'PY'
from server import *
u = user()
with Server("-o", "log_file=syslog") as s:
    a = connect(u.token, s.name)
    [session] = s.children(f"session {u.name}")
    for _ in range(2):
        [old] = s.children("broker")
        os.kill(old, signal.SIGKILL)
        eventually(lambda: s.children("broker") and s.children("broker") != [old])
        a.message(u.id, "still here", some_name("c-"))
        a.until("ack")
    # Both times it had something to log, and perhaps nobody to say it to.
    assert s.children(f"session {u.name}") == [session]
    a.close()
PY
}

@test "after a takeover the successor's sessions are closed in as well" {
    py - <<'PY'
from takeover import *
u, v = user(), user()
with Service() as s:
    a = connect(u.token, s.name)
    new = s.take_over()
    b = connect(v.token, s.name)
    says(a, b, v, "across")
    [pid] = s.children(f"session {v.name}")
    assert "Seccomp:\t2\n" in open(f"/proc/{pid}/status").read()
    own = f"{T}/{s.name}.run/tree.{new}"
    assert os.path.realpath(os.readlink(f"/proc/{pid}/cwd")) == os.path.realpath(own)
    assert os.listdir(own) == ["broker.sock"]
    if os.geteuid() == 0:
        assert os.path.realpath(os.readlink(f"/proc/{pid}/root")) == os.path.realpath(own)
    # The one that retires finds its own broker again.
    [old] = [p for p, (parent, t) in parents().items() if parent == s.pid and t == "chatd: broker"]
    os.kill(old, signal.SIGKILL)
    says(b, a, u, "back")
    a.close()
    b.close()
PY
}

# --- users ---

@test "user, session_user: root needs them to exist and to be others; for anybody else they say nothing" {
    py - <<'PY'
from server import *
for key, value, words in [
        ("user", "no-such-user", 'user: there is no user "no-such-user"; make one (useradd --system'),
        ("session_user", "no-such-user", 'session_user: there is no user "no-such-user"'),
        ("user", "root", 'user: "root" is root, or in its group'),
        ("session_user", "root", 'session_user: "root" is root')]:
    if os.geteuid() == 0:
        out = refused(*options(some_name()), *SECRETS, "-o", f"{key}={value}")
        assert words in out, out
    else:
        with Server("-o", f"{key}={value}") as s:
            user(instance=s.name)
if os.geteuid() == 0:
    # By default the sessions are who broker and auth workers are.
    with Server("-o", "session_user=") as s:
        eventually(lambda: s.children("spare"))
        assert os.stat(f"/proc/{s.children('spare')[0]}").st_uid == \
            os.stat(f"/proc/{s.children('broker')[0]}").st_uid != 0
PY
}

@test "the capabilities that the unit leaves to root are enough; of its groups none is left" {
    py - "$ROOT" <<'PY'
import re
from server import *
unit = open(f"{sys.argv[1]}/packaging/systemd/chatd.service").read()
names = [n for line in re.findall(r"^CapabilityBoundingSet=(.*)", unit, re.M) for n in line.split()]
assert len(names) >= 5, names
program = []
if os.geteuid() == 0:
    keep = ",".join("+" + n.removeprefix("CAP_").lower() for n in names)
    program = ["setpriv", f"--bounding-set=-all,{keep}", "--groups=4,24"]
u = user()
with Server(program=program) as s:
    with open(f"/proc/{s.pid}/status") as f:
        bound = int(next(x for x in f if x.startswith("CapBnd")).split()[1], 16)
    assert os.geteuid() != 0 or bin(bound).count("1") <= len(names), hex(bound)
    a = connect(u.token, s.name)
    [pid] = s.children(f"session {u.name}")
    for child in s.tree() if os.geteuid() == 0 else ():
        with open(f"/proc/{child}/status") as f:
            text = f.read()
        assert "\nUid:\t0" not in text and "\nGroups:\t \n" in text, text
    [old] = s.children("broker")
    os.kill(old, signal.SIGKILL)
    eventually(lambda: s.children("broker") and s.children("broker") != [old])
    a.message(u.id, "x", "c-1")
    a.until("ack")
    # The master can still end processes of other users.
    s.kill(signal.SIGTERM)
    assert a.closed() == 1012 and s.ended() == 0
    assert os.listdir(f"{T}/{s.name}.run") == ["lock"]
PY
}

# --- memory ---

@test "the memory of a live session: no password of the database, no key, no hash, nothing of another user" {
    py - <<'PY'
from server import *
def signature(u):
    # The rest of a token is much the same for all.
    return u.token.rsplit(".", 1)[1]
alice, bob, carol = user(), user(), user()
a, b, c = (connect(u.token) for u in (alice, bob, carol))
for u in (alice, bob, carol):
    assert api("POST", "/login", {"username": u.name, "password": password()})[0] == 200
secret, reply = some_name("only-for-bob-") + "x" * 20, some_name("only-for-alice-") + "y" * 20
a.message(bob.id, secret, "c-1")
assert b.expect("message")["content"] == secret
b.message(alice.id, reply, "c-2")
assert a.until("message")["content"] == reply
eventually(lambda: children("spare"))
key, role = (open(f"{T}/{name}").read().strip() for name in ("jwt_secret", "db_password"))
hashes = set(sql("select password_hash from users").split())
assert len(hashes) >= 3 and all(h.startswith("$2b$") for h in hashes)
# The beginning of a hash is the same for all.
ends = {h[7:] for h in hashes}
everything = {key, role, secret, reply, *ends, *map(signature, (alice, bob, carol))}
own = {alice: {secret, reply}, bob: {secret, reply}, carol: set()}
for u in own:
    [pid] = children(f"session {u.name}")
    found = holds(pid, everything)
    assert found <= {signature(u)} | own[u], (u.name, found)
    assert signature(u) in found            # the search does find what is there
assert not holds(children("spare")[0], everything)
assert not holds(int(open(f"{T}/main.pid").read()), everything)
[broker] = children("broker")
assert {key, role} <= holds(broker, everything)
for x in (a, b, c):
    x.close()
PY
}

# --- sanitizers ---

@test "a build of clang's AddressSanitizer is not confined: it starts, serves, and ends without a finding" {
    local build=$ROOT/build/clang-sanitized
    mkdir -p "$ROOT/build"
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL flock "$ROOT/build/.lock" make -s -j2 -C "$ROOT" BUILD="$build" CC=clang \
        SANITIZE=address all
    BUILD=$build py - <<'PY'
from server import *
with Server() as s:
    u = user(instance=s.name)
    a = connect(u.token, s.name)
    a.message(u.id, "to myself", "c-1")
    a.until("ack")
    a.close()
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert "AddressSanitizer" not in s.log() and "signal" not in s.log(), s.log()
PY
}
