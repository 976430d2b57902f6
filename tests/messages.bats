#!/usr/bin/env bats
# Messages between people: sending, receiving, acknowledgement, history.

load lib/server

setup_file() {
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

@test "a message reaches its receiver as a frame with all members" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
b = connect(bob.token)
assert a.expect("user_status")["data"] == {"user_id": bob.id, "online": True, "username": bob.name}
a.message(bob.id, "Hello!")
f = b.expect("message")
assert f["content"] == "Hello!"
d = f["data"]
assert set(d) == {"message_id", "sender_id", "sender", "receiver_id", "created_at", "cursor"}
assert (d["sender_id"], d["sender"], d["receiver_id"]) == (alice.id, alice.name, bob.id)
assert d["created_at"].endswith("Z") and len(d["created_at"]) == 24
a.silent()
PY
}

@test "with an id the sender gets an ack after COMMIT" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
a.message(bob.id, "one", "c-1")
f = a.expect("ack")
assert f["id"] == "c-1" and f["data"]["duplicate"] is False
assert sql(f"select content from messages where id = {f['data']['message_id']}") == "one"
PY
}
