#!/usr/bin/env bats
# Accounts: registering, logging in, and the tokens that prove who one is.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# --- POST /register ---

@test "register answers 201 with token, token_type, expires_in and the user" {
    py - <<'PY'
from rawhttp import *
r = sent(post("/register", {"username": "user1", "password": "secret-words", "email": "user1@example.com"}))
assert r.status == 201, r.body
a = r.json()
assert set(a) == {"token", "token_type", "expires_in", "user"}, a
assert (a["token_type"], a["expires_in"]) == ("Bearer", 86400)
assert set(a["user"]) == {"id", "username", "email"}
assert isinstance(a["user"]["id"], int) and a["user"]["id"] > 0
assert (a["user"]["username"], a["user"]["email"]) == ("user1", "user1@example.com")
assert r.headers["cache-control"] == "no-store"
status, users = api("GET", "/users", token=a["token"])
assert status == 200 and a["user"]["id"] in [u["id"] for u in users]
PY
}

@test "register by curl alone, as the tour shows it" {
    api POST /register '{"username":"curl-user","password":"secret-words","email":"curl-user@example.com"}'
    [[ $status == 201 ]] || fail "$status $body"
    [[ $(header content-type) == application/json ]] || fail "$(<"$T/headers")"
    token=$(jq -r .token <<<"$body")
    api GET /users '' "$token"
    [[ $status == 200 && $(jq 'map(select(.username == "curl-user")) | length' <<<"$body") == 1 ]] ||
        fail "$status $body"
}

@test "register: a missing field or one of another type is 400 and named" {
    py - <<'PY'
from chat import *
good = {"username": "fields", "password": "secret-words", "email": "fields@example.com"}
for field in good:
    rest = {k: v for k, v in good.items() if k != field}
    status, a = api("POST", "/register", rest)
    assert status == 400 and f'"{field}"' in a["error"] and "missing" in a["error"], (field, status, a)
    for wrong in (None, 1, 1.5, True, [], ["x"], {}, {"a": 1}):
        status, a = api("POST", "/register", {**good, field: wrong})
        assert status == 400 and f'"{field}"' in a["error"] and "string" in a["error"], (field, wrong, status, a)
        assert list(a) == ["error"]
assert sql("select count(*) from users where username = 'fields'") == "0"
PY
}

@test "register: a username that is empty, too long or has other characters is 400" {
    py - <<'PY'
from chat import *
for bad in ("", "x" * 33, "a b", " a", "a ", "a/b", "a@b", "a\"b", "a'b", "a\\b", "a\nb", "a\tb", "ünï",
            "a\u2028b", "\U0001f600", "a:b", "<b>", "a%20b", "\x7f"):
    status, a = api("POST", "/register", {"username": bad, "password": "secret-words", "email": "n@example.com"})
    assert status == 400 and '"username"' in a["error"], (bad, status, a)
    assert "32" in a["error"], a
for good in ("x" * 32, "a", "0", "A.b_c-9", "...", "-"):
    status, a = api("POST", "/register", {"username": good, "password": "secret-words",
                                          "email": f"{good}@names.example.com"})
    assert status == 201 and a["user"]["username"] == good, (good, status, a)
PY
}

@test "register: what cannot be an email address is 400" {
    py - <<'PY'
from chat import *
for bad in ("", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "a@b\n", "\ta@b", "a@b\x7f", "x" * 249 + "@b.com"):
    status, a = api("POST", "/register", {"username": "mail", "password": "secret-words", "email": bad})
    assert status == 400 and '"email"' in a["error"], (bad, status, a)
longest = "x" * 248 + "@b.com"
assert len(longest) == 254
for name, good in (("mail1", longest), ("mail2", "jürgen+\"q\"@exämple.com"), ("mail3", "a@b")):
    status, a = api("POST", "/register", {"username": name, "password": "secret-words", "email": good})
    assert status == 201 and a["user"]["email"] == good, (good, status, a)
PY
}

