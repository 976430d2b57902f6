"""Conversations, as clients ask for them.

    c = know(alice, bob)             # they have exchanged a message; their conversation
    id_ = write(alice, bob, "hi")    # the message's id
    mark(b, "read", c, id_)          # b's user has read it
    assert a.recv() == receipt(c, bob, id_, id_)
"""
from chat import *


def people(count):
    return [user() for _ in range(count)]


def write(sender, receiver, content):
    status, answer = api("POST", "/messages", {"content": content, "receiver_id": receiver.id}, sender.token)
    assert status == 201, (status, answer)
    return answer["message_id"]


def know(one, other):
    write(one, other, "hello")
    return int(sql(f"select conversation_id from contacts where user_id = {one.id} and contact_id = {other.id}"))


def listed(who, name="main"):
    """All conversations of a user, if they are fewer than a page has."""
    status, answer = api("GET", "/conversations", token=who.token, name=name)
    assert status == 200 and answer["next"] is None, (status, answer)
    return answer["conversations"]


def history(who, conversation, query=""):
    status, messages = api("GET", f"/conversations/{conversation}/messages{query}", token=who.token)
    assert status == 200, (status, messages)
    return messages


def mark(client, type_, conversation, message, id_=None):
    frame = {"type": type_, "data": {"conversation_id": conversation, "message_id": message}}
    client.send(frame if id_ is None else {**frame, "id": id_})


def receipt(conversation, who, read_upto, delivered_upto):
    return {"type": "receipt", "data": {"conversation_id": conversation, "user_id": who.id, "read_upto": read_upto,
                                        "delivered_upto": delivered_upto}}


# --- retention ---

def ctl_run(*words):
    """chatctl retention, as the owner of the database."""
    return subprocess.run([f"{os.environ['BUILD']}/chatctl", "-o", f"db_name={os.environ['DB']}", "retention", *words],
                          capture_output=True, text=True)


def ctl(*words):
    done = ctl_run(*words)
    assert done.returncode == 0, done
    return done.stdout.strip()


def keep(days, room=None):
    return ctl("set", *(["--room", str(room)] if room else []), str(days))


def age(which, days):
    """These messages were sent so long ago."""
    sql(f"update messages set created_at = created_at - interval '{days} days' where {which}")


def fill(sender, receiver, count, days):
    """So many messages that were sent so long ago."""
    sql(f"insert into messages (sender_id, receiver_id, content, created_at) select {sender.id}, {receiver.id}, 'old ' || n,"
        f" now() - interval '{days} days' from generate_series(1, {count}) n")
