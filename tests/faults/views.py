"""What is there when all is quiet: in the database, and as each member is shown it over HTTP.

The statements are our own, not functions of chatd: what the checker compares must not come from the
code that it judges.
"""
import asyncio

from lost import LOST, Away
from records import counts, digest

PAGE = 100
PATIENCE_S = 300     # for all that all members are shown; it takes some seconds

MESSAGES = """
select m.id, m.sender_id, m.receiver_id, m.client_id, md5(m.content), m.conversation_id, coalesce(m.changed, 0),
       coalesce(to_char(m.edited_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), ''),
       coalesce(m.deleted, false)
  from chatd.messages m
 where m.sender_id in ({users}) or m.receiver_id in ({users})
 order by m.id"""

# Unread is what others sent after the last message that the member has read, or sent, and did not
# delete since; the API does not count beyond a hundred.
MEMBERS = """
select s.conversation_id, s.user_id, s.role, s.joined, s.since, s.until, s.read_upto, s.delivered_upto,
       (select least(100, count(*))
          from chatd.messages m
         where m.conversation_id = s.conversation_id and m.sender_id <> s.user_id
           and m.deleted is distinct from true and m.id > s.read_upto and m.id > s.since
           and (s.until is null or m.id <= s.until)
           and m.id > all (select own.id from chatd.messages own
                            where own.conversation_id = s.conversation_id and own.sender_id = s.user_id))
  from chatd.members s
 where s.user_id in ({users})
 order by s.conversation_id, s.user_id"""

GROUPS = """
select g.change, g.conversation_id, g.user_id, g.role, g.made from chatd.group_changes g order by g.change"""

NAMES = "select c.id, c.name from chatd.conversations c where c.kind = 'group' order by c.id"

REACTIONS = """
select r.message_id, r.user_id, r.emoji
  from chatd.reactions r join chatd.messages m on m.id = r.message_id
 order by r.message_id, r.user_id, r.emoji"""


class Stored:
    """A message as the database has it; the columns have the names of the records."""

    def __init__(self, line):
        number, sender, to, self.id, self.md5, conversation, changed, edited, deleted = line.split("\t")
        self.message_id, self.sender, self.to = int(number), int(sender), int(to) if to else None
        self.conversation, self.changed = int(conversation), int(changed) or None
        self.edited, self.deleted = edited or None, deleted == "t"


async def read_messages(database, users):
    text = await database.query(MESSAGES.format(users=",".join(str(u.id) for u in users)))
    return [Stored(line) for line in text.splitlines()]


def number(text):
    return int(text) if text else None


def text_or_none(text):
    return text or None


async def rows_of(database, query, **columns):
    """Each row of the answer, by the names of the records; columns: what becomes of each text."""
    for line in (await database.query(query)).splitlines():
        yield {name: take(text) for (name, take), text in zip(columns.items(), line.split("\t"))}


def read_members(database, users):
    query = MEMBERS.format(users=",".join(str(u.id) for u in users))
    return rows_of(database, query, conversation=int, user=int, role=text_or_none, joined=int, since=int, until=number,
                   read=int, delivered=int, unread=int)


def read_groups(database):
    return rows_of(database, GROUPS, change=int, group=int, member=number, role=text_or_none, made=lambda t: t == "t")


async def write_tables(database, users, add):
    """All that the checker compares with; add: of the records."""
    for message in await read_messages(database, users):
        add("stored", **vars(message))
    for topic, rows in (
            ("members", read_members(database, users)), ("groups", read_groups(database)),
            ("names", rows_of(database, NAMES, group=int, name=str)),
            ("reacted", rows_of(database, REACTIONS, message_id=int, user=int, emoji=str))):
        async for row in rows:
            add(topic, **row)


class View:
    """Asks for all that one member may see, each page from some host."""

    def __init__(self, user):
        self.device, self.scene, self.user = user.devices[0], user.scene, user

    async def answer(self, path):
        """(status, answer): again, until there is one."""
        while True:
            try:
                return await self.device.call("GET", path)
            except (*LOST, Away) as e:
                await asyncio.sleep(getattr(e, "seconds", 0.5))

    async def ask(self, path):
        status, answer = await self.answer(path)
        if status == 200:
            return answer
        self.device.error(f"GET {path} answered {status} {answer}")
        return None

    def note(self, **row):
        self.scene.records.add("views", user=self.user.id, **row)

    async def look(self):
        before, conversations = "", []
        while answer := await self.ask(f"/conversations?limit={PAGE}{before}"):
            conversations += answer["conversations"]
            if answer["next"] is None:
                break
            before = f"&before={answer['next']}"
        for c in conversations:
            last = c["last_message"]
            self.note(ev="conversation", conversation=c["id"], unread=c["unread"], last=last and last["id"],
                      role=c.get("role"), count=c.get("member_count"), name=c["name"])
            for member in await self.ask(f"/conversations/{c['id']}/members") or ():
                self.note(ev="member", conversation=c["id"], member=member["user_id"], role=member["role"],
                          read=member["read_upto"], delivered=member["delivered_upto"])
            await self.read(c["id"])
        for group in {g.number for g in self.scene.groups} - {c["id"] for c in conversations}:
            await self.look_in(group)

    async def look_in(self, group):
        """From outside; whoever has left sees what was there until then."""
        path = f"/conversations/{group}"
        statuses = {what: (await self.answer(f"{path}{below}"))[0]
                    for what, below in (("show", ""), ("members", "/members"), ("history", "/messages"))}
        self.note(ev="outside", conversation=group, **statuses)
        if statuses["history"] == 200:
            await self.read(group)

    async def read(self, conversation):
        after = 0
        while page := await self.ask(f"/conversations/{conversation}/messages?after={after}&limit={PAGE}"):
            for m in page:
                self.note(ev="message", conversation=conversation, message_id=m["id"], md5=digest(m["content"]),
                          edited=m.get("edited_at"), deleted=m.get("deleted", False),
                          reactions=counts(m.get("reactions"), "mine"))
            after = page[-1]["id"]


async def look_at_all(users):
    """All members at the same time; true if each has seen all."""
    looks = asyncio.gather(*(View(user).look() for user in users))
    try:
        await asyncio.wait_for(looks, PATIENCE_S)
    except asyncio.TimeoutError:
        return False
    return True
