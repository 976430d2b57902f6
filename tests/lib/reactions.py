"""Replies, reactions and mentions, as clients make and see them.

    answer(alice, g, "yes", to)             # by REST, with reply_to: status and answer
    say_to(a, g, "yes", to, "r-1")          # a frame
    put(bob, g, message, "👍"); take(bob, g, message, "👍")
    react(b, g, message, "👍", "r-2", remove=True)
"""
import urllib.parse

from groups import *


def answer(who, conversation, content, to, name="main", key=None):
    return api("POST", f"/conversations/{conversation}/messages", {"content": content, "reply_to": to}, who.token, name,
               headers={"Idempotency-Key": key} if key else {})


def say_to(client, conversation, content, to, id_):
    client.send({"type": "message", "id": id_, "content": content, "data": {"conversation_id": conversation, "reply_to": to}})


def one(who, conversation, message):
    """The message in the history that this user sees."""
    [shown] = [m for m in history(who, conversation) if m["id"] == message]
    return shown


def frame_of(client, message, type_="message"):
    """The next frame of this type about this message."""
    while True:
        frame = client.until(type_)
        if frame["data"]["message_id"] == message:
            return frame


def at(conversation, message, emoji):
    return f"/conversations/{conversation}/messages/{message}/reactions/{urllib.parse.quote(emoji, safe='')}"


def put(who, conversation, message, emoji, name="main"):
    return api("PUT", at(conversation, message, emoji), None, who.token, name)


def take(who, conversation, message, emoji, name="main"):
    return api("DELETE", at(conversation, message, emoji), None, who.token, name)


def react(client, conversation, message, emoji, id_=None, **more):
    client.send({"type": "react", **({"id": id_} if id_ else {}),
                 "data": {"conversation_id": conversation, "message_id": message, "emoji": emoji, **more}})


def counts(shown):
    """Of a message in a history or a frame's data: {emoji: count}, in order."""
    return {r["emoji"]: r["count"] for r in shown.get("reactions", [])}


def mine(shown):
    return [r["emoji"] for r in shown.get("reactions", []) if r["mine"]]