@test "register: a password below min_password, above 72 bytes or with a NUL is 400, never cut" {
    py - <<'PY'
from chat import *
def register(password, name="pass"):
    return api("POST", "/register", {"username": name, "password": password, "email": f"{name}@example.com"})
for bad, word in (("", "8"), ("seven77", "8"), ("é" * 3, "8"), ("x" * 73, "72"), ("é" * 36 + "x", "72"), ("x" * 5000, "72")):
    status, a = register(bad)
    assert status == 400 and '"password"' in a["error"] and word in a["error"], (bad, status, a)
status, a = api("POST", "/register", b'{"username":"pass","email":"p@example.com","password":"secret\\u0000words"}')
assert status == 400 and "u0000" in a["error"], (status, a)
# All 72 bytes count.
status, a = register("x" * 71 + "y", "pass72")
assert status == 201, a
assert api("POST", "/login", {"username": "pass72", "password": "x" * 71 + "y"})[0] == 200
assert api("POST", "/login", {"username": "pass72", "password": "x" * 72})[0] == 401
assert api("POST", "/login", {"username": "pass72", "password": "x" * 71})[0] == 401
status, a = api("POST", "/login", {"username": "pass72", "password": "x" * 71 + "yz"})
assert status == 400 and "72" in a["error"], (status, a)
status, a = register("é" * 4, "pass8")
assert status == 201, a
assert sql("select count(*) from users where username = 'pass'") == "0"
PY
}

@test "register: a taken username or email is 409 and says which, whatever the case" {
    py - <<'PY'
from chat import *
def register(name, email):
    status, a = api("POST", "/register", {"username": name, "password": "secret-words", "email": email})
    return status, a.get("error")
before = sql("select count(*) from users")
assert register("Taken", "Taken@Example.com")[0] == 201
for name in ("Taken", "taken", "TAKEN"):
    status, text = register(name, "other@example.com")
    assert status == 409 and "username" in text, (name, status, text)
for email in ("Taken@Example.com", "taken@example.com", "TAKEN@EXAMPLE.COM"):
    status, text = register("other", email)
    assert status == 409 and "email" in text, (email, status, text)
assert int(sql("select count(*) from users")) == int(before) + 1
PY
}

@test "register: what is taken, or not acceptable, is answered before a hash is computed" {
    py - <<'PY'
from crypts import *
from impersonate import *
crypts = Crypts()
with Server(env=crypts.environment) as s:
    someone = user(instance=s.name)
    eventually(lambda: crypts.counts() == {4: 2})       # the worker's own, as it starts, and someone's
    def register(name, email, password="secret-words"):
        body = {"username": name, "password": password, "email": email}
        return api("POST", "/register", body, name=s.name)[0]
    for name in (someone.name, someone.name.upper()):
        assert register(name, "free@example.com") == 409
        assert register("free", f"{name}@example.com") == 409
    assert register("no name", "free@example.com") == register("free", "no address") == 400
    assert register("free", "free@example.com", "short") == register("free", "free@example.com", "x" * 73) == 400
    # Nor is one computed for a session that does not look.
    c = Channel(NEW, name=s.name)
    for name, email in (("no name", "free@example.com"), ("free", ""), ("free", "x" * 255)):
        kind, error = c.ask("REGISTER", text(name) + text(email) + text("secret-words"))
        assert kind == "FAILED", (kind, error)
    c.close()
    assert crypts.counts() == {4: 2}, crypts.counts()
    assert register("free", "free@example.com") == 201
    assert crypts.counts() == {4: 3}, crypts.counts()
PY
}

