"""Groups, as clients make and see them.

    g = group(alice, "Team", bob, carol)    # alice's, with these members: its id
    add(alice, g, dave); put_role(alice, g, dave, "admin"); remove(alice, g, dave); leave(dave, g)
    post(bob, g, "hi")                      # by REST: the message's id
    say(b, g, "hi", "m-1")                  # a frame
    drain(c)                                # what the client has got: frames up to now
"""
from chats import *


def group(owner, name, *members, name_of="main", **more):
    status, answer = api("POST", "/conversations", {"name": name, "members": [m.id for m in members], **more}, owner.token,
                         name_of)
    assert status == 201, (status, answer)
    return answer["id"]


def show(who, g, name="main"):
    return api("GET", f"/conversations/{g}", token=who.token, name=name)


def members(who, g, query="", name="main"):
    return api("GET", f"/conversations/{g}/members{query}", token=who.token, name=name)


def roles(who, g):
    status, answer = members(who, g)
    assert status == 200, (status, answer)
    return {m["user_id"]: m["role"] for m in answer}


def add(who, g, other, role=None, name="main"):
    body = {"user_id": other.id, **({"role": role} if role else {})}
    return api("POST", f"/conversations/{g}/members", body, who.token, name)


def put_role(who, g, other, role, name="main"):
    return api("PATCH", f"/conversations/{g}/members/{other.id}", {"role": role}, who.token, name)


def remove(who, g, other, name="main"):
    return api("DELETE", f"/conversations/{g}/members/{other.id}", token=who.token, name=name)


def leave(who, g, name="main"):
    assert remove(who, g, who, name) == (204, None)


def rename(who, g, name_, name="main"):
    return api("PATCH", f"/conversations/{g}", {"name": name_}, who.token, name)


def post(who, g, content, name="main"):
    status, answer = api("POST", f"/conversations/{g}/messages", {"content": content}, who.token, name)
    assert status == 201, (status, answer)
    return answer["message_id"]


def say(client, g, content, id_=None):
    client.send({"type": "message", "content": content, "data": {"conversation_id": g}, **({"id": id_} if id_ else {})})


def until(client, id_):
    """All that comes before the frame with this id."""
    got = []
    while (frame := client.recv()).get("id") != id_:
        got.append(frame)
    return got


def drain(client):
    """All that this client's host has handed out before it answers a resume from here. What another host has
    stored may still come: wait for a mark first."""
    client.send({"type": "resume", "id": "drain"})
    return until(client, "drain")


def through(client, type_):
    """The frames up to the next of this type, with that one."""
    got = [client.recv()]
    while got[-1]["type"] != type_:
        got.append(client.recv())
    return got


def caught_up(client, who, g, name="main"):
    """The same, once all that is stored by now has come to this client, a member of the group."""
    mark = post(who, g, "mark", name)
    got = []
    while (frame := client.recv())["data"].get("message_id") != mark:
        got.append(frame)
    return got


def brief(frames):
    """What happened, in short."""
    def one(f):
        d = f["data"]
        if f["type"] == "member":
            return ("member", d["user_id"], d["role"])
        if f["type"] == "conversation":
            return ("conversation", d["name"], d["member_count"])
        return (f["type"], f["content"])
    return [one(f) for f in frames]
