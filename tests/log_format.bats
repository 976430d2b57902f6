#!/usr/bin/env bats
# What lines of the log look like to programs: logfmt, JSON and the journal's fields, a session's id
# in all of them, and that none has a secret.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

@test "logfmt and JSON: every line of every process has the same keys; a session's id finds its story" {
    py - <<'PY'
from logs import *
u = user()
for form in "logfmt", "json":
    path = f"{T}/{some_name()}.file"
    for more in [], ["-o", f"log_file={path}"]:
        with Server("-o", f"log_format={form}", *more) as s:
            def lines():
                with open(path if more else s.logfile) as f:
                    return read_lines(form, f.read())
            a = connect(u.token, s.name)
            [session] = s.children(f"session {u.name}")
            a.send({"type": "auth", "data": {"token": "x.y.z"}})
            a.recv()
            [broker] = s.children("broker")
            os.kill(broker, signal.SIGKILL)
            eventually(lambda: s.children("broker") not in ([], [broker]))
            a.ping()
            eventually(lambda: any("reconnecting" in l["msg"] and l["process"] == "session" for l in lines()))
            os.kill(session, signal.SIGKILL)
            eventually(lambda: any(f"session[{session}] was killed" in l["msg"] for l in lines()))
            own = [l for l in lines() if l["process"] == "session" and l["pid"] == session]
            [id_] = {l["session"] for l in own}
            assert re.fullmatch(rf"{session}\.[0-9a-f]{{8}}", id_), id_
            assert {(l["user"], l["client"]) for l in own} == {(u.name, "127.0.0.1")}, own
            story = [l for l in lines() if l.get("session") == id_]
            assert {l["process"] for l in story} == {"session", "broker", "master"}, story
            [refusal] = [l for l in story if "token refused" in l["msg"]]
            assert (refusal["process"], refusal["pid"], refusal["user"]) == ("broker", broker, u.name), refusal
            assert {l["process"] for l in lines()} >= {"master", "broker", "session"}
            s.kill(signal.SIGTERM)
            assert s.ended() == 0
            assert lines()[-1]["msg"] == "stopped"
PY
}

@test "the text has no id, and is what it was" {
    py - <<'PY'
from logs import *
u = user()
with Server() as s:
    a = connect(u.token, s.name)
    [session] = s.children(f"session {u.name}")
    a.send({"type": "auth", "data": {"token": "x.y.z"}})
    a.recv()
    [broker] = s.children("broker")
    os.kill(broker, signal.SIGKILL)
    stamp = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ "
    for line in (rf"info broker\[{broker}\]: session {session}: token refused: [^;]*; from 127\.0\.0\.1$",
                 rf"error master\[{s.pid}\]: broker\[{broker}\] was killed by signal 9 \(Killed\)$",
                 rf"debug session\[{session}\] {u.name} 127\.0\.0\.1: the broker has closed the channel; reconnecting$"):
        eventually(lambda: re.search(stamp + line, s.log(), re.M))
PY
}

# bats test_tags=root
@test "a session that was taken over passes for nobody, whatever bytes it sends, in no format" {
    py - <<'PY'
from logs import *
u = user()
me = os.getpid()
for form in "logfmt", "json", "journal":
    path = f"{T}/{some_name()}.file"
    journal = Journal()
    where = f"journal:{journal.path}" if form == "journal" else path
    with Server("-o", f"log_format={'text' if form == 'journal' else form}", "-o", f"log_file={where}") as s:
        def lines():
            if form == "journal":
                return journal.lines()
            with open(path) as f:
                return read_lines(form, f.read())
        a = connect(u.token, s.name)
        [session] = s.children(f"session {u.name}")
        log = log_of(session)
        def claim(process, id_, name, client, text):
            os.write(log, b"<3>" + b"\x1f".join((process, id_, name, client, text)))
        other = f"{session}.00000000".encode()
        bad = b'"} {"pid":1}\nlevel=info\\\x1b[2J\xff\xc3\xa9\x1f\xe2\x80\xae'
        claim(b"broker", other, bad.replace(b"\x1f", b""), b"::1", b"one" + bad)
        claim(b"master", f"{me}.0123abcd".encode(), b"eve", b"::1", b"two")
        claim(b"session", b"1.0123abcd\nMESSAGE=x", b"", b"", b"three\nMESSAGE=x\nCHATD_PID=1")
        os.write(log, b"<3>broker[1]: four\n" + b"\xff" * 5000)
        eventually(lambda: any("four" in l["msg"] for l in lines()))
        mine = {l["msg"].lstrip(" ")[:3].strip(): l for l in lines() if l["pid"] == me}
        assert mine.keys() == {"one", "two", "thr", "bro"}, mine
        assert not [l for l in lines() if l.get("session") == other.decode()]
        assert [l.get("process") for l in mine.values()] == ["session"] * 3 + [None], mine
        assert mine["two"]["session"] == f"{me}.0123abcd" and mine["two"]["user"] == "eve"
        assert "session" not in mine["one"] and "session" not in mine["thr"]
        expected = 'one"} {"pid":1}?level=info\\?[2J?é??' if form == "journal" else \
            'one"} {"pid":1}\nlevel=info\\\x1b[2J\ufffdé\x1f\u202e'
        assert mine["one"]["msg"] == expected, (mine["one"]["msg"], expected)
        assert all(l["level"] == "error" for l in mine.values()), mine
PY
}