@test "register: of many at once with one name exactly one gets 201, the others 409" {
    py - <<'PY'
from chat import *
from concurrent.futures import ThreadPoolExecutor
def register(i):
    return api("POST", "/register", {"username": "race", "password": "secret-words", "email": f"race{i}@example.com"})
def with_email(i):
    return api("POST", "/register", {"username": f"mailrace{i}", "password": "secret-words", "email": "mailrace@example.com"})
with ThreadPoolExecutor(16) as pool:
    for what, word in ((register, "username"), (with_email, "email")):
        answers = list(pool.map(what, range(16)))
        assert sorted(s for s, _ in answers) == [201] + [409] * 15, answers
        assert all(word in a["error"] for s, a in answers if s == 409), answers
assert sql("select count(*) from users where lower(username) = 'race'") == "1"
PY
}

@test "register and login ignore unknown members" {
    py - <<'PY'
from chat import *
extra = {"id": 1, "admin": True, "nested": {"a": [1, {"b": None}]}, "Username": "no", "": 0}
status, a = api("POST", "/register", {**extra, "username": "extra", "password": "secret-words", "email": "extra@example.com"})
assert status == 201 and a["user"]["username"] == "extra" and a["user"]["id"] != 1, (status, a)
assert api("POST", "/login", {**extra, "username": "extra", "password": "secret-words"})[0] == 200
PY
}

@test "a body without Content-Type application/json is 415, with a charset it is accepted" {
    py - <<'PY'
from rawhttp import *
body = json.dumps({"username": "types", "password": "secret-words", "email": "types@example.com"}).encode()
def send(path, type_):
    fields = {"Content-Length": len(body)}
    if type_ is not None:
        fields["Content-Type"] = type_
    return ask("POST", path, fields, body=body)
for path in ("/register", "/login"):
    for bad in (None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json-seq",
                "multipart/form-data; boundary=application/json", "text/json"):
        send(path, bad).error(415, "Content-Type", "application/json")
assert send("/register", "application/json; charset=utf-8").status == 201
for good in ("application/json", "APPLICATION/JSON", "application/json;charset=UTF-8", "application/json ; x=y"):
    r = send("/login", good)
    assert r.status == 200, (good, r.body)
PY
}

@test "a body that is no JSON object is 400 and says why" {
    py - <<'PY'
from chat import *
for path in ("/register", "/login"):
    for bad in (b"", b" ", b"null", b"true", b"1", b'"text"', b"[]", b'[{"username":"a"}]', b"{", b"}", b'{"a"}', b"{'a':'b'}",
                b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":.5}', b'{"a":1.}', b'{"a":+1}',
                b'{"a":0x1}', b'{"a":1,}', b'{a:1}', b'{"a":1}{"b":2}', b'{"a":1} x', b'{"a":1};', b'{"a":undefined}',
                b'/* c */{"a":1}', b'{"a":1} // c', b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a":"\\ud800"}',
                b'{"a":"\\udc00\\ud800"}', b'{"a":tru}', b'{"a":True}', b'{"a":1}\x00', b"\xef\xbb\xbf{}",
                b'{"a":' * 100 + b"1" + b"}" * 100):
        status, a = api("POST", path, bad)
        assert status == 400 and "JSON" in a["error"] and list(a) == ["error"], (bad, status, a)
PY
}

@test "a body that is not UTF-8 is 400" {
    py - <<'PY'
from chat import *
for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"):
    for path in ("/register", "/login"):
        status, a = api("POST", path, b'{"username":"utf8","password":"secret-words","email":"x' + bad + b'@example.com"}')
        assert status == 400 and "UTF-8" in a["error"], (bad, status, a)
PY
}

@test "a body above max_body is 413, by Content-Length and chunked" {
    py - <<'PY'
from rawhttp import *
limit = 64 * 1024
def padded(size):
    start = b'{"username":"big","password":"secret-words","email":"big@example.com","pad":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'
assert len(padded(limit)) == limit
# By its length alone, before a byte of it.
ask("POST", "/register", {"Content-Type": "application/json", "Content-Length": limit + 1}).error(413, "max_body")
ask("POST", "/register", {"Content-Type": "application/json", "Content-Length": 2**62}).error(413)
# All of it sent: the answer arrives although the server reads no further.
sent(post("/register", padded(limit * 4))).error(413)
def chunked(body, size):
    out = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size]) for i in range(0, len(body), size))
    return head("POST", "/register", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}).encode() + out + b"0\r\n\r\n"
