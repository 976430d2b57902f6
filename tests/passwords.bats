#!/usr/bin/env bats
# Stored password hashes: those of other systems and of other costs, what a login costs whatever is
# stored, and workers that do not come back.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o login_failures=0
}

teardown_file() {
    server_teardown_file
}

# The vector of "U*U" that comes with crypt_blowfish.
export VECTOR='05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'

@test "a password_hash in the form \$2a\$ or \$2y\$ of other systems is accepted, and only for its password" {
    py - <<'PY'
from chat import *
vector = os.environ["VECTOR"]
for form in ("$2a$", "$2y$", "$2b$"):
    a = user()
    sql(f"update users set password_hash = '{form}{vector}' where id = {a.id}")
    for given, expected in (("U*U*", 401), ("u*u", 401), (password(), 401), ("U*U", 200)):
        status, answer = api("POST", "/login", {"username": a.name, "password": given})
        assert status == expected, (form, given, status, answer)
    assert api("GET", "/users", token=answer["token"])[0] == 200
PY
}

@test "a password_hash of cost 20 or 31 is not computed: 401, and nobody else waits" {
    py - <<'PY'
from chat import *
from concurrent.futures import ThreadPoolExecutor
def login(name):
    return api("POST", "/login", {"username": name, "password": "U*U"})[0]
good = user()
names = []
for cost in (9, 20, 31, 32):        # bcrypt_cost is 4
    a = user()
    names.append(a.name)
    sql(f"update users set password_hash = '$2b${cost:02d}$' || right('{os.environ['VECTOR']}', 53) where id = {a.id}")
with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(login, names * 2)) == {401}
assert api("POST", "/login", {"username": good.name, "password": password()})[0] == 200
log = open(f"{T}/main.log").read()
assert all(log.count(f"{name} cannot log in: the cost") == 1 for name in names), log
assert "did not answer" not in log
PY
}

@test "a password_hash that no method knows is named in the log once a user, and no more than 1,000 are" {
    py - <<'PY'
from chat import *
from concurrent.futures import ThreadPoolExecutor
def login(name):
    return api("POST", "/login", {"username": name, "password": "some words"})[0]
def lines():
    return open(f"{T}/main.log").read().count("cannot log in: the password_hash of user")
odd = ("", "*", "!", "x" * 60, "$1$salt$0123456789abcd", "$2x$" + os.environ["VECTOR"], "x" * 5000)
before = lines()
for text in odd:
    a = user()
    sql(f"update users set password_hash = '{text}' where id = {a.id}")
    assert [login(a.name) for _ in range(2)] == [401] * 2, text
    assert a.name + " cannot log in: the password_hash of user" in open(f"{T}/main.log").read(), text
assert lines() == before + len(odd)
sql("insert into users (username, email, password_hash) select 'odd' || i, 'odd' || i || '@b', 'x' from generate_series(1, 1100) i")
with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(login, [f"odd{i}" for i in range(1, 1101)])) == {401}
log = open(f"{T}/main.log").read()
named = len({line for line in log.splitlines() if " cannot log in: the " in line and "more users" not in line})
assert named == 1000 and log.count("more users cannot log in") == 1, named
PY
}

@test "a login renews a hash of another cost or form; tokens and connections stay" {
    py - <<'PY'
from chat import *
vector = os.environ["VECTOR"]
def row(u):
    return sql(f"select password_hash, token_generation, coalesce(revocation, 0) from users where id = {u.id}").split("|")
def login(u, given="U*U"):
    return api("POST", "/login", {"username": u.name, "password": given})[0]
for stored in ("$2a$" + vector, "$2b$" + vector, "$2y$" + vector):      # cost 5, and 4 is configured
    a = user()
    sql(f"update users set password_hash = '{stored}' where id = {a.id}")
    status, answer = api("POST", "/login", {"username": a.name, "password": "U*U"})
    before = [stored, *row(a)[1:]]
    assert status == 200
    ws = connect(answer["token"])
    eventually(lambda: row(a)[0] != stored)
    renewed, *rest = row(a)
    assert renewed.startswith("$2b$04$") and len(renewed) == 60 and rest == before[1:], (renewed, rest, before)
    assert login(a) == 200 and login(a, "U*U*") == 401
    assert api("GET", "/users", token=answer["token"])[0] == 200
    ws.ping()
    assert row(a)[0] == renewed                         # as new ones are: no need
# Only by the right password; of who is disabled nothing changes.
a, b = user(), user()
sql(f"update users set password_hash = '$2y${vector}', disabled = id = {b.id} where id in ({a.id}, {b.id})")
assert login(a, "wrong-words") == 401 and login(b) == 403
assert row(a)[0] == row(b)[0] == "$2y$" + vector
PY
}

@test "a password that is changed while a login renews its hash is the new one, and the right one was accepted" {
    py - <<'PY'
from chat import *
vector = os.environ["VECTOR"]
lock = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def say(text):
    lock.stdin.write(text + ";\n")
    lock.stdin.flush()
def waiting():
    return int(sql("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
                   "and query ~ 'user_(rehash|password)'"))
def ask(path, body, token=None):
    box = []
    t = threading.Thread(target=lambda: box.append(api("POST", path, body, token=token)))
    t.start()
    return t, box
a = user()
sql(f"update users set password_hash = '$2y${vector}' where id = {a.id}")
token = api("POST", "/login", {"username": a.name, "password": "U*U"})[1]["token"]
eventually(lambda: sql(f"select rehashes from users where id = {a.id}") == "1")
sql(f"update users set password_hash = '$2y${vector}', rehashes = 2 where id = {a.id}")     # as before, without a new password
# Both wait for the row, the renewal first.
say(f"begin; select id from users where id = {a.id} for update")
assert lock.stdout.readline().strip() == str(a.id)
assert api("POST", "/login", {"username": a.name, "password": "U*U"})[0] == 200
eventually(lambda: waiting() == 1)
t, box = ask("/password", {"password": "U*U", "new_password": "other-words"}, token)
eventually(lambda: waiting() == 2)
say("commit")
lock.stdin.close()
t.join()
assert box[0][0] == 200, box
assert sql(f"select rehashes from users where id = {a.id}") == "3"
assert api("POST", "/login", {"username": a.name, "password": "U*U"})[0] == 401
assert api("POST", "/login", {"username": a.name, "password": "other-words"})[0] == 200
PY
}

@test "a login takes as many rounds whatever cost is stored, and as many for a name that nobody has" {
    py - <<'PY'
from crypts import *
crypts = Crypts()
with Server("-o", "bcrypt_cost=9", "-o", "login_delay=0", env=crypts.environment) as s:
    eventually(lambda: crypts.counts() == {9: 1})       # the worker's own, as it starts
    def rounds(name):
        before = crypts.rounds()
        assert api("POST", "/login", {"username": name, "password": "wrong-words"}, name=s.name)[0] == 401
        return crypts.rounds() - before
    users = {c: user() for c in (4, 8, 9, 11)}
    def store(c):
        sql(f"update users set password_hash = '$2b${c:02d}$' || right('{os.environ['VECTOR']}', 53) where id = {users[c].id}")
    for c in (4, 8, 9):
        store(c)
    for name in ("nobody-at-all", *(users[c].name for c in (4, 8, 9))):
        assert rounds(name) == 1 << 9, (name, crypts.counts())
    # A dearer one makes all as dear, until it is renewed.
    store(11)
    for name in ("nobody-at-all", *(users[c].name for c in (4, 8, 9, 11))):
        assert rounds(name) == 1 << 11, (name, crypts.counts())
PY
}
