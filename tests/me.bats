#!/usr/bin/env bats
# Users and their own account: what they see of it, what they change, and who else sees which of it.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main
    server_start two
    server_start strict -o trusted_proxies=127.0.0.1 -o proxy_protocol=on -o register_rate=4 -o login_failures=2 \
        -o login_delay=0
}

teardown_file() {
    server_teardown_file
}

# --- GET /me ---

@test "GET /me: the caller's id, username, display_name, email and created_at, on every host" {
    py - <<'PY'
from rawhttp import *
before = sql("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
a, b = user(), user()
for who in (a, b):
    for n in ("main", "two"):
        r = ask("GET", "/me", token=who.token, name=n)
        me = r.json()
        assert r.status == 200 and list(me) == ["id", "username", "display_name", "email", "created_at"], me
        assert (me["id"], me["username"], me["display_name"], me["email"]) == (
            who.id, who.name, None, f"{who.name}@example.com"), me
        assert len(me["created_at"]) == 24 and before <= me["created_at"], (before, me)
        assert r.headers["cache-control"] == "no-store"
r = ask("HEAD", "/me", token=a.token)
assert r.status == 200 and r.body == b"" and int(r.headers["content-length"]) > 80, r.fields
for path in ("/me/", f"/me/{b.id}", "/Me"):
    ask("GET", path, token=a.token).error(404)
# The query says nothing of whose it is.
assert ask("GET", f"/me?id={b.id}", token=a.token).json()["id"] == a.id
PY
}

@test "GET /me: 401 without a token that is valid, 403 for a disabled account" {
    py - <<'PY'
from rawhttp import *
a = user()
ask("GET", "/me").error(401, "Authorization")
ask("GET", "/me", token=a.token + "x").error(401)
sql(f"update users set disabled = true where id = {a.id}")
eventually(lambda: ask("GET", "/me", token=a.token).status == 403)
sql(f"delete from users where id = {a.id}")
eventually(lambda: ask("GET", "/me", token=a.token).status == 401)
PY
}

# --- PATCH /me: display_name ---

@test "PATCH /me: display_name: the answer is the account; every host, and everybody, sees the name; null removes it" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
def row(name):
    [u] = [u for u in api("GET", f"/users?q={a.name}", token=b.token, name=name)[1]]
    return u
was = api("GET", "/me", token=a.token)[1]
assert "display_name" not in row("main")
for display in ("Alice \"A\" O'Neil \\ 日本 👍", "Alice"):
    status, me = api("PATCH", "/me", {"display_name": display}, a.token)
    assert (status, me) == (200, {**was, "display_name": display}), (status, me)
    for n in ("main", "two"):
        assert api("GET", "/me", token=a.token, name=n) == (200, me)
        assert row(n)["display_name"] == display and set(row(n)) == {"id", "username", "display_name", "online", "last_seen"}
    [u] = [u for u in api("GET", "/users", token=b.token)[1] if u["id"] == a.id]
    assert u == row("main")
# Names that are shown are not unique, and nobody is found by them.
assert api("PATCH", "/me", {"display_name": "Alice"}, b.token, "two")[0] == 200
assert api("GET", "/users?q=Alice", token=b.token)[1] == []
assert api("PATCH", "/me", {"display_name": None}, a.token, "two") == (200, was)
for n in ("main", "two"):
    assert api("GET", "/me", token=a.token, name=n) == (200, was) and "display_name" not in row(n)
assert api("PATCH", "/me", {"display_name": None}, a.token) == (200, was)
assert api("GET", "/me", token=b.token)[1]["display_name"] == "Alice"
PY
}

@test "PATCH /me: a display_name that is no string, empty, too long or reaches beyond its line is 400, and says so" {
    py - <<'PY'
from chat import *
a = user()
was = api("GET", "/me", token=a.token)
for wrong in (1, 1.5, True, [], ["x"], {}):
    status, answer = api("PATCH", "/me", {"display_name": wrong}, a.token)
    assert status == 400 and '"display_name"' in answer["error"] and "string" in answer["error"], (wrong, answer)
for bad in ("", " ", " a", "a ", "x" * 65, "é" * 65, "👍" * 65, "x" * 9000, "a\nb", "a\tb", "\r", "\x01", "\x7f", "\u0080", "\u009f",
            "\u2028", "a\u2029b", "\u202eevil", "\u202a", "\u2066a\u2069"):
    status, answer = api("PATCH", "/me", {"display_name": bad}, a.token)
    assert status == 400 and '"display_name"' in answer["error"] and "64" in answer["error"] and "null" in answer["error"], (ascii(bad), answer)
for body, word in ((b'{"display_name":"\xff"}', "UTF-8"), (b'{"display_name":"\\u0000"}', "u0000"), (b'{"display_name":"\\ud800"}', ""),
                   (b"[]", "object"), (b"", "")):
    status, answer = api("PATCH", "/me", body, a.token)
    assert status == 400 and word in answer["error"], (body, answer)
assert api("GET", "/me", token=a.token) == was
for good in ("x", "x" * 64, "é" * 64, "👍" * 64, "a  b", "\u00a0", "<b>&amp;</b>", "null", "a\u200d", "\"\\/", "'; drop table users; --", "%s"):
    status, me = api("PATCH", "/me", {"display_name": good}, a.token)
    assert status == 200 and me["display_name"] == good, (ascii(good), me)
    assert api("GET", "/me", token=a.token) == (status, me)
PY
}

