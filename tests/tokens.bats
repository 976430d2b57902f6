#!/usr/bin/env bats
# Tokens that are good no more, and those of others: revocation on every host at once, change of
# the key, public keys of those who issue tokens elsewhere.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$T/rsa" 2>/dev/null
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$T/ec"
    for key in rsa ec; do
        openssl pkey -in "$T/$key" -pubout -out "$T/$key.pub"
    done
    cat "$T/rsa.pub" "$T/ec.pub" >"$T/public"
    server_start main -o jwt_public_key_file="$T/public" -o write_timeout=1h -o ping_interval=1h
    server_start two -o jwt_public_key_file="$T/public" -o jwt_issuer=https://id.example -o jwt_audience=chat
}

teardown_file() {
    server_teardown_file
}

# --- revocation ---

@test "disabled by psql: connections on every host end with 4403, tokens and the right password get 403" {
    py - <<'PY'
from rawhttp import *
alice, bob = user(), user()
a1, a2, b = connect(alice.token), connect(alice.token, "two"), connect(bob.token)
kept = Http("two")
kept.send(head("GET", "/users", token=alice.token))
assert kept.answer().status == 200
stream = raw(head("GET", "/events", token=alice.token, version="1.0").encode(), "two")
got = stream.recv(65536)
assert got.startswith(b"HTTP/1.1 200"), got
sql(f"update users set disabled = true where id = {alice.id}")
assert a1.closed() == a2.closed() == 4403
last = json.loads((got + read_all(stream)).decode().splitlines()[-1])
assert last["type"] == "error" and last["error"] and last["data"] == {"code": "disabled", "temporary": False}, last
kept.send(head("GET", "/users", token=alice.token))
kept.answer().error(403, "disabled")
for name in ("main", "two"):
    ask("GET", "/users", token=alice.token, name=name).error(403, "disabled")
    try:
        connect(alice.token, name)
        raise AssertionError("connected")
    except Refused as e:
        assert e.status == 403
    credentials = {"username": alice.name, "password": password()}
    sent(post("/login", credentials), name=name).error(403, "disabled")
    wrong = sent(post("/login", {**credentials, "password": "wrong-words"}), name=name)
    unknown = sent(post("/login", {**credentials, "username": "nobody"}), name=name)
    assert wrong.status == unknown.status == 401 and wrong.body == unknown.body
# What is sent to her is kept. Nobody else is concerned.
b.message(alice.id, "for later", "m-1")
b.until("ack")
assert not online(alice, bob)
sql(f"select user_enable('{alice.name}')")
status, answer = api("POST", "/login", credentials)
assert status == 200, answer
assert api("GET", "/users", token=alice.token)[0] == 401        # enabling gives no token back
for name in ("main", "two"):
    status, history = api("GET", f"/messages/{bob.id}", token=answer["token"], name=name)
    assert status == 200 and [m["content"] for m in history] == ["for later"]
connect(answer["token"], "two").ping()
PY
}

@test "POST /logout: 204, and every token of the user is void on every host, of nobody else" {
    py - <<'PY'
from rawhttp import *
alice, bob = user(), user()
second = api("POST", "/login", {"username": alice.name, "password": password()}, name="two")[1]["token"]
sockets = [connect(t, n) for t in (alice.token, second) for n in ("main", "two")]
b1, b2 = connect(bob.token), connect(bob.token, "two")
kept = Http()
kept.send(head("POST", "/logout", token=alice.token))
r = kept.answer("POST")
assert r.status == 204 and r.body == b"" and "content-length" not in r.headers, (r.status, r.fields)
for s in sockets:
    assert s.closed() == 4401
kept.send(head("GET", "/users", token=alice.token))
kept.answer().error(401)
for t in (alice.token, second):
    for n in ("main", "two"):
        ask("GET", "/users", token=t, name=n).error(401)
        ask("POST", "/logout", token=t, name=n).error(401)
b1.ping(), b2.ping()
assert api("GET", "/users", token=bob.token, name="two")[0] == 200
# The connection that was kept is good for another token.
again = api("POST", "/login", {"username": alice.name, "password": password()})[1]["token"]
for t in (again, bob.token, again):
    kept.send(head("GET", "/users", token=t))
    assert kept.answer().status == 200
ask("POST", "/logout").error(401)
ask("GET", "/logout", token=again).error(405)
PY
}