sent(chunked(padded(limit + 1), 5000)).error(413)
c = Http()
c.send(head("POST", "/register", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}), "fffffffff\r\n")
r = c.answer("POST").error(413)
assert r.headers["connection"] == "close"
c.ended()
# What just fits is taken, either way.
assert sent(post("/register", padded(limit))).status == 201
sent(chunked(padded(limit), 5000)).error(409)
PY
}

@test "passwords are stored as bcrypt \$2b\$ hashes of the configured cost, each with its own salt" {
    py - <<'PY'
from chat import *
for name in ("hash1", "hash2"):
    status, a = api("POST", "/register", {"username": name, "password": "secret-words", "email": f"{name}@example.com"})
    assert status == 201 and "secret" not in json.dumps(a)
hashes = sql("select password_hash from users where username like 'hash_'").split()
assert len(set(hashes)) == 2 and all(h.startswith("$2b$04$") and len(h) == 60 for h in hashes), hashes
assert sql("select count(*) from users u where u::text like '%secret-words%'") == "0"
PY
}

# --- POST /login ---

@test "login answers 200 with the same members as register, and a token of its own" {
    py - <<'PY'
from chat import *
credentials = {"username": "login1", "password": "secret-words"}
status, first = api("POST", "/register", {**credentials, "email": "login1@example.com"})
assert status == 201
status, a = api("POST", "/login", credentials)
assert status == 200 and set(a) == {"token", "token_type", "expires_in", "user"}, (status, a)
assert a["user"] == first["user"] and a["token_type"] == "Bearer" and a["expires_in"] == 86400
assert a["token"] != first["token"]
for token in (a["token"], first["token"]):
    assert api("GET", "/users", token=token)[0] == 200
PY
}

@test "login works whatever the case of the name; the password's case counts" {
    py - <<'PY'
from chat import *
assert api("POST", "/register", {"username": "CaSe", "password": "secret-Words", "email": "case@example.com"})[0] == 201
for name in ("CaSe", "case", "CASE"):
    status, a = api("POST", "/login", {"username": name, "password": "secret-Words"})
    assert status == 200 and a["user"]["username"] == "CaSe", (name, status, a)
assert api("POST", "/login", {"username": "CaSe", "password": "secret-words"})[0] == 401
PY
}

@test "login: an unknown user and a wrong password get one and the same 401" {
    py - <<'PY'
from rawhttp import *
assert api("POST", "/register", {"username": "known", "password": "secret-words", "email": "known@example.com"})[0] == 201
answers = set()
for name, password in (("known", "wrong-words"), ("known", ""), ("known", "secret-word"), ("known", "secret-words "),
                       ("unknown", "secret-words"), ("", "secret-words"), ("no such name, ever", "secret-words"),
                       ("x" * 500, "secret-words"), ("known' or '1'='1", "secret-words"), ("kn%", "secret-words"),
                       ("known@example.com", "secret-words")):
    r = sent(post("/login", {"username": name, "password": password}))
    assert r.status == 401, (name, r.status, r.body)
    assert r.headers["www-authenticate"].startswith("Bearer"), r.fields
    answers.add((r.body, tuple(sorted((k, v) for k, v in r.fields if k != "date"))))
assert len(answers) == 1, answers
PY
}

