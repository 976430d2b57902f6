#!/usr/bin/env bats
# More messages than the database takes: a quick refusal for those beyond batch_queue, and nothing
# that was accepted is lost. Too many clients: see processes.bats.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o batch_queue=10 -o presence=off -o request_timeout=60s
}

teardown_file() {
    server_teardown_file
}

@test "a full batch queue: overloaded, temporary, at once; 503 with Retry-After; the accepted are stored" {
    py - <<'PY'
from rawhttp import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
with nothing_stored():
    # The first is on its way to the database when the others come.
    a.message(bob.id, "0", "0")
    writer_waits()
    for n in range(1, 41):
        a.message(bob.id, f"{n}", f"{n}")
    refused = [a.expect("error") for _ in range(30)]
    assert [f["id"] for f in refused] == [f"{n}" for n in range(11, 41)]
    assert all(f["data"] == {"code": "overloaded", "temporary": True} for f in refused)
    r = sent(post("/messages", {"receiver_id": bob.id, "content": "x"}, {"Authorization": f"Bearer {alice.token}"}))
    r.error(503, "overloaded")
    assert int(r.headers["retry-after"]) > 0
    assert ask("GET", f"/messages/{bob.id}", token=alice.token).status == 200    # who only reads is served
assert [a.expect("ack")["id"] for _ in range(11)] == [f"{n}" for n in range(11)]
for n in range(11, 41):
    a.message(bob.id, f"{n}", f"{n}")
    assert a.expect("ack")["data"]["duplicate"] is False
assert [b.until("message")["content"] for _ in range(41)] == [f"{n}" for n in range(41)]
PY
}