@test "PATCH /me: with nothing to change it is 400; other members are ignored, and change nothing" {
    py - <<'PY'
from rawhttp import *
a, b = user(), user()
def patch(body, fields=(), token=a.token):
    body = json.dumps(body).encode()
    return ask("PATCH", "/me", {"Content-Type": "application/json", **dict(fields), "Content-Length": len(body)}, token, body=body)
row = f"select id, username, email, password_hash, created_at, disabled, token_generation from users where id = {a.id}"
before = sql(row)
others = {"id": b.id, "username": "other", "password": "other-words", "new_password": "other-words", "created_at": None,
          "disabled": True, "user": b.id}
patch({}).error(400, '"display_name"', '"email"')
patch(others).error(400, '"display_name"', '"email"')
r = patch({**others, "display_name": "A"})
assert r.status == 200 and r.json()["id"] == a.id and r.json()["username"] == a.name, r.body
assert sql(row) == before
assert sql(f"select display_name is null from users where id = {b.id}") == "t"
patch({"display_name": "A"}, {"Content-Type": "text/plain"}).error(415, "application/json")
patch({"display_name": "A"}, {"Content-Encoding": "gzip"}).error(415)
patch({"display_name": "A"}, token=None).error(401)
ask("PATCH", "/users", token=a.token).error(405)
ask("POST", "/me", token=a.token).error(405)
PY
}

# --- PATCH /me: email ---

@test "PATCH /me: email: takes the password; login, every host and nobody else sees it; tokens stay valid" {
    py - <<'PY'
from chat import *
a, b = user(), user()
was = api("GET", "/me", token=a.token)[1]
ws = connect(a.token)
new = f"{a.name}@example.net"
def patch(body, name="main"):
    return api("PATCH", "/me", body, a.token, name)
for body, status, words in (({"email": new}, 400, ('"password"', "missing")), ({"email": new, "password": 1}, 400, ('"password"', "string")),
                            ({"email": new, "password": None}, 400, ('"password"', "string")),
                            ({"email": new, "password": "x" * 73}, 400, ('"password"', "72")),
                            ({"email": new, "password": "wrong-words"}, 401, ("password",)), ({"email": new, "password": ""}, 401, ("password",)),
                            ({"email": None, "password": password()}, 400, ('"email"', "string")),
                            ({"email": 5, "password": password()}, 400, ('"email"', "string")),
                            *(({"email": bad, "password": password()}, 400, ('"email"', "254"))
                              for bad in ("", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "x" * 249 + "@b.com"))):
    got, answer = patch(body)
    assert got == status and all(word in answer["error"] for word in words), (body, got, answer)
    assert api("GET", "/me", token=a.token) == (200, was)
assert patch({"email": new, "password": password()}, "two") == (200, {**was, "email": new})
for n in ("main", "two"):
    assert api("GET", "/me", token=a.token, name=n) == (200, {**was, "email": new})
    status, answer = api("POST", "/login", {"username": a.name, "password": password()}, name=n)
    assert status == 200 and answer["user"]["email"] == new, answer
ws.ping()
assert new not in json.dumps(api("GET", "/users", token=b.token)) and new not in json.dumps(api("GET", "/me", token=b.token))
# The one from before is free.
assert api("PATCH", "/me", {"email": was["email"], "password": password()}, b.token)[0] == 200
PY
}

@test "PATCH /me: an email that another has is 409, whatever the case; one's own is not; both change or neither does" {
    py - <<'PY'
from chat import *
a, b = user(), user()
was = api("GET", "/me", token=a.token)[1]
def patch(**body):
    return api("PATCH", "/me", {"password": password(), **body}, a.token)
for taken in (f"{b.name}@example.com", f"{b.name}@EXAMPLE.com".upper()):
    status, answer = patch(email=taken, display_name="A")
    assert status == 409 and "email" in answer["error"], (status, answer)
    assert patch(email=taken)[0] == 409
    assert api("GET", "/me", token=a.token) == (200, was)
# Who does not know the password does not learn it.
assert api("PATCH", "/me", {"email": f"{b.name}@example.com", "password": "wrong-words"}, a.token)[0] == 401
assert api("PATCH", "/me", {"email": f"{b.name}@example.com", "password": "wrong-words", "display_name": "A"}, a.token)[0] == 401
assert api("GET", "/me", token=a.token) == (200, was)
assert patch(email=was["email"]) == (200, was)
assert patch(email=was["email"].upper(), display_name="A") == (200, {**was, "email": was["email"].upper(), "display_name": "A"})
assert patch(email=f"{a.name}@example.org", display_name=None) == (200, {**was, "email": f"{a.name}@example.org"})
PY
}