@test "login: a missing field or one of another type is 400 and named" {
    py - <<'PY'
from chat import *
good = {"username": "user1", "password": "secret-words"}
for field in good:
    status, a = api("POST", "/login", {k: v for k, v in good.items() if k != field})
    assert status == 400 and f'"{field}"' in a["error"] and "missing" in a["error"], (status, a)
    for wrong in (None, 1, False, [], {}):
        status, a = api("POST", "/login", {**good, field: wrong})
        assert status == 400 and f'"{field}"' in a["error"], (wrong, status, a)
PY
}

@test "login: an unknown user costs the auth workers a bcrypt of the configured cost as well" {
    py - <<'PY'
from crypts import *
crypts = Crypts()
with Server("-o", "bcrypt_cost=5", "-o", "auth_workers=2", env=crypts.environment) as s:
    # Each makes one as it starts.
    eventually(lambda: crypts.counts() == {5: 2})
    someone = user(instance=s.name)
    assert sql(f"select password_hash from users where id = {someone.id}").startswith("$2b$05$")
    assert crypts.counts() == {5: 3}
    for n, name in enumerate((someone.name, "nobody-at-all", "no name at all"), 1):
        for _ in range(3):
            assert api("POST", "/login", {"username": name, "password": "wrong-words"}, name=s.name)[0] == 401
        assert crypts.counts() == {5: 3 + 3 * n}, (name, crypts.counts())
PY
}

# --- tokens ---

@test "tokens: HS256, with the claims sub, iat, exp, jti and gen, and a kid that names the key" {
    py - <<'PY'
from tokens import *
a = user()
_, again = api("POST", "/login", {"username": a.name, "password": password()})
jtis = set()
for t in (a.token, again["token"]):
    h, c, s = t.split(".")
    kid = b64(hashlib.sha256(b"chatd token key\0" + KEY).digest()[:8])
    assert decode(h) == {"alg": "HS256", "typ": "JWT", "kid": kid}, decode(h)
    assert s == sign(f"{h}.{c}")
    c = decode(c)
    assert c["sub"] == str(a.id) and abs(c["iat"] - time.time()) < 30 and c["exp"] - c["iat"] == 86400, c
    assert c["gen"] == int(sql(f"select token_generation from users where id = {a.id}")) > 0
    assert isinstance(c["jti"], str) and len(c["jti"]) >= 22
    jtis.add(c["jti"])
assert len(jtis) == 2
PY
}

@test "tokens: one signed by hand with sub, iat, exp, jti and gen is good" {
    py - <<'PY'
from tokens import *
a = user()
t = token(claims(a))
assert status(t) == 200
assert status(token(claims(a), {"alg": "HS256"})) == 200
for ahead in (30, 600, 3600):                             # clocks differ, a little or a lot
    assert status(token(claims(a, iat=NOW + ahead))) == 200
assert status(token(claims(a, other={"x": [1]}))) == 200
b = user()
ws = connect(t)
connect(b.token).message(a.id, "for a")
assert ws.until("message")["content"] == "for a"
PY
}

@test "tokens: alg none is refused, in any spelling, with and without a signature" {
    py - <<'PY'
from tokens import *
a = user()
for name in ("none", "None", "NONE", "nOnE"):
    for head_ in ({"alg": name, "typ": "JWT"}, {"alg": name}):
        text = part(head_) + "." + part(claims(a))
        for t in (text + ".", text, text + "." + sign(text)):
            refused(t, head_)
for head_ in ({}, {"typ": "JWT"}, {"alg": ""}, {"alg": None}, {"alg": 1}, {"alg": ["HS256"]}):
    text = part(head_) + "." + part(claims(a))
    refused(text + ".", head_)
    refused(text + "." + sign(text), head_)
PY
}

@test "tokens: another algorithm is refused, even with the right key" {
    py - <<'PY'
from tokens import *
a = user()
refused(token(claims(a), {"alg": "HS512", "typ": "JWT"}, digest=hashlib.sha512))
refused(token(claims(a), {"alg": "HS384", "typ": "JWT"}, digest=hashlib.sha384))
for name in ("RS256", "ES256", "PS256", "EdDSA", "HS1", "hs999"):
    refused(token(claims(a), {"alg": name, "typ": "JWT"}), name)
refused(token(claims(a), digest=hashlib.sha512), "the header says HS256")
PY
}

