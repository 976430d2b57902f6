#!/usr/bin/env bats
# REST: who there is, what was said, CORS, and the form of errors.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# --- GET /users ---

@test "GET /users lists all users by id, each with id, username, online and last_seen" {
    py - <<'PY'
from chat import *
everybody = [user() for _ in range(5)]
status, users = api("GET", "/users", token=everybody[2].token)
assert status == 200
ids = [u["id"] for u in users]
assert ids == sorted(set(ids)) and len(ids) == int(sql("select count(*) from users"))
for u in users:
    assert set(u) == {"id", "username", "online", "last_seen"}, u
    assert isinstance(u["online"], bool)
names = {u["id"]: u["username"] for u in users}
for one in everybody:
    assert names[one.id] == one.name
PY
}

@test "GET /users shows no email address and no password hash" {
    py - <<'PY'
from rawhttp import *
a = user()
r = ask("GET", "/users", token=a.token)
assert r.status == 200
assert b"@" not in r.body and b"example.com" not in r.body and b"$2b$" not in r.body
PY
}

@test "GET /users: online follows the WebSocket, whatever connection asks" {
    py - <<'PY'
from chat import *
a, b = user(), user()
assert online(a, by=a) is False, "a token alone is nobody's presence"
ws, second = connect(a.token), connect(a.token)
assert online(a, by=a) and online(a, by=b) and not online(b, by=a)
ws.close()
assert online(a, by=b)
second.close()
eventually(lambda: not online(a, by=b))
PY
}

@test "GET /users: last_seen is null before the first visit, now while online, then the end of it" {
    py - <<'PY'
from chat import *
import re
from datetime import datetime, timezone
a, b = user(), user()
def last_seen():
    [row] = [u for u in api("GET", "/users", token=b.token)[1] if u["id"] == a.id]
    if row["last_seen"] is None:
        return None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["last_seen"]), row
    return datetime.strptime(row["last_seen"], "%Y-%m-%dT%H:%M:%S.%f%z")
def database_now():
    return datetime.fromtimestamp(float(sql("select extract(epoch from date_trunc('milliseconds', clock_timestamp()))")), timezone.utc)
assert last_seen() is None
ws = connect(a.token)
before = database_now()
seen_ = last_seen()
assert before <= seen_ <= database_now(), (before, seen_)
ws.close()
eventually(lambda: not online(a, by=b))
left = last_seen()
assert before <= left <= database_now()
assert last_seen() == left
PY
}

@test "GET /users with after, limit or q: a page, by id or by name, and the way to the next" {
    py - <<'PY'
from rawhttp import *
import re
prefix = "Page.of."
everybody = [user(f"{prefix}{n}") for n in (3, 1, 2, 5, 4)]
token = everybody[0].token
def page(query):
    """The names in a page, and the query of the next one."""
    r = ask("GET", f"/users?{query}", token=token)
    assert r.status == 200, (query, r.body)
    link = r.headers.get("link")
    if link:
        link = re.fullmatch(r'<\?([^>]*)>; rel="next"', link)[1]
    return [u["username"].removeprefix(prefix) for u in r.json()], link
def pages(query):
    got = []
    while query:
        names, query = page(query)
        got.append(names)
    return got
before = everybody[0].id - 1
assert pages(f"after={before}&limit=2") == [["3", "1"], ["2", "5"], ["4"]]
assert pages(f"q={prefix}&limit=2") == [["1", "2"], ["3", "4"], ["5"]]
assert pages(f"q={prefix.lower()}&limit=5") == [["1", "2", "3", "4", "5"]]
assert page(f"q={prefix}4") == (["4"], None)
assert page(f"q={prefix.replace('.', '%2E').replace('P', '%70')}4") == (["4"], None)
assert page(f"q={prefix}&limit=2") == (["1", "2"], f"q={prefix}&after={everybody[2].id}&limit=2")
assert page(f"after={everybody[4].id}") == page(f"after={10**18 - 1}") == ([], None)
# What no name has.
for q in f"{prefix}9", f"{prefix}%00", "%", "%2", "%zz", "a+b", "%C3%A9", "é".encode().hex("%"), "x" * 33, "*", "a%25":
    assert page(f"q={q}") == ([], None), q
with_q = page("q=&limit=1000")[0]
assert with_q == page("limit=1000")[0] and len(page("limit=1")[0]) == 1
assert ask("GET", f"/users?q={prefix}&after={10**17}", token=token).error(404, "no user with this id")
for query, words in (("limit=0", "1 to 1000"), ("limit=1001", "1 to 1000"), ("limit=", "limit"), ("limit=x", "limit"),
                     ("after=-1", "after"), ("after=", "after"), (f"after={10**18}", "after")):
    ask("GET", f"/users?{query}", token=token).error(400, words)
# What the head of a page tells, without the page.
r = ask("HEAD", f"/users?q={prefix}&limit=2", token=token)
assert r.body == b"" and r.headers["link"] == f'<?q={prefix}&after={everybody[2].id}&limit=2>; rel="next"'
PY
}