@test "PATCH /me: email counts as a registration does: beyond register_rate it is 429, for that address only" {
    py - <<'PY'
from proxied import *
a = member("203.0.113.1", "strict")
def patch(address, **body):
    body = json.dumps({"password": password(), **body}).encode()
    fields = {"Content-Type": "application/json", "Content-Length": len(body)}
    return one(address, head("PATCH", "/me", fields, a.token).encode() + body, "PATCH", "strict")
here, there = "198.51.100.1", "198.51.100.2"
# Taken or not, and whatever the password.
patch(here, email=f"{member('203.0.113.2', 'strict').name}@example.com").error(409)
patch(here, email=f"{a.name}@example.net", password="wrong-words").error(401)
assert patch(here, email=f"{a.name}@example.net").status == 200
assert register(here, "strict").status == 201
was = sql(f"select * from users where id = {a.id}")
r = patch(here, email=f"{a.name}@example.org").error(429, "changes of email")
assert int(r.headers["retry-after"]) > 0
register(here, "strict").error(429)
assert sql(f"select * from users where id = {a.id}") == was
assert patch(here, display_name="A").status == 200
assert patch(there, email=f"{a.name}@example.org").status == 200
PY
}

@test "PATCH /me: wrong passwords count as at POST /login" {
    py - <<'PY'
from proxied import *
a = member("203.0.113.4", "strict")
def patch(address, **body):
    body = json.dumps({"email": f"{a.name}@example.net", **body}).encode()
    fields = {"Content-Type": "application/json", "Content-Length": len(body)}
    return one(address, head("PATCH", "/me", fields, a.token).encode() + body, "PATCH", "strict")
for _ in range(2):
    patch("198.51.100.4", password="wrong-words").error(401)
patch("198.51.100.4", password=password()).error(429, "failed logins")
login("nobody", "198.51.100.4", "wrong-words", "strict").error(429)
assert patch("198.51.100.5", password=password()).status == 200
PY
}

@test "PATCH /me: a password that was changed, or a token that was voided, while it was compared changes nothing" {
    py - <<'PY'
from rawhttp import *
import signal
def meanwhile(u, change):
    """The answer to a request that has read the hash, and waits for a worker, while SQL is run."""
    workers, began = children("auth"), sql("select clock_timestamp()")
    body = json.dumps({"email": f"{u.name}@example.net", "display_name": "A", "password": password()})
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        c = Http()
        c.send(head("PATCH", "/me", {"Content-Type": "application/json", "Content-Length": len(body)}, u.token), body)
        eventually(lambda: sql(f"""select count(*) from pg_stat_activity where application_name = 'chatd pool' and state = 'idle'
            and query like '%user_credentials%' and query_start > '{began}' and datname = current_database()""") == "1")
        sql(f"update users set {change} where id = {u.id}")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    return c.answer("PATCH")
for change, status in (("password_hash = '$2b$04$' || repeat('x', 53)", 401), ("token_generation = token_generation + 1", 401),
                       ("disabled = true", 401), ("email = email", 200)):
    a = user()
    before = sql(f"select email, display_name from users where id = {a.id}")
    r = meanwhile(a, change)
    assert r.status == status, (change, r.status, r.body)
    assert (sql(f"select email, display_name from users where id = {a.id}") == before) == (status != 200), change
PY
}

@test "PATCH /me: without the database it is 503, and nothing is half done" {
    py - <<'PY'
from chat import *
a = user()
with locked("users", "access exclusive"):
    c = raw(b"PATCH /me HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\nAuthorization: Bearer "
            + a.token.encode() + b'\r\n\r\n{"display_name":"A"}')
    waiting = ("select count(*) from pg_stat_activity where datname = current_database()"
               " and application_name = 'chatd pool' and wait_event_type = 'Lock'")
    eventually(lambda: sql(waiting) == "1")
    sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
    assert c.recv(100).startswith(b"HTTP/1.1 503 ")
def served(*request):
    """As a client does, which comes again after 503: another reader may be on its way back, too."""
    while (answer := api(*request, token=a.token))[0] == 503:
        time.sleep(0.02)
    return answer
status, me = served("GET", "/me")
assert status == 200 and me["display_name"] is None
assert served("PATCH", "/me", {"display_name": "A"})[0] == 200
PY
}