@test "POST /password: a new token; those from before are void, and the old password is, too" {
    py - <<'PY'
from rawhttp import *
alice = user()
old = password()
def change(a, b, token=alice.token, name="main"):
    return sent(post("/password", {"password": a, "new_password": b}, {"Authorization": f"Bearer {token}"}), name=name)
def login(p, name="main"):
    return api("POST", "/login", {"username": alice.name, "password": p}, name=name)[0]
a1, a2 = connect(alice.token), connect(alice.token, "two")
r = change("wrong-words", "other-words")
r.error(401)
assert r.headers["www-authenticate"].startswith("Bearer")
change("", "other-words").error(401)
change(old, "short").error(400, "new_password", "8")
change(old, "x" * 73).error(400, "new_password", "72")
change("x" * 73, "other-words").error(400, '"password"', "72")
change(old, None).error(400, "new_password", "string")
sent(post("/password", {"password": old}, {"Authorization": f"Bearer {alice.token}"})).error(400, "new_password", "missing")
sent(post("/password", {"password": old, "new_password": "other-words"})).error(401)
a1.ping(), a2.ping()
assert login(old) == 200
r = change(old, "other-words", name="two")
assert r.status == 200, r.body
answer = r.json()
assert set(answer) == {"token", "token_type", "expires_in", "user"} and answer["user"]["id"] == alice.id
assert a1.closed() == a2.closed() == 4401
for n in ("main", "two"):
    assert ask("GET", "/users", token=alice.token, name=n).status == 401
    assert ask("GET", "/users", token=answer["token"], name=n).status == 200
    assert login(old, n) == 401 and login("other-words", n) == 200
change("other-words", old).error(401)           # with the token from before
ws = connect(answer["token"])
sql(f"update users set password_hash = '$2b$04$' || repeat('x', 53) where id = {alice.id}")
assert ws.closed() == 4401
PY
}

@test "the old token is void before the answer to POST /logout or /password, whatever this host hears of it" {
    py - <<'PY'
from rawhttp import *
import signal
def listener():
    """The backend of main's listening connection."""
    probe = user()
    ws = connect(probe.token)
    pid = sql(f"select h.backend from hosts h join sessions s on h.id = s.host_id where s.user_id = {probe.id}")
    ws.close()
    return int(pid)
def refused(token):
    ask("GET", "/users", token=token).error(401)
    try:
        connect(token)
        raise AssertionError("connected")
    except Refused as e:
        assert e.status == 401
alice, bob = user(), user()
open_ = [connect(alice.token), connect(bob.token)]
backend = listener()
os.kill(backend, signal.SIGSTOP)
try:
    assert ask("POST", "/logout", token=alice.token).status == 204
    r = sent(post("/password", {"password": password(), "new_password": "other-words"}, {"Authorization": f"Bearer {bob.token}"}))
    assert r.status == 200, r.body
    for old in (alice.token, bob.token):
        refused(old)
    assert ask("GET", "/users", token=r.json()["token"]).status == 200
    connect(r.json()["token"]).ping()
    assert [ws.closed() for ws in open_] == [4401, 4401]
finally:
    os.kill(backend, signal.SIGCONT)
PY
}

