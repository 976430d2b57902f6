"""Messages that are changed, as clients change them and see it.

    c = conversation(alice, bob)            # its number; they have one from here on
    m = sent(a, bob, "text")                # a's user has sent it: its id, once that is acknowledged
    edit(a, c, m, "new text", "e-1")        # frames; without an id they are not acknowledged
    delete(a, c, m, "d-1")
    patch(alice, c, m, "new text")          # the same by REST: (status, object)
    remove(alice, c, m)
"""
from chat import *


def conversation(one, other):
    sql(f"insert into messages (sender_id, receiver_id, content) values ({one.id}, {other.id}, 'hello')")
    return int(sql(f"select conversation_id from contacts where user_id = {one.id} and contact_id = {other.id}"))


def sent(client, receiver, content, id_=None):
    id_ = id_ or f"sent-{random.randrange(16**12):x}"
    client.message(receiver.id, content, id_)
    while (frame := client.recv()).get("id") != id_:
        pass
    assert frame["type"] == "ack", frame
    return frame["data"]["message_id"]


def _named(frame, id_):
    return frame if id_ is None else {**frame, "id": id_}


def edit(client, conversation_id, message_id, content, id_=None):
    client.send(_named({"type": "edit", "content": content,
                        "data": {"conversation_id": conversation_id, "message_id": message_id}}, id_))


def delete(client, conversation_id, message_id, id_=None):
    client.send(_named({"type": "delete", "data": {"conversation_id": conversation_id, "message_id": message_id}}, id_))


def at(conversation_id, message_id):
    return f"/conversations/{conversation_id}/messages/{message_id}"


def patch(who, conversation_id, message_id, content, name="main"):
    return api("PATCH", at(conversation_id, message_id), {"content": content}, who.token, name)


def remove(who, conversation_id, message_id, name="main"):
    return api("DELETE", at(conversation_id, message_id), None, who.token, name)


def shown(who, other, message_id, name="main"):
    """The message in the history that this user sees."""
    status, messages = api("GET", f"/messages/{other.id}", token=who.token, name=name)
    assert status == 200, (status, messages)
    [message] = [m for m in messages if m["id"] == message_id]
    return message


def is_change(frame, message_id, content, deleted=False):
    """Whether this is the frame that says so."""
    return (frame["type"], frame["content"], frame["data"]["message_id"], frame["data"]["deleted"]) \
        == ("message_changed", content, message_id, deleted)


def change(frame):
    return int(frame["data"]["cursor"].split("-")[1])


def until_resumed(client):
    """All frames up to resumed, and that one."""
    got = []
    while (frame := client.recv())["type"] != "resumed":
        got.append(frame)
    return got, frame