@test "tokens: a truncated or altered one is refused" {
    py - <<'PY'
from tokens import *
a, b = user(), user()
h, c, s = a.token.split(".")
for t in (a.token[:-1], a.token[:-10], f"{h}.{c}", f"{h}.{c}.", h, f"{h}.", f".{c}.{s}", f"{h}..{s}", f"{c}.{h}.{s}", a.token[1:],
          f"{h}.{c}.{s}.{s}", f"{h}.{c}.{b.token.split('.')[2]}", f"{h}.{b.token.split('.')[1]}.{s}", a.token + "A",
          f"{h}.{c}.{s[:-4]}AAAA", f"{h}.{c}.{'A' * len(s)}"):
    refused(t)
for i in (1, len(h) + 3, len(h) + len(c) + 4):
    refused(a.token[:i] + ("A" if a.token[i] != "A" else "B") + a.token[i + 1:], i)
assert status(a.token) == 200
PY
}

@test "tokens: one signed with another key is refused" {
    py - <<'PY'
from tokens import *
a = user()
for key in (b"another key, of more than 32 bytes", b"", KEY[:-1], KEY + b"\n"):
    refused(token(claims(a), key=key), key)
PY
}

@test "tokens: one that is expired, or has no time as exp, is refused" {
    py - <<'PY'
from tokens import *
a = user()
for exp in (None, NOW - 1, NOW - 100000, 1, 0, -1, str(NOW + 3600), (NOW + 3600) * 1000, 1e300, True, [NOW + 3600], {"at": NOW}):
    refused(token(claims(a, exp=exp)), f"exp {exp}")
refused(token(json.dumps(claims(a)).replace(f'"exp": {NOW + 3600}', '"exp": null').encode()), "exp null")
soon = token(claims(a, exp=int(time.time()) + 3))
assert status(soon) == 200
eventually(lambda: status(soon) == 401)
for good in ({"exp": NOW + 3600.5}, {"iat": NOW - 0.5}, {"nbf": NOW + 0.25}):      # a NumericDate
    assert status(token(claims(a, **good))) == 200, good
PY
}

@test "tokens: a header that changes what a token means is refused, from here and from elsewhere" {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$T/ec"
    openssl pkey -in "$T/ec" -pubout -out "$T/ec.pub"
    server_start keys -o jwt_public_key_file="$T/ec.pub"
    py - <<'PY'
from tokens import *
a = user()
def try_(**head_):
    good = token(claims(a), {"alg": "HS256", **head_}), foreign(f"{T}/ec", theirs(a), "ES256", **head_)
    return {ask("GET", "/users", token=t, name="keys").status for t in good}
for head_ in ({"crit": ["x"], "x": 1}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": ["b64"], "b64": True},
              {"crit": []}, {"b64": False}, {"typ": "logout+jwt"}, {"typ": 1}):
    assert try_(**head_) == {401}, head_
for head_ in ({}, {"typ": "jwt"}, {"b64": True}, {"cty": "x", "jku": "http://127.0.0.1/", "other": {}}):
    assert try_(**head_) == {200}, head_
PY
    server_stop keys
}

@test "tokens: an expiry also ends what an open connection may do" {
    py - <<'PY'
from tokens import *
a = user()
exp = int(time.time()) + 3
t = token(claims(a, exp=exp))
http_, ws = Http(), connect(t)
http_.send(head("GET", "/users", token=t))
assert http_.answer().status == 200
assert ws.closed() == 4401
assert time.time() >= exp - 1
time.sleep(max(0, exp + 0.05 - time.time()))
http_.send(head("GET", "/users", token=t))
http_.answer().error(401)
PY
}

