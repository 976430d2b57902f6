"""Who is writing to whom, as clients say it and see it.

    know(alice, bob)            # they have exchanged a message, before they connect
    say(a, bob)                 # a's user is writing to bob
    assert b.recv() == seen_of(alice, bob)

Pairs are told in the order in which they were said. So who sees one that was said last has seen all
that there was to see.
"""
from chat import *


def know(*users):
    """Each of them has written to each other one."""
    ids = ", ".join(str(u.id) for u in users)
    sql(f"insert into messages (sender_id, receiver_id, content) select a.id, b.id, 'hello' from users a, users b"
        f" where a.id in ({ids}) and b.id in ({ids}) and a.id < b.id")


def say(client, receiver, id_=None):
    frame = {"type": "typing", "data": {"receiver_id": getattr(receiver, "id", receiver)}}
    client.send(frame if id_ is None else {**frame, "id": id_})


def seen_of(sender, receiver):
    """The frame that the receiver gets."""
    conversation = int(sql(f"select conversation_id from contacts where user_id = {sender.id} and contact_id = {receiver.id}"))
    return {"type": "typing", "data": {"conversation_id": conversation, "user_id": sender.id, "username": sender.name}}
