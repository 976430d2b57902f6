"""Who blocks whom, and what two users see of each other.

    block(alice, bob)                   # by PUT; unblock() lifts it
    assert refused(a, bob)              # a's user may not write to bob
    assert blocked(alice) == [bob.id]
"""
from typists import *

NEUTRAL = "This user does not accept messages from you"


def block(who, other, name="main", method="PUT"):
    status, answer = api(method, f"/users/{getattr(other, 'id', other)}/block", token=who.token, name=name)
    assert (status, answer) == (204, None), (status, answer)


def unblock(who, other, name="main"):
    block(who, other, name, "DELETE")


def blocked(who, name="main"):
    status, users = api("GET", "/me/blocks?limit=1000", token=who.token, name=name)
    assert status == 200, (status, users)
    return [u["id"] for u in users]


def send(client, receiver, content="hello", id_=None):
    """Sends a message and returns its ack, or the error; other frames may come before."""
    id_ = id_ or f"m-{random.randrange(16**12):012x}"
    client.message(receiver.id, content, id_)
    while (f := client.recv()).get("id") != id_:
        assert f["type"] in ("message", "user_status"), f
    return f


def refused(client, receiver):
    f = send(client, receiver)
    if f["type"] == "ack":
        return False
    assert (f["error"], f["data"]) == (NEUTRAL, {"code": "refused", "temporary": False}), f
    return True


def listed(who, by, name="main"):
    """What GET /users shows of somebody: online, and whether last_seen is known."""
    status, users = api("GET", f"/users?after={who.id - 1}&limit=1", token=by.token, name=name)
    [row] = users
    assert status == 200 and row["id"] == who.id, users
    return row["online"], row["last_seen"] is not None


def statuses(clients, marker, name="main"):
    """For each client, whose user marker knows: the statuses, as (user id, online), that have reached it."""
    m, got = connect(marker.token, name), []
    for client in clients:
        got.append([])
        while (d := client.until("user_status")["data"])["user_id"] != marker.id:
            got[-1].append((d["user_id"], d["online"]))
    m.close()
    for client in clients:
        while client.until("user_status")["data"]["user_id"] != marker.id:
            pass
    return got
