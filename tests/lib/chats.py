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