@test "tokens: one whose sub is missing or no user id is refused" {
    py - <<'PY'
from tokens import *
a = user()
for sub in (None, "", "0", "-1", f"-{a.id}", f"0{a.id}", f" {a.id}", f"{a.id} ", f"+{a.id}", f"{a.id}.0", f"{a.id}x", "x", a.name, "1e0",
            "0x1", "9" * 19, "9" * 40, a.id, True, [str(a.id)], {"id": a.id}):
    refused(token(claims(a, sub=sub)), f"sub {sub}")
PY
}

@test "tokens: one whose jti, iat or gen is missing or malformed is refused" {
    py - <<'PY'
from tokens import *
a = user()
for changes in ({"jti": None}, {"jti": ""}, {"jti": 7}, {"gen": None}, {"gen": 0}, {"gen": "0"}, {"gen": -1}, {"iat": None}, {"iat": str(NOW)}, {"iat": 0}, {"iat": -5},
                {"iat": NOW * 1000}, {"nbf": NOW + 600}):
    refused(token(claims(a, **changes)), changes)
PY
}

@test "tokens: what is no token at all is refused" {
    py - <<'PY'
from tokens import *
for t in ("x", "...", "..", ".", "a.b.c", "null", "Bearer x", part({"alg": "HS256"}) + ".W10." + sign(part({"alg": "HS256"}) + ".W10"),
          token(b"[]"), token(b"1"), token(b'"x"'), token(b"{"), token(b""), token({}), "%00", "\u00e9" * 5, "x" * 5000):
    r = ask("GET", "/users", {"Authorization": f"Bearer {t}"})
    assert r.status == 401, (t, r.status)
for field in ("", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x", "Bearerx"):
    r = ask("GET", "/users", {"Authorization": field}).error(401, "Authorization")
    assert r.headers["www-authenticate"].startswith("Bearer")
ask("GET", "/users").error(401, "Authorization")
PY
}

@test "tokens: two Authorization fields are refused, however good each is" {
    py - <<'PY'
from tokens import *
a = user()
line = f"Authorization: Bearer {a.token}"
ask("GET", "/users", [line, line]).error(400, "more than one Authorization")
ask("GET", "/users", [line, "authorization: Bearer x"]).error(400, "more than one Authorization")
PY
}

@test "tokens: the scheme may be written in any case" {
    py - <<'PY'
from tokens import *
a = user()
for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
    assert ask("GET", "/users", {"Authorization": f"{scheme} {a.token}"}).status == 200, scheme
assert ask("GET", "/users", {"AUTHORIZATION": f"Bearer {a.token}"}).status == 200
PY
}

@test "tokens: one in the URL, a cookie or the body is no token" {
    py - <<'PY'
from tokens import *
a = user()
for path in (f"/users?token={a.token}", f"/users?access_token={a.token}", f"/messages/{a.id}?token={a.token}"):
    ask("GET", path, {"Cookie": f"token={a.token}"}).error(401)
PY
}

@test "tokens: each request on one connection is answered as the user of its own token" {
    py - <<'PY'
from tokens import *
a, b, c = user(), user(), user()
sql(f"insert into messages (sender_id, receiver_id, content) values ({a.id}, {c.id}, 'a to c'), ({b.id}, {c.id}, 'b to c')")
h = Http()
def contents(who):
    h.send(head("GET", f"/messages/{c.id}", token=who.token))
    return [m["content"] for m in h.answer().json()]
for who, expected in ((a, "a to c"), (b, "b to c"), (a, "a to c"), (a, "a to c"), (b, "b to c")):
    assert contents(who) == [expected], who.name
assert contents(c) == []
h.send(head("GET", f"/messages/{c.id}"))
h.answer().error(401)                      # nor is the last user remembered
h.send(head("GET", f"/messages/{c.id}", token=a.token[:-1]))
h.answer().error(401)
assert contents(b) == ["b to c"]
PY
}