@test "who gets the number of a user who was removed does not get that one's tokens" {
    py - <<'PY'
from tokens import *
# As after a sequence that was set back, or a backup that was restored while all hosts were away.
def again(id_):
    name = f"again{random.randrange(10**9)}"
    sql(f"select setval(pg_get_serial_sequence('users', 'id'), {id_}, false)")
    u = user(name)
    assert u.id == id_
    sql("select setval(pg_get_serial_sequence('users', 'id'), (select max(id) + 100 from users))")
    return u
def check(old, new):
    for name in ("main", "two"):
        ask("GET", "/users", token=old.token, name=name).error(401)
        assert ask("GET", "/users", token=new.token, name=name).status == 200
    refused(old.token)
    connect(new.token).ping()
alice = user()
online_ = [connect(alice.token), connect(alice.token, "two")]
theirs_ = foreign(f"{T}/rsa", theirs(alice, iat=NOW - 3600))
sql(f"delete from users where id = {alice.id}")
assert [ws.closed() for ws in online_] == [4401, 4401]
bob = again(alice.id)
check(alice, bob)
refused(theirs_, "of somebody else, who had this number")
# And as if nobody had been there: a restored backup, for which all hosts were cut off.
other = user()
sql(f"delete from users where id = {bob.id}")
sql(f"delete from removed_users where id = {bob.id}")
for name in ("main", "two"):
    [broker] = children("broker", name)
    os.kill(broker, 9)
for name in ("main", "two"):
    eventually(lambda: api("GET", "/users", token=other.token, name=name)[0] == 200)
carol = again(alice.id)
refused(theirs_, "issued before there was this user")
check(bob, carol)
refused(alice.token)
status, answer = api("POST", "/login", {"username": carol.name, "password": password()})
assert status == 200 and api("GET", "/users", token=answer["token"])[0] == 200
PY
}

@test "of password changes at one time one succeeds" {
    py - <<'PY'
from chat import *
from concurrent.futures import ThreadPoolExecutor
alice = user()
generation = lambda: int(sql(f"select token_generation from users where id = {alice.id}"))
revoked = lambda: int(sql("select case when is_called then last_value else 0 end from revocation_seq"))
before, changes = generation(), revoked()
def change(i):
    return api("POST", "/password", {"password": password(), "new_password": f"new words {i}"}, alice.token,
               name=("main", "two")[i % 2])
with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(change, range(8)))
assert sorted(s for s, _ in answers) == [200] + [401] * 7, answers
[(i, token)] = [(i, a["token"]) for i, (s, a) in enumerate(answers) if s == 200]
assert api("POST", "/login", {"username": alice.name, "password": f"new words {i}"})[0] == 200
assert api("GET", "/users", token=token, name="two")[0] == 200
assert generation() > before and revoked() == changes + 1
PY
}

@test "a login, or a change, that began before the password was changed gives no token that is good" {
    py - <<'PY'
from rawhttp import *
import signal
def meanwhile(u, path, body, change):
    """The answer to a request that has read the hash, and waits for a worker, while SQL is run."""
    workers, began = children("auth"), sql("select clock_timestamp()")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        c = Http()
        c.send(post(path, {**body, "password": password()}, {"Authorization": f"Bearer {u.token}"}))
        eventually(lambda: sql(f"""select count(*) from pg_stat_activity where application_name = 'chatd pool' and state = 'idle'
            and query like '%user_credentials%' and query_start > '{began}' and datname = current_database()""") == "1")
        sql(change)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    return c.answer("POST")
def void(r, expected):
    assert r.status == 200, r.body
    for n in ("main", "two"):
        assert ask("GET", "/users", token=r.json()["token"], name=n).status == expected
other = "update users set password_hash = '$2b$04$' || repeat('x', 53) where id = "
alice, bob, carol = user(), user(), user()
void(meanwhile(alice, "/login", {"username": alice.name}, other + str(alice.id)), 401)
void(meanwhile(bob, "/login", {"username": bob.name}, f"select user_disable('{bob.name}')"), 403)
assert meanwhile(carol, "/password", {"new_password": "other-words"}, other + str(carol.id)).status == 401
assert sql(f"select right(password_hash, 3) from users where id = {carol.id}") == "xxx"
PY
}

@test "a token's generation must be that of its user: without one, or with one to come, it is no good" {
    py - <<'PY'
from tokens import *
alice = user()
now = lambda: int(sql(f"select token_generation from users where id = {alice.id}"))
good = lambda gen: [ask("GET", "/users", token=token(claims(alice, gen=gen)), name=n).status for n in ("main", "two")] == [200, 200]
first = now()
def others():
    for gen in (None, 0, 1, now() - 1, now() + 1, 2**62):
        refused(token(claims(alice, gen=gen)), gen)
assert good(first)
others()
ws = connect(token(claims(alice, gen=first)))
sql(f"select user_logout('{alice.name}')")
assert ws.closed() == 4401
assert now() > first and good(now())
others()
refused(token(claims(alice, gen=first)), "the one from before")
PY
}

