"""What is there when all is quiet: in the database, and as each member is shown it over HTTP.

The statements are our own, not functions of chatd: what the checker compares must not come from the
code that it judges.
"""
import asyncio

from lost import LOST, Away
from records import digest

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
select s.conversation_id, s.user_id, s.joined, s.read_upto, s.delivered_upto,
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


async def read_members(database, users):
    text = await database.query(MEMBERS.format(users=",".join(str(u.id) for u in users)))
    for line in text.splitlines():
        yield dict(zip(("conversation", "user", "joined", "read", "delivered", "unread"), map(int, line.split("\t"))))


class View:
    """Asks for all that one member may see, each page from some host."""

    def __init__(self, user):
        self.device, self.scene, self.user = user.devices[0], user.scene, user

    async def ask(self, path):
        """Again, until it is answered."""
        while True:
            try:
                status, answer = await self.device.call("GET", path)
            except (*LOST, Away) as e:
                await asyncio.sleep(getattr(e, "seconds", 0.5))
                continue
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
            self.note(ev="conversation", conversation=c["id"], unread=c["unread"], last=last and last["id"])
            for member in await self.ask(f"/conversations/{c['id']}/members") or ():
                self.note(ev="member", conversation=c["id"], member=member["user_id"], read=member["read_upto"],
                          delivered=member["delivered_upto"])
            await self.read(c["id"])

    async def read(self, conversation):
        after = 0
        while page := await self.ask(f"/conversations/{conversation}/messages?after={after}&limit={PAGE}"):
            for m in page:
                self.note(ev="message", conversation=conversation, message_id=m["id"], md5=digest(m["content"]),
                          edited=m.get("edited_at"), deleted=m.get("deleted", False))
            after = page[-1]["id"]


async def look_at_all(users):
    """All members at the same time; true if each has seen all."""
    looks = asyncio.gather(*(View(user).look() for user in users))
    try:
        await asyncio.wait_for(looks, PATIENCE_S)
    except asyncio.TimeoutError:
        return False
    return True
