#!/usr/bin/env bats
# What a page of a browser, which sees no status and can set no field, learns of a handshake that is
# refused (lib/page.py).

load lib/server

setup_file() {
    server_setup_file
    # No presence: nothing comes that a test did not ask for.
    server_start main -o presence=off
    server_start strict -o presence=off -o mode=production -o cors_origins=https://a.example
    server_start single -o presence=off -o max_connections_per_user=1
    server_start hasty -o presence=off -o request_timeout=1s -o login_delay=0
}

teardown_file() {
    server_teardown_file
}

# --- handshakes that are refused ---

@test "a page whose token is no good: 101, then close code 4401 with a reason, and nothing was opened" {
    py - <<'PY'
from page import *
from tokens import *
u, gone = user(), user()
assert api("POST", "/logout", token=gone.token)[0] == 204
bad = ["nonsense", "", "..", u.token[:-3], "x" * 6000, gone.token, token(claims(u, exp=NOW - 1))]
for t in bad:
    assert "log in again" in Page(t).ends(4401), t
assert not is_online(u) and not is_online(gone)
c = page(gone.token)
assert c.closed() == 4401 and c.socket.close_reason, c.socket.close_reason
# What follows the handshake is not served.
p = Page("nonsense", more=text({"type": "ping"}))
p.ends(4401)
p = Page(u.token)
p.usable()
assert is_online(u)
PY
}

@test "a page of a disabled account, or of an origin that may not connect: close code 4403 with a reason" {
    py - <<'PY'
from page import *
u = user()
sql(f"select user_disable('{u.name}')")
assert "disabled" in Page(u.token).ends(4403)
v = user(instance="strict")
for origin in "https://evil.example", "null", "https://a.example:444":
    for t in v.token, "nonsense", None:
        assert "cors_origins" in Page(t, "strict", fields={"Origin": origin}).ends(4403), (origin, t)
Page(v.token, "strict", fields={"Origin": "https://a.example"}).usable()
PY
}

@test "a page for which there is no room, or that no broker answers: close code 1013 with a reason" {
    py - <<'PY'
from page import *
from server import *
u, v = user(instance="single"), user(instance="hasty")
first = Page(u.token, "single")
assert "close one" in Page(u.token, "single").ends(1013)
first.usable()
[broker] = children("broker", "hasty")
os.kill(broker, signal.SIGSTOP)
try:
    assert "try again" in Page(v.token, "hasty").ends(1013)
finally:
    os.kill(broker, signal.SIGCONT)
Page(v.token, "hasty").usable()
PY
}

@test "a token in Authorization gets the status, chatd.v1 or not; what is no handshake gets it, too" {
    py - <<'PY'
from page import *
u, v, w = user(), user(instance="strict"), user(instance="single")
sql(f"select user_disable('{u.name}')")
offers = [None, {"Sec-WebSocket-Protocol": "chatd.v1"}, {"Sec-WebSocket-Protocol": "chatd.v1, bearer.x"}]
held = connect(w.token, "single")
for fields in offers:
    assert ask("nonsense", fields).status == 401
    assert ask(u.token, fields).status == 403
    evil = {"Origin": "https://evil.example", **(fields or {})}
    assert ask(v.token, evil, "strict").status == 403
    a = ask(w.token, fields, "single")
    assert a.status == 429 and "retry-after" in a.fields
    assert ask(None, {"Authorization": f"Basic {v.token}", **(fields or {})}).status == 401
held.ping()
# Without our subprotocol there is nothing to select: the status, as ever.
for offer in None, "chatd.v2", "Chatd.v1":
    assert ask(None, {"Sec-WebSocket-Protocol": offer}).status == 401
    assert ask(None, {"Sec-WebSocket-Protocol": offer, "Origin": "https://evil.example"}, "strict").status == 403
for fields, status in [({"Sec-WebSocket-Key": "short"}, 400), ({"Sec-WebSocket-Key": None}, 400),
                       ({"Sec-WebSocket-Version": "8"}, 426), ({"Upgrade": None}, 426),
                       ({"Sec-WebSocket-Extensions": ";"}, 400)]:
    for offer in "chatd.v1", "chatd.v1, bearer.nonsense":
        assert ask(None, {"Sec-WebSocket-Protocol": offer, **fields}).status == status, (fields, offer)
PY
}