@test "GET /users without a query: everybody, however many, in bounded memory; what cannot be completed is no whole answer" {
    py - <<'PY'
from rawhttp import *
alice = user()
def more(first, last):
    sql(f"""insert into users (username, email, password_hash)
            select 'many' || n, n || '@many.example', '*' from generate_series({first}, {last}) n""")
more(1, 3500)
ids = [int(i) for i in sql("select id from users order by id").split()]
def everybody(answer):
    assert answer.status == 200
    got = answer.json()
    assert [u["id"] for u in got] == ids
    return answer
c = Http()
for _ in range(2):      # of one connection
    r = everybody(c.send(head("GET", "/users", token=alice.token)).answer())
    assert r.headers["transfer-encoding"] == "chunked" and "content-length" not in r.headers
r = c.send(head("HEAD", "/users", token=alice.token)).answer("HEAD")
assert r.status == 200 and r.body == b"" and r.headers["transfer-encoding"] == "chunked"
c.send(head("GET", f"/users?after={ids[-3]}", token=alice.token))
assert [u["id"] for u in c.answer().json()] == ids[-2:]
# HTTP/1.0 has no chunks: the answer ends with the connection.
old = Http().send(head("GET", "/users", token=alice.token, version="1.0"))
everybody(old.answer())
old.ended()
# More than the kernel keeps for the client, who takes nothing for now: the session holds a page.
more(3501, 120000)
def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
slow = Http()
slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
slow.send(head("GET", "/users", token=alice.token, version="1.0"))
slow.socket.recv(1, socket.MSG_PEEK)
# Nor does the account's end wait for it: the rest of the answer is missing, and one can see that.
c.socket.close()
eventually(lambda: len(children(f"session {alice.name} ")) == 1)
[session] = children(f"session {alice.name} ")
with open(f"/proc/{session}/maps") as f:
    sanitized = "libasan" in f.read()
assert sanitized or resident(session) < 8000, resident(session)
sql(f"select user_disable('{alice.name}')")
rest = b""
while part := slow.socket.recv(1 << 16):
    rest += part
assert b"[" in rest and not rest.rstrip().endswith(b"]"), rest[-100:]
PY
}

# --- GET /messages/:userId ---

@test "GET /messages/:userId answers the messages with id, conversation_id, sender_id, receiver_id, content and created_at" {
    py - <<'PY'
from chat import *
import re
a, b = user(), user()
assert api("GET", f"/messages/{b.id}", token=a.token) == (200, [])
ws = connect(a.token)
ws.message(b.id, "Hello!", "1")
ack = ws.until("ack")["data"]
status, found = api("GET", f"/messages/{b.id}", token=a.token)
[m] = found
assert set(m) == {"id", "conversation_id", "sender_id", "receiver_id", "content", "created_at"}, m
assert (m["id"], m["sender_id"], m["receiver_id"], m["content"]) == (ack["message_id"], a.id, b.id, "Hello!")
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", m["created_at"]), m
assert api("GET", f"/messages/{a.id}", token=b.token) == (200, found)
PY
}

@test "GET /messages/:userId: the last 50, oldest first, both directions, only this pair" {
    py - <<'PY'
from chat import *
a, b, c = user(), user(), user()
sql(f"""insert into messages (sender_id, receiver_id, content)
        select case when i % 3 = 0 then {b.id} else {a.id} end, case when i % 3 = 0 then {a.id} else {b.id} end, 'ab ' || i
          from generate_series(1, 60) i;
        insert into messages (sender_id, receiver_id, content) values
            ({a.id}, {c.id}, 'ac'), ({c.id}, {a.id}, 'ca'), ({b.id}, {c.id}, 'bc'), ({a.id}, {a.id}, 'aa')""")
for one, other in ((a, b), (b, a)):
    status, found = api("GET", f"/messages/{other.id}", token=one.token)
    assert status == 200
    assert [m["content"] for m in found] == [f"ab {i}" for i in range(11, 61)], found
    assert [m["id"] for m in found] == sorted(m["id"] for m in found)
    assert {(m["sender_id"], m["receiver_id"]) for m in found} == {(a.id, b.id), (b.id, a.id)}
assert [m["content"] for m in api("GET", f"/messages/{c.id}", token=a.token)[1]] == ["ac", "ca"]
assert [m["content"] for m in api("GET", f"/messages/{a.id}", token=a.token)[1]] == ["aa"]
assert [m["content"] for m in api("GET", f"/messages/{a.id}", token=c.token)[1]] == ["ac", "ca"]
PY
}