@test "who logs in again at once is let in on every host, also where it is not known yet what changed" {
    py - <<'PY'
from rawhttp import *
alice, bob = user(), user()
credentials = lambda u: {"username": u.name, "password": password()}
sockets = [connect(bob.token, n) for n in ("main", "two")]
sql(f"select user_disable('{bob.name}')")
assert [w.closed() for w in sockets] == [4403, 4403]
# From here on no host can read what was revoked.
lock = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
lock.stdin.write("begin; lock table removed_users; select 'locked';\n")
lock.stdin.flush()
assert lock.stdout.readline().strip() == "locked"
try:
    assert api("POST", "/logout", token=alice.token)[0] == 204
    sql(f"select user_enable('{bob.name}')")
    for u in (alice, bob):
        status, answer = api("POST", "/login", credentials(u), name="two")
        assert status == 200, answer
        for n in ("main", "two"):
            kept = Http(n)
            for _ in range(2):
                kept.send(head("GET", "/users", token=answer["token"]))
                assert kept.answer().status == 200, (u is alice, n)
finally:
    lock.stdin.close()
    lock.wait()
for n in ("main", "two"):
    eventually(lambda: api("GET", "/users", token=alice.token, name=n)[0] == 401)
    assert api("GET", "/users", token=answer["token"], name=n)[0] == 200
PY
}

@test "a user who is removed: connections end with 4401, and the token is void" {
    py - <<'PY'
from chat import *
alice = user()
a, b = connect(alice.token), connect(alice.token, "two")
sql(f"delete from users where id = {alice.id}")
assert a.closed() == b.closed() == 4401
for n in ("main", "two"):
    assert api("GET", "/users", token=alice.token, name=n)[0] == 401
PY
}

@test "a user who is disabled from the beginning: a token, by whoever knows the key, is no good until he is enabled" {
    py - <<'PY'
from tokens import *
class new: name = "from-elsewhere"
new.id = int(sql(f"insert into users (username, email, password_hash, disabled) values ('{new.name}', 'e@example.com', '-', true) returning id"))
now = lambda: int(sql(f"select token_generation from users where id = {new.id}"))
first = now()
for name in "main", "two":
    for t in token(claims(new, gen=0)), token(claims(new, gen=first)):
        eventually(lambda: ask("GET", "/users", token=t, name=name).status == 403)
sql(f"select user_enable('{new.name}')")
for name in "main", "two":
    eventually(lambda: ask("GET", "/users", token=token(claims(new, gen=now())), name=name).status == 200)
    assert ask("GET", "/users", token=token(claims(new, gen=first)), name=name).status == 401
PY
}

@test "a client that reads nothing loses its connection, too" {
    py - <<'PY'
from frames import *
alice, bob = user(), user()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", port()))
s.sendall(handshake(bob.token))
eventually(lambda: children(f"session {bob.name}"))
a = connect(alice.token)
# Until the broker holds messages back: then the session does not read either.
for n in range(300):
    a.message(bob.id, "x" * 16000, f"{n}")
    while a.recv()["type"] != "ack":
        pass
sql(f"select user_logout('{bob.name}')")
eventually(lambda: not children(f"session {bob.name}"))
a.ping()
PY
}

@test "a channel that a session keeps when its token is void gets nothing but refusals" {
    py - <<'PY'
from impersonate import *
alice = user()
c = Channel(BOUND, alice)
assert api("POST", "/logout", token=alice.token)[0] == 204
eventually(lambda: api("GET", "/users", token=alice.token)[0] == 401)
for name in ("USERS", "SEND", "LOGOUT", "ATTACH", "HISTORY", "AUTH"):
    assert c.ask(name)[0] == "FAILED", name
c.close()
PY
}

@test "a broker that is started again knows what was revoked before and meanwhile" {
    py - <<'PY'
from chat import *
import signal
alice, bob, carol = user(), user(), user()
assert api("POST", "/logout", token=alice.token)[0] == 204
b, c = connect(bob.token), connect(carol.token)
[broker] = children("broker")
os.kill(broker, signal.SIGKILL)
sql(f"select user_disable('{bob.name}')")
assert b.closed() == 4403
assert api("GET", "/users", token=alice.token)[0] == 401
assert api("GET", "/users", token=bob.token)[0] == 403
assert api("GET", "/users", token=carol.token)[0] == 200
c.ping()
c.message(carol.id, "still here", "m-1")
c.until("ack")
PY
}