@test "log_file = journal: native fields; a journald that restarts is found again; none there: refused" {
    py - <<'PY'
from logs import *
u = user()
journal = Journal()
with Server("-o", f"log_file=journal:{journal.path}") as s:
    a = connect(u.token, s.name)
    [session] = s.children(f"session {u.name}")
    [broker] = s.children("broker")
    os.kill(broker, signal.SIGKILL)
    eventually(lambda: any("reconnecting" in l["msg"] for l in journal.lines()))
    [own] = [f for f in journal.fields if f["MESSAGE"].endswith("reconnecting")]
    assert own.pop("CHATD_SESSION").startswith(f"{session}.")
    assert own == {"PRIORITY": "7", "SYSLOG_IDENTIFIER": "chatd", "CHATD_PROCESS": "session",
                   "CHATD_PID": str(session), "CHATD_USER": u.name, "CHATD_CLIENT": "127.0.0.1",
                   "MESSAGE": "the broker has closed the channel; reconnecting"}, own
    [killed] = [f for f in journal.fields if "was killed" in f["MESSAGE"]]
    assert (killed["PRIORITY"], killed["CHATD_PROCESS"], killed["CHATD_PID"]) == ("3", "master", str(s.pid))
    eventually(lambda: s.children("broker") not in ([], [broker]))
    a.ping()
    # Its end, and its successor.
    journal.close()
    os.kill(s.children("auth")[0], signal.SIGKILL)
    eventually(lambda: len(s.children("auth")) == 1)
    journal.open()
    s.kill(signal.SIGHUP)
    eventually(lambda: any(l["msg"].startswith("configuration reloaded") for l in journal.lines()))
    s.kill(signal.SIGTERM)
    assert s.ended() == 0
    assert journal.lines()[-1]["msg"] == "stopped"
    assert not s.log(), s.log()     # nothing on standard error
journal.close()
output = refused(*options("x"), *SECRETS, "-o", f"log_file=journal:{journal.path}")
assert f"log_file: {journal.path}: No such file or directory; does systemd-journald run here?" in output, output
output = refused(*options("x"), *SECRETS, "-o", f"log_file=journal:/{'x' * 200}")
assert "File name too long" in output, output
PY
}

@test "a journal that hangs makes nobody wait, and hears how many lines it has missed" {
    py - <<'PY'
from logs import *
from floods import bad
u = user()
journal = Journal()
with open("/proc/sys/net/unix/max_dgram_qlen") as f:
    more_than_it_takes = int(f.read()) + 100
with Server("-o", f"log_file=journal:{journal.path}") as s:
    a = connect(u.token, s.name)
    for _ in range(more_than_it_takes // 10 + 1):
        assert read_all(raw(bad(10), s.name)).count(b"HTTP/1.1 401 ") == 10
    a.ping()
    journal.lines()
    read_all(raw(bad(1), s.name))
    eventually(lambda: any(l["msg"].endswith("lines of the log before this one were lost") for l in journal.lines()))
PY
}

@test "no line has a token, a password or a text, in no format" {
    py - <<'PY'
from logs import *
from edits import edit
u, v = user(), user()
for form in "text", "logfmt", "json", "journal":
    path = f"{T}/{some_name()}.file"
    journal = Journal()
    where = f"journal:{journal.path}" if form == "journal" else path
    with Server("-o", f"log_format={'text' if form == 'journal' else form}", "-o", f"log_file={where}") as s:
        wrong = some_name("Wrong-Password-")
        text, changed = some_name("Secret-Text-"), some_name("Changed-Text-")
        bad = u.token[:-4] + "AAAA"
        def log_in(word):
            return api("POST", "/login", {"username": u.name, "password": word}, name=s.name)
        assert log_in(wrong)[0] == 401
        status, answer = log_in(password())
        assert status == 200
        fresh = answer["token"]
        assert api("GET", f"/nowhere?token={bad}", token=bad, name=s.name)[0] in (401, 404)
        assert api("POST", "/login", '{"username":"%s","password":"%s"' % (u.name, wrong), name=s.name)[0] == 400
        read_all(raw(f"BAD {fresh} {wrong}\r\n\r\n".encode(), s.name))
        a, b = connect(fresh, s.name), connect(v.token, s.name)
        a.send({"type": "auth", "data": {"token": bad}})
        a.recv()
        a.message(v.id, text, f"{form}-1")
        ack = a.until("ack")
        heard = b.until("message")
        assert heard["content"] == text
        a.send({"type": "message", "content": text, "data": {"receiver_id": 10**9}})
        a.recv()
        a.send({"type": "nonsense", "content": text, "data": {}})
        a.recv()
        edit(a, heard["data"]["conversation_id"], ack["data"]["message_id"], changed, f"{form}-2")
        a.until("ack")
        [broker] = s.children("broker")
        os.kill(broker, signal.SIGKILL)
        eventually(lambda: s.children("broker") not in ([], [broker]))
        a.message(v.id, text, f"{form}-3")
        a.until("ack")
        os.kill(s.children(f"session {u.name}")[0], signal.SIGKILL)
        s.kill(signal.SIGTERM)
        assert s.ended() == 0
        if form == "journal":
            whole = "\n".join(map(repr, (journal.lines(), journal.fields)))
        else:
            with open(path) as f:
                whole = f.read()
        assert u.name in whole and "token refused" in whole and "reconnecting" in whole, whole
        for secret in wrong, password(), bad, fresh, v.token, text, changed, fresh[-24:], "eyJ", "x.y.z":
            assert secret not in whole, (form, secret)
PY
}