@test "GET /messages/:userId: before, after and limit page through a conversation" {
    py - <<'PY'
from chat import *
a, b = user(), user()
ids = [int(i) for i in sql(f"""insert into messages (sender_id, receiver_id, content)
    select {a.id}, {b.id}, i::text from generate_series(1, 130) i returning id""").split()]
def page(query):
    status, found = api("GET", f"/messages/{b.id}?{query}", token=a.token)
    assert status == 200, (query, found)
    return [m["id"] for m in found]
assert page("") == page("unknown=1") == page("&&x&") == ids[-50:]
assert page("limit=1") == ids[-1:]
assert page("limit=100") == ids[-100:]
assert page(f"before={ids[10]}") == ids[:10]
assert page(f"before={ids[100]}") == ids[50:100]
assert page(f"before={ids[100]}&limit=3") == page(f"limit=3&before={ids[100]}") == ids[97:100]
assert page(f"after={ids[9]}") == ids[10:60]
assert page(f"after={ids[9]}&limit=2") == ids[10:12]
assert page("after=0") == ids[:50] and page("after=0&limit=3") == ids[:3]
assert page(f"after={ids[-1]}") == [] and page(f"before={ids[0]}") == []
assert page(f"after={ids[9]}&before={ids[20]}") == ids[10:20]
got, at = [], ids[0] - 1
while True:
    more = page(f"after={at}&limit=37")
    if not more:
        break
    got, at = got + more, more[-1]
assert got == ids
PY
}

@test "GET /messages/:userId: a limit, before or after that is no such number is 400 and named" {
    py - <<'PY'
from rawhttp import *
a = user()
for name in ("limit", "before", "after"):
    for bad in ("", "0", "-1", "x", "1.5", "1x", "+1", "%31", "9" * 19, "9" * 40):
        if (name, bad) != ("after", "0"):   # that stands before all
            ask("GET", f"/messages/{a.id}?{name}={bad}", token=a.token).error(400, f'"{name}"')
ask("GET", f"/messages/{a.id}?limit=101", token=a.token).error(400, '"limit"', "100")
PY
}

@test "GET /messages/:userId: 404 for an unknown user, 400 for what is no user id" {
    py - <<'PY'
from rawhttp import *
a = user()
for unknown in (10**9, 999999999999999999):
    ask("GET", f"/messages/{unknown}", token=a.token).error(404)
for bad in ("0", "-1", "x", a.name, "1.5", "1x", "%31", "+1", "1%20", "9" * 19, "9" * 500):
    ask("GET", f"/messages/{bad}", token=a.token).error(400, "id in the path")
ask("GET", "/messages", token=a.token).error(405)
for path in ("/messages/", f"/messages/{a.id}/", f"/messages/{a.id}/x", "/messages//"):
    ask("GET", path, token=a.token).error(404)
PY
}

@test "GET /messages/:userId and /users: 401 without a token" {
    py - <<'PY'
from rawhttp import *
for path in ("/users", "/messages/1", "/messages/999999999", "/messages/x"):
    r = ask("GET", path).error(401, "Authorization")
    assert r.headers["www-authenticate"].startswith("Bearer")
PY
}