@test "10,500 users revoked at once: all are read, and who connects meanwhile is judged rightly" {
    py - <<'PY'
from chat import *
import signal
first, good = user(), user()
sql("insert into users (username, email, password_hash) select 'many' || i, 'many' || i || '@b', 'x' from generate_series(1, 10500) i")
last = user()
f, l, g = connect(first.token), connect(last.token, "two"), connect(good.token)
sql(f"update users set token_generation = token_generation + 1 where username like 'many%' or id in ({first.id}, {last.id})")
assert f.closed() == l.closed() == 4401
[broker] = children("broker")
os.kill(broker, signal.SIGKILL)
for n in range(3):
    for u, expected in ((first, 401), (last, 401), (good, 200)):
        assert api("GET", "/users", token=u.token)[0] == expected
g.ping()
sql("delete from users where username like 'many%'")
for u, expected in ((first, 401), (last, 401), (good, 200)):
    assert api("GET", "/users", token=u.token)[0] == expected
PY
}

@test "the doorbell cut off: the database is asked about each token, and connections end when it is back" {
    server_start cut -o presence_lease=1h -o presence=off
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
a, b = connect(alice.token, "cut"), connect(bob.token, "cut")
assert api("POST", "/logout", token=carol.token, name="cut")[0] == 204
lock = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
# A new host can listen only when it has its row: until then it is cut off.
lock.stdin.write("begin; lock table hosts in exclusive mode; select 'locked';\n")
lock.stdin.flush()
assert lock.stdout.readline().strip() == "locked"
try:
    log = f"{T}/cut.log"
    away = open(log).read().count("the database is away")
    host = sql(f"select min(host_id) from sessions where user_id = {alice.id}")
    sql(f"""select pg_terminate_backend(backend) from hosts where id = {host}""")
    eventually(lambda: open(log).read().count("the database is away") > away)
    for u in (alice, bob, carol):
        assert api("GET", "/users", token=u.token, name="cut")[0] == (401 if u is carol else 200)
    sql(f"select user_disable('{alice.name}')")
    sql(f"select user_logout('{bob.name}')")
    status, new = api("POST", "/login", {"username": bob.name, "password": password()}, name="cut")
    assert status == 200
    assert api("GET", "/users", token=alice.token, name="cut")[0] == 403
    assert api("GET", "/users", token=bob.token, name="cut")[0] == 401
    assert api("GET", "/users", token=new["token"], name="cut")[0] == 200
    a.ping(), b.ping()          # what was open stays so: nothing was heard
finally:
    lock.stdin.close()
    lock.wait()
assert a.closed() == 4403 and b.closed() == 4401
connect(new["token"], "cut").ping()
PY
    server_stop cut
}

# --- change of the key ---

