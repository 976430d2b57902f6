#!/usr/bin/env bats
# Stored password hashes: those of other systems and of other costs, what a login costs whatever is
# stored, and workers that do not come back.

load lib/server

setup_file() {
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