@test "every route but those that give a token asks for one, and acts for nobody who is gone, disabled or somebody else" {
    py - "$ROOT" <<'PY'
from rawhttp import *
import re
routes = open(f"{sys.argv[1]}/src/session/rest.c").read().split("routes[] = {")[1].split("};")[0]
routes = [r for r in re.findall(r'\{"(/[^"]*)", "(\w+)"', routes) if r[0] not in ("/", "/openapi.json", "/asyncapi.json", "/register", "/login")]
assert len(routes) >= 9, routes
gone, disabled, out, other = user(), user(), user(), user()
sql(f"delete from users where id = {gone.id}; update users set disabled = true where id = {disabled.id}")
assert ask("POST", "/logout", token=out.token).status == 204
forged = ".".join(other.token.split(".")[:2] + gone.token.split(".")[2:])
body = json.dumps({"display_name": "changed", "email": "changed@example.com", "password": password(),
                   "new_password": "other-words", "receiver_id": other.id, "content": "x"}).encode()
for token, status in ((gone.token, 401), (disabled.token, 403)):
    eventually(lambda: ask("GET", "/users", token=token).status == status)
before = sql("select md5(string_agg(u::text, ',' order by id)), (select count(*) from messages) from users u")
for path, method in routes:
    path = path.replace(":", str(other.id))
    fields = {"Content-Type": "application/json", "Content-Length": len(body), "Upgrade": "websocket", "Connection": "Upgrade",
              "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    fields = {k: v for k, v in fields.items() if k.startswith("Content") == (method != "GET")}
    for token, status in ((None, 401), (gone.token, 401), (out.token, 401), (forged, 401), (disabled.token, 403)):
        r = ask(method, path, fields, token=token, body=body if method != "GET" else b"")
        r.error(status)
assert sql("select md5(string_agg(u::text, ',' order by id)), (select count(*) from messages) from users u") == before
PY
}

@test "content of any kind comes back as it was sent, in frames and in the history" {
    py - <<'PY'
from chat import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
odd = ['"', "\\", '\\"', "/", "</script>", "a\nb\r\nc\td", "\b\f", "\x01\x1f\x7f", "\u0080\u009f", "\u2028\u2029", "é ñ ß", "日本語", "\U0001f600\U0001f1e9\U0001f1ea",
       "e\u0301", "\u202eabc", "\ufeff", "\ufffd\uffff", "\U0010ffff", "'; drop table users; --", "%s%n%d", "$1", "{}", "null", "[1,2", " ", "\u00a0",
       "x" * 16384, "\x01" * 9000, "é" * 8192]
for i, content in enumerate(odd):
    wa.message(b.id, content, f"c{i}")
    assert wa.until("ack")["id"] == f"c{i}"
    assert wb.until("message")["content"] == content, ascii(content[:40])
for who, other in ((a, b), (b, a)):
    assert [m["content"] for m in api("GET", f"/messages/{other.id}?limit=100", token=who.token)[1]] == odd
# Written with escapes, they are the same text.
wa.send('{"type":"message","content":"\\u0022\\u005c\\ud83d\\ude00\\/","data":{"receiver_id":%d}}' % b.id)
assert wb.until("message")["content"] == '"\\\U0001f600/'
PY
}

# --- errors ---

@test "every error is {\"error\": text} as application/json, whatever went wrong" {
    py - <<'PY'
from rawhttp import *
a = user()
ask("GET", "/nothing").error(404)
ask("GET", "/").error(404)
ask("DELETE", "/users", token=a.token).error(405)
ask("BREW", "/users").error(501)
ask("GET", "/ws").error(426)
ask("GET", "/users").error(401)
ask("POST", "/login").error(415)
sent(post("/login", "{")).error(400)
sent("nonsense\r\n\r\n").error(400)
for r in (ask("GET", "/nothing"), sent(post("/login", "{")), sent("nonsense\r\n\r\n")):
    assert r.headers["x-content-type-options"] == "nosniff" and r.headers["cache-control"] == "no-store"
    assert int(r.headers["content-length"]) == len(r.body)
PY
}

# --- CORS ---

@test "CORS in development: any origin, on answers, errors and preflights" {
    py - <<'PY'
from rawhttp import *
a = user()
for origin in ("http://localhost:3000", "https://b.example", "null"):
    for r in (ask("GET", "/users", {"Origin": origin}, token=a.token), ask("GET", "/users", {"Origin": origin}),
              ask("GET", "/nothing", {"Origin": origin}), sent(post("/login", "{", {"Origin": origin}))):
        assert r.headers["access-control-allow-origin"] == "*", r.fields
        assert "access-control-allow-credentials" not in r.headers
assert ask("GET", "/users", token=a.token).headers["access-control-allow-origin"] == "*"
PY
}

@test "CORS: what the head of an answer tells is exposed to pages of other origins" {
    py - <<'PY'
from rawhttp import *
page = {"Origin": "http://localhost:3000"}
for r, field in ((ask("DELETE", "/users", page), "Allow"), (ask("GET", "/users", page), "WWW-Authenticate"),
                 (ask("POST", "/login", {**page, "Content-Type": "a/b"}), "Accept"),
                 (ask("POST", "/login", {**page, "Content-Encoding": "gzip"}), "Accept-Encoding"),
                 (ask("GET", "/users", page), "Retry-After")):
    assert field.lower() in r.headers or r.status == 401, (field, r.fields)
    assert field in r.headers["access-control-expose-headers"].split(", "), r.fields
PY
}

@test "401 says invalid_token where there was a token, and only there (RFC 6750 3)" {
    py - <<'PY'
from rawhttp import *
bare = 'Bearer realm="chatd"'
bad = bare + ', error="invalid_token"'
a = user()
for path in ("/users", "/messages/1", "/events"):
    for token, said in (("nonsense", bad), (a.token + "x", bad), ("x" * 6000, bad), (None, bare)):
        r = ask("GET", path, token=token).error(401)
        assert r.headers["www-authenticate"] == said, (path, token, r.fields)
assert ask("GET", "/users", {"Authorization": "Basic YTpi"}).error(401).headers["www-authenticate"] == bare
r = sent(post("/login", {"username": a.name, "password": "wrong"})).error(401)
assert r.headers["www-authenticate"] == bare, r.fields
assert ask("POST", "/logout", token=a.token).status == 204
eventually(lambda: ask("GET", "/users", token=a.token).status == 401)
assert ask("GET", "/users", token=a.token).error(401).headers["www-authenticate"] == bad
PY
}

@test "CORS: a preflight is 204 with the methods and header fields, and needs no token" {
    py - <<'PY'
from rawhttp import *
for path, method in (("/register", "POST"), ("/login", "POST"), ("/users", "GET"), ("/messages/1", "GET"), ("/me", "PATCH"), ("/users/1/block", "PUT"),
                     ("/users/1/block", "DELETE")):
    r = ask("OPTIONS", path, {"Origin": "http://localhost:3000", "Access-Control-Request-Method": method,
                              "Access-Control-Request-Headers": "authorization, content-type"})
    assert r.status == 204 and r.body == b"" and "content-length" not in r.headers, (r.status, r.fields)
    assert r.headers["access-control-allow-origin"] == "*"
    assert method in r.headers["access-control-allow-methods"].split(", ")
    allowed = r.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert int(r.headers["access-control-max-age"]) > 0
ask("OPTIONS", "/nothing", {"Origin": "http://localhost:3000"}).error(404)
PY
}

@test "CORS in production: a listed origin is echoed with Vary, another gets nothing" {
    server_start production -o mode=production -o 'cors_origins=https://a.example, https://b.example:8443'
    py - <<'PY'
from rawhttp import *
a = user(instance="production")
def get(origin, path="/users", token=a.token, method="GET"):
    return ask(method, path, {"Origin": origin} if origin else {}, token=token, name="production")
for origin in ("https://a.example", "https://b.example:8443"):
    for r in (get(origin), get(origin, token=None), get(origin, "/nothing"), get(origin, method="OPTIONS")):
        assert r.headers["access-control-allow-origin"] == origin, (origin, r.fields)
        assert r.headers["vary"] == "Origin"
    assert connect(a.token, "production", headers={"Origin": origin}).close() == 1000
for origin in (None, "https://c.example", "http://a.example", "https://a.example:8443", "https://b.example", "https://a.example.evil.example",
               "https://xa.example", "https://a.exampl", "a.example", "null", "*", "https://a.example, https://b.example:8443", ",", "", " "):
    for r in (get(origin), get(origin, method="OPTIONS")):
        assert r.status in (200, 204)
        assert "access-control-allow-origin" not in r.headers, (origin, r.fields)
        assert r.headers["vary"] == "Origin"        # a cache must not give this answer to the others
for origin in ("https://c.example", "null"):
    try:
        connect(a.token, "production", headers={"Origin": origin})
        raise AssertionError(f"a page of {origin} got in")
    except Refused as e:
        assert e.status == 403
assert connect(a.token, "production").close() == 1000
PY
    server_stop production
}

@test "CORS in production without cors_origins: no other origin gets in" {
    server_start closed -o mode=production
    py - <<'PY'
from rawhttp import *
a = user(instance="closed")
r = ask("GET", "/users", {"Origin": "https://a.example"}, token=a.token, name="closed")
assert r.status == 200 and "access-control-allow-origin" not in r.headers
try:
    connect(a.token, "closed", headers={"Origin": "https://a.example"})
    raise AssertionError("a page of another origin got in")
except Refused as e:
    assert e.status == 403
same = f"http://127.0.0.1:{port('closed')}"
assert connect(a.token, "closed", headers={"Origin": same}).close() == 1000
PY
    server_stop closed
}
