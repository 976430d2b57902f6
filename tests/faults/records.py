"""What a run writes down, and all that the checker and the report know of it.

A folder of JSON lines, one file a topic. Times ("t") are seconds since the start of the run, users
are the ids of the database, a device is "USER.NUMBER", a connection ("conn") is a number that
rises with each attempt of a device, "n" counts the frames that one connection brought.

  sent         each attempt: user, device, conn, id, to (null: of a group), group (or null), md5
  acked        each acknowledgement: user, device, conn, n, id, message_id, duplicate
  asked        each attempt to change a message: user, device, conn, id, attempt (a number), message_id,
               conversation, what ("edit", "delete", "react" or "unreact"), md5 (of the new text; of a
               deleted one, none), emoji
  made         each acknowledgement of one: user, device, conn, n, id, attempt, message_id, upto (the
               place in the order up to which the connection then had everything; null by HTTP)
  refused      each message, change of one or watermark that was refused by the rules of groups: user,
               device, conn (of the attempt), n, id, code
  said         each watermark that a device said: user, device, conn, id, conversation, reads (or it
               only arrived), message_id
  shown        watermarks as a device saw them: user, device, conn, conversation, member, read,
               delivered, via ("receipt", "list", or "put": acknowledged), asked (null of a receipt)
  moves        each attempt to change a group: user, device, id, attempt, group, what ("add", "role",
               "remove", "leave" or "name"), member, value (a role, or the name)
  moved        each answer to one: user, device, id, attempt, group, status
  told         each frame about one: user, device, conn, n, place, group, ev ("conversation": name; or
               "member": member, role)
  denied       a history of a group that was refused: user, device, group, asked
  stored       the table of the database that survived: message_id, sender, to, id, md5, conversation,
               changed, edited (both null where it is as it was sent), deleted
  reacted      and that of the reactions: message_id, user, emoji
  members      and that of the members: conversation, user, role (null in direct ones), joined (the
               change; 0 of direct ones), since, until (null: still there), read, delivered, unread
               (see views.py)
  groups       and the log of changes of groups: change, group, member (null: of the group itself), role
               (null: the member is gone), made (the group, with its first members)
  names        and those of the groups: group, name
  views        what each user was shown at the end: user, conversation, and ev: conversation (unread,
               last: a message_id or null, role, count: both null of direct ones), member (member, role,
               read, delivered), message (message_id, md5, edited, deleted, reactions: with whether it
               is the user's own), outside (of a group that is not in the list: show, members, history: statuses)
  received     user, device, conn, n, message_id, sender, to, conversation, md5, edited, deleted,
               reactions ([emoji, count] in order of the emojis, or null), via ("frame" or "history"),
               asked (of a history: when)
  changed      each frame that says that a message was changed: user, device, conn, n, message_id,
               conversation, place, md5, edited, deleted, reactions
  connections  ev: begin, open, resumed (recovered, n), close, failed; user, device, conn, host
  handshakes   of TLS: host, began, how ("good", "failed", or why the certificate was not verified),
               certificate (its serial number where all is good)
  seen         what an observer saw: ev watch (on), view (online), status (user, online), users
               (asked, online), away (asked)
  run          ev: constants (lease, allowance), device, group (group, owner, members: the first ones, full:
               who comes sees what was there), fault (number, kind, host or null, what),
               fault_over (number), settled (online, out: devices that should have come in), end,
               left (what), error (what), certificate (host, serial: from now on perhaps), renewed
               (host: from now on only that), entry (host, tls) and signer (host), both with took:
               seconds until somebody was let in, or there was one; or null
"""
import hashlib
import json
import os
import time

TOPICS = ("sent", "acked", "asked", "made", "refused", "said", "shown", "moves", "moved", "told", "denied", "stored",
          "reacted", "members", "groups", "names", "views", "received", "changed", "connections", "handshakes", "seen",
          "run")


def digest(content):
    return hashlib.md5(content.encode()).hexdigest()


EMPTY = digest("")      # what a deleted message has


def counts(reactions, *more):
    """[[emoji, count, …]] of what a frame or a history says, in an order of their own; None: none."""
    return sorted([r["emoji"], r["count"], *(r[m] for m in more)] for r in reactions) if reactions else None


class Records:
    """Writes them. The files are complete at any moment but for the line being written."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.began = time.monotonic()
        self.files = {t: open(f"{folder}/{t}.jsonl", "w", buffering=1) for t in TOPICS}

    def now(self):
        return round(time.monotonic() - self.began, 3)

    def add(self, topic, **row):
        row.setdefault("t", self.now())
        self.files[topic].write(json.dumps(row, separators=(",", ":")) + "\n")

    def close(self):
        for f in self.files.values():
            f.close()


def load(folder):
    """All of them, in memory: topic -> list of rows, in the order of writing."""
    rows = {}
    for topic in TOPICS:
        with open(f"{folder}/{topic}.jsonl") as f:
            rows[topic] = [json.loads(line) for line in f]
    return rows


def save(rows, folder):
    os.makedirs(folder, exist_ok=True)
    for topic in TOPICS:
        with open(f"{folder}/{topic}.jsonl", "w") as f:
            f.writelines(json.dumps(row) + "\n" for row in rows[topic])