@test "the key is changed as chatd(8) says: tokens of both are good, then of the new one only" {
    py - <<'PY'
from takeover import *
folder = f"{T}/{some_name('keys')}"
os.mkdir(folder)
def write(name, text):
    with open(f"{folder}/{name}", "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(text)
def good(s, u):
    return api("GET", "/users", token=u.token, name=s.name)[0]
def secret():
    return os.urandom(30).hex()
write("jwt_secret", secret())
write("chatd.conf", f"jwt_secret_file = {folder}/jwt_secret\n")
with Service("-f", f"{folder}/chatd.conf", secrets=SECRETS[:2]) as s:
    first = user(instance=s.name)
    kid = first.token.split(".")[0]
    open_ = connect(first.token, s.name)
    # The key becomes the old one, and there is a new one.
    os.rename(f"{folder}/jwt_secret", f"{folder}/jwt_old_secret")
    write("jwt_secret", secret())
    write("chatd.conf", f"jwt_secret_file = {folder}/jwt_secret\njwt_old_secret_file = {folder}/jwt_old_secret\n")
    s.take_over()
    s.logged("tokens of jwt_old_secret are accepted; ")
    second = user(instance=s.name)
    assert second.token.split(".")[0] != kid
    assert good(s, first) == good(s, second) == 200
    connect(first.token, s.name).ping()
    open_.ping()
    # When its tokens have expired the old one goes; another update does not bring it back.
    os.unlink(f"{folder}/jwt_old_secret")
    write("chatd.conf", f"jwt_secret_file = {folder}/jwt_secret\n")
    for _ in range(2):
        s.take_over()
        assert good(s, first) == 401 and good(s, second) == 200
PY
}

@test "keys that only the environment gave are handed on together" {
    py - <<'PY'
from takeover import *
import base64, hashlib, hmac
new, old = os.urandom(30).hex(), os.urandom(30).hex()
def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def generation(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["gen"]
def token(u, key):
    text = b64(b'{"alg":"HS256"}') + "." + b64(json.dumps({"sub": str(u.id), "iat": 1, "exp": 2**31, "jti": "x", "gen": generation(u.token)}).encode())
    return text + "." + b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())
with Service(secrets=SECRETS[:2], env={"JWT_SECRET": new, "JWT_OLD_SECRET": old}) as s:
    u = user(instance=s.name)
    for turn in range(3):
        for key, expected in ((new, 200), (old, 200), ("0" * 60, 401)):
            assert api("GET", "/users", token=token(u, key), name=s.name)[0] == expected, (turn, key)
        [broker] = s.children("broker")
        assert holds(broker, {new, old}) == {new, old}
        # A sanitizer has a copy of the environment of the first.
        eventually(lambda: s.children("spare"))
        assert turn == 0 or not holds(s.children("spare")[0], {new, old})
        if turn < 2:
            s.take_over()
            eventually(lambda: len(s.children("broker")) == 1)
    assert new not in s.log() and old not in s.log()
PY
}

# --- tokens from elsewhere ---

@test "tokens from elsewhere: RS256 and ES256 with the public keys of the file, by HTTP and WebSocket" {
    py - <<'PY'
from tokens import *
alice, bob = user(), user()
for key, alg in (("rsa", "RS256"), ("ec", "ES256")):
    t = foreign(f"{T}/{key}", theirs(alice), alg, kid="of the issuer", typ="JWT")
    assert ask("GET", "/users", token=t).status == 200, alg
    ws = connect(t)
    assert children(f"session user {alice.id}")             # whose name the token does not tell
    connect(bob.token).message(alice.id, f"by {alg}")
    assert ws.until("message")["content"] == f"by {alg}"
    ws.close()
    named = connect(foreign(f"{T}/{key}", theirs(alice, username=alice.name), alg))
    eventually(lambda: children(f"session {alice.name}"))
    exp = int(time.time()) + 3
    ws = connect(foreign(f"{T}/{key}", theirs(alice, exp=exp), alg))
    assert ws.closed() == 4401 and time.time() >= exp - 1
    assert named.close() == 1000
PY
}

@test "tokens from elsewhere: forged ones are refused, whatever the header says" {
    py - <<'PY'
from tokens import *
alice = user()
rsa, ec, stranger = f"{T}/rsa", f"{T}/ec", make_pair(f"{T}/stranger")
public, both = open(f"{rsa}.pub").read(), open(f"{T}/public").read()
good = foreign(rsa, theirs(alice))
assert ask("GET", "/users", token=good).status == 200
# The public key, which everybody has, as the secret of HS256, in each form that it has here.
line = "".join(public.splitlines()[1:-1])
for key in (public, public.strip(), both, line, public.replace("\n", "\r\n"), open(f"{ec}.pub").read()):
    for head_ in ({"alg": "HS256"}, {"alg": "HS256", "typ": "JWT", "kid": "rsa"}, {"alg": "RS256"}, {"alg": "ES256"}):
        refused(token(claims(alice), head_, key=key.encode()), "a public key as a secret")
h, c, s = good.split(".")
for alg in ("none", "None", "HS256", "HS512", "ES256", "PS256", "RS512", "rs256", "", None, 5):
    for sign_ in (s, ""):
        refused(f"{part({'alg': alg})}.{c}.{sign_}", alg)
refused(foreign(stranger, theirs(alice)), "the key of nobody")
refused(foreign(ec, theirs(alice), "ES256").rsplit(".", 1)[0] + "." + s, "the signature of another")
refused(f"{h}.{part(theirs(user()))}.{s}", "another user")
refused(f"{h}.{c}.{s[:-8]}", "cut off")
refused(f"{part({'alg': 'RS256', 'jwk': {'kty': 'RSA'}, 'jku': 'http://127.0.0.1/', 'x5u': '/dev/null'})}.{c}.{s}", "its own key")
for changes in ({"exp": None}, {"exp": NOW - 1}, {"exp": str(NOW + 60)}, {"iat": None}, {"iat": "1"}, {"nbf": NOW + 3600}, {"nbf": "x"},
                {"sub": None}, {"sub": alice.id}, {"sub": "0"}, {"sub": alice.name}):
    refused(foreign(rsa, theirs(alice, **changes)), changes)
PY
}

@test "tokens from elsewhere: a user who does not exist gets 401, one who is disabled 403" {
    py - <<'PY'
from tokens import *
alice = user()
nobody = foreign(f"{T}/rsa", theirs(alice, sub="987654321"))
refused(nobody)
t = foreign(f"{T}/ec", theirs(alice), "ES256")
ws = connect(t)
sql(f"select user_disable('{alice.name}')")
assert ws.closed() == 4403
ask("GET", "/users", token=t).error(403)
sql(f"select user_enable('{alice.name}')")
refused(t, "from before")
# Also one who was never anything else.
bob, never = user(), f"never{random.randrange(10**9)}"
never_id = sql(f"insert into users (username, email, password_hash, disabled) select '{never}', '{never}@b', password_hash, true "
               f"from users where id = {bob.id} returning id")
ask("GET", "/users", token=foreign(f"{T}/rsa", theirs(bob, sub=never_id))).error(403)
sent(post("/login", {"username": never, "password": password()})).error(403)
PY
}

@test "tokens from elsewhere: one issued up to a revocation is void, one issued after it is good" {
    py - <<'PY'
from tokens import *
alice, bob = user(), user()
t = foreign(f"{T}/rsa", theirs(alice))
later = foreign(f"{T}/rsa", theirs(alice, iat=NOW + 600))
sockets = [connect(t), connect(later)]
other = connect(foreign(f"{T}/rsa", theirs(bob)))
kept = Http()
kept.send(head("GET", "/users", token=t))
assert kept.answer().status == 200
assert ask("POST", "/logout", token=t).status == 204
assert sockets[0].closed() == 4401
kept.send(head("GET", "/users", token=t))
kept.answer().error(401)
refused(t)
revoked = int(sql(f"select floor(extract(epoch from revoked_at)) from users where id = {alice.id}"))
refused(foreign(f"{T}/rsa", theirs(alice, iat=revoked)), "in the very second")
assert ask("GET", "/users", token=foreign(f"{T}/rsa", theirs(alice, iat=revoked + 1))).status == 200
sockets[1].ping(), other.ping()
refused(alice.token, "ours has a generation, and it is an old one")
PY
}

@test "tokens from elsewhere: one that was revoked ends its connection, also if the user logs in before the bell is heard" {
    py - <<'PY'
from tokens import *
import signal
alice = user()
sql(f"update users set token_generation = token_generation + 1 where id = {alice.id}")
revoked = int(sql(f"select floor(extract(epoch from revoked_at)) from users where id = {alice.id}"))
eventually(lambda: status(alice.token) == 401)
t = foreign(f"{T}/rsa", theirs(alice, iat=revoked + 1))
ws = connect(t)
backend = int(sql(f"select h.backend from hosts h join sessions s on h.id = s.host_id where s.user_id = {alice.id}"))
eventually(lambda: time.time() >= revoked + 1)
os.kill(backend, signal.SIGSTOP)
try:
    sql(f"update users set token_generation = token_generation + 1 where id = {alice.id}")
    assert sent(post("/login", {"username": alice.name, "password": password()})).status == 200
finally:
    os.kill(backend, signal.SIGCONT)
assert ws.closed() == 4401
PY
}

@test "tokens from elsewhere: issuer and audience must be those of the configuration" {
    py - <<'PY'
from tokens import *
alice = user()
def answer(**changes):
    return ask("GET", "/users", token=foreign(f"{T}/ec", theirs(alice, **changes), "ES256"), name="two").status
good = {"iss": "https://id.example", "aud": "chat"}
assert answer(**good) == answer(**{**good, "aud": ["mail", "chat"]}) == 200
for bad in ({}, {"iss": good["iss"]}, {"aud": "chat"}, {**good, "iss": "https://id.example.org"}, {**good, "aud": "mail"},
            {**good, "aud": []}, {**good, "aud": [["chat"]]}, {**good, "aud": {"chat": 1}}, {**good, "iss": [good["iss"]]}):
    assert answer(**bad) == 401, bad
assert ask("GET", "/users", token=alice.token, name="two").status == 200        # ours have neither
PY
}

@test "public keys that are of no use are refused at the start, with the key and what helps" {
    cd "$T"
    secret=(-o jwt_secret=0123456789abcdef0123456789abcdef)
    try() {
        run "$BUILD/chatd" -t "${secret[@]}" "${@:2}"
        echo "$output"
        [[ $status == "$1" ]]
    }
    for key in rsa ec; do
        try 0 -o "jwt_public_key_file=$T/$key.pub"
    done
    try 0 -o "jwt_public_key_file=$T/public"
    line=$(grep -v ^- ec.pub | tr -d '\n')
    try 0 -o "jwt_public_key=$line,$line"
    refuses() {
        cp "$1" bad
        try 1 -o "jwt_public_key_file=$T/bad"
        [[ $output == *"-o: jwt_public_key_file: $T/bad: "*"$2"* || $output == *"$T/bad: jwt_public_key: number $2"* ]]
    }
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 2>/dev/null | openssl pkey -pubout -out small
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 | openssl pkey -pubout -out p384
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 | openssl pkey -pubout -out k1
    openssl genpkey -algorithm ED25519 | openssl pkey -pubout -out ed25519
    openssl req -x509 -key rsa -subj /CN=x -out certificate 2>/dev/null
    openssl rsa -in rsa -RSAPublicKey_out -out pkcs1 2>/dev/null
    cat ec.pub small >second
    sed '3d' rsa.pub >cut
    head -n 3 rsa.pub >open
    printf '%s\n' '-----BEGIN PUBLIC KEY-----' 'AAAA' '-----END PUBLIC KEY-----' >zeros
    for n in 1 2 3 4 5 6; do cat rsa.pub; done >many
    refuses small '1 has fewer than 2048 bits'
    refuses second '2 has fewer than 2048 bits'
    refuses p384 '1 is neither RSA'
    refuses k1 '1 is neither RSA'
    refuses ed25519 '1 is neither RSA'
    refuses zeros '1 is no public key'
    refuses cut '1 is no public key'
    refuses open 'openssl pkey'
    refuses rsa 'only the public part'
    refuses certificate 'openssl x509 -pubkey'
    refuses pkcs1 'openssl rsa -RSAPublicKey_in'
    refuses /dev/null 'it holds no "PUBLIC KEY"'
    try 1 -o "jwt_public_key_file=$T/many"
    [[ $output == *'at most 2000 are allowed'* ]]
    try 1 -o "jwt_public_key_file=$T/nowhere"
    [[ $output == *"jwt_public_key_file: $T/nowhere: No such file"* ]]
    cp rsa.pub bad
    chmod o+w bad
    try 1 -o "jwt_public_key_file=$T/bad"
    [[ $output == *"run: chmod o-w $T/bad" ]]
    try 1 -o "jwt_public_key_file=$T/rsa.pub" -o "jwt_public_key=$line"
    [[ $output == *'are both set; remove one of them'* ]]
    try 1 -o 'jwt_audience=a"b'
    try 1 -o jwt_old_secret=short
    [[ $output == *'jwt_old_secret has 5 bytes'* ]]
}

@test "a reload tells that other public keys need a restart, and no more" {
    py - <<'PY'
from server import *
import shutil
path = f"{T}/{some_name('pem')}"
shutil.copy(f"{T}/ec.pub", path)
with Server("-o", f"jwt_public_key_file={path}") as s:
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    assert "needs a restart" not in s.log()
    shutil.copy(f"{T}/rsa.pub", path)
    s.kill(signal.SIGHUP)
    s.logged("needs a restart to take effect: jwt_public_key\n")
PY
}
