"""A session that has gone over to an attacker: speaks to the broker's socket directly.

    c = Channel(BOUND, user)            # in this state; SILENT and NEW need no user
    c.say("USERS")                      # a message of the table, with a good payload; returns its number
    kind, payload = c.answer(number)    # waits for the answer with this number
    c.ended()                           # waits until the broker has closed

What the messages are, who may say them, when, how large and how many is read from the sources, so
that a new row is tried like the others. For those in GOOD a payload is known that fits.
"""
import re
import struct

from chance import dice
from server import *

HEADER = struct.Struct("=III")
IN = {"SILENT": 8, "NEW": 1, "BOUND": 2, "ATTACHED": 4}
SILENT, NEW, BOUND, ATTACHED = IN


class Row:
    def __init__(self, number, name, sender, size, when, waiting):
        self.number, self.name, self.sender, self.max, self.waiting = number, name, sender, size, waiting
        self.states = [state for state, bit in IN.items() if when & bit]


def read_table():
    """The rows, as the preprocessor expands them."""
    source = ('#include "ipc_table.h"\n#define ROW(name, sender, max, when, waiting, ...) '
              '@ name ; sender ; max ; when ; waiting\nIPC_MESSAGES(ROW)\n'
              'STATES IPC_IS_SILENT IPC_IS_NEW IPC_IS_BOUND IPC_IS_ATTACHED\n')
    text = subprocess.run(["cc", "-E", "-P", "-I", f"{ROOT}/src/ipc", "-"], input=source, text=True,
                          capture_output=True, check=True).stdout
    text, states = re.sub(r"\b(\d+)u\b", r"\1", text).split("STATES")
    assert [int(n) for n in states.split()] == list(IN.values()), states
    rows = {}
    for number, row in enumerate(text.split("@")[1:], 1):
        name, sender, *numbers = (part.strip() for part in row.split(";"))
        rows[name] = Row(number, name, sender, *(eval(n, {}) for n in numbers))
    return rows


TABLE = read_table()
NAMES = {row.number: name for name, row in TABLE.items()}
MINE = [row for row in TABLE.values() if row.sender == "SESSION"]
with open(f"{ROOT}/src/ipc/ipc.h") as f:
    VERSION = int(re.search(r"IPC_VERSION = (\d+)", f.read()).group(1))
assert len(MINE) >= 9 and len(TABLE) >= 20, TABLE


def u32(n):
    return struct.pack("=I", n)


def u64(n):
    return struct.pack("=Q", n & 2**64 - 1)


def text(t):
    t = t.encode() if isinstance(t, str) else t
    return u32(len(t)) + t


def send_payload(named, content, id_=None, which=0, reply_to=0):
    return u64(named) + bytes([which]) + text(id_ or some_name("id")) + text(content) + u64(reply_to) + b"\0"


def history_payload(named, limit=50, before=-1, after=-1, which=0):
    return u64(named) + bytes([which]) + u64(before) + u64(after) + u32(limit)


def users_payload(after=0, limit=1000, prefix=""):
    return u64(after) + u32(limit) + text(prefix)


def change_me_payload(what=1, name="A name", email="", word=""):
    return bytes([what]) + text(name) + text(email) + text(word)


def edit_payload(conversation, message, content="text", deletes=0):
    return u64(conversation) + u64(message) + bytes([deletes]) + text(content)


def hello(address="192.0.2.1", version=VERSION):
    return u32(version) + u64(dice.randrange(1, 2**62)) + text(address)


def own_conversation(user_id):
    """That in which a user has a note to oneself."""
    find = f"select conversation_id from contacts where user_id = {user_id} and contact_id = {user_id}"
    if not sql(find):
        sql(f"insert into messages (sender_id, receiver_id, content) values ({user_id}, {user_id}, 'note')")
    return int(sql(find))


def own_group(user_id):
    return int(sql(f"select group_make('own', {user_id})"))


def good(name, who=None):
    """A payload that fits, or None for a row that this does not know."""
    somebody = who.id if who else 1
    return {
        "HELLO": hello,
        "AUTH": lambda: text(who.token if who else "a.b.c"),
        "REGISTER": lambda: b"".join(map(text, (some_name(), f"{some_name()}@example.com", password()))),
        "LOGIN": lambda: text(some_name()) + text(password()),
        "PASSWORD": lambda: text("not the password") + text(password()),
        "LOGOUT": lambda: b"",
        "ME": lambda: b"",
        "CHANGE_ME": change_me_payload,
        "SIGN": lambda: u32(0x0403) + text(bytes(32)) + text(b"no handshake"),
        "USERS": users_payload,
        "HISTORY": lambda: history_payload(somebody),
        "SEND": lambda: send_payload(somebody, "content"),
        "ATTACH": lambda: text("") + u64(0),
        "RESUME": lambda: text(""),
        "TYPING": lambda: u64(somebody) + b"\0",
        "BLOCK": lambda: u64(somebody + 1) + b"\0",
        "BLOCKS": lambda: u64(0) + u32(1000),
        "CONVERSATIONS": lambda: u64(-1) + u32(50),
        "CONVERSATION": lambda: u64(own_conversation(somebody)),
        "MEMBERS": lambda: u64(own_conversation(somebody)) + u64(0) + u32(1000),
        "DIRECT": lambda: u64(somebody),
        "GROUP": lambda: b"\0" + text("Team") + text(u64(somebody)),
        "GROUP_CHANGE": lambda: u64(own_group(somebody)) + b"\1\0" + text("New"),
        "MEMBER": lambda: u64(own_group(somebody)) + u64(somebody) + b"\2\0",
        "RECEIPT": lambda: u64(own_conversation(somebody)) + u64(1) + b"\1",
        "EDIT": lambda: edit_payload(1, 1),
        "REACT": lambda: edit_payload(1, 1, "+1"),
    }.get(name, lambda: None)()


def message(type_, payload=b"", seq=1, size=None):
    return HEADER.pack(len(payload) if size is None else size, type_, seq) + payload


class Channel:
    def __init__(self, state=SILENT, who=None, name="main", cursor=""):
        self.who, self.seq, self.buffer = who, 0, b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT)
        self.socket.connect(broker_socket(name))
        if state != SILENT:
            self.say("HELLO")
        if state in (BOUND, ATTACHED):
            assert self.ask("AUTH")[0] == "AUTHED"
        if state == ATTACHED:
            kind, self.attached = self.ask("ATTACH", text(cursor) + u64(0))
            assert kind == "ATTACHED", (kind, self.attached)

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass        # ended() and answer() see it

    def say(self, name, payload=None):
        self.seq += 1
        self.raw(message(TABLE[name].number, good(name, self.who) if payload is None else payload, self.seq))
        return self.seq

    def recv(self):
        """The next message: (name, seq, payload); None when the broker has closed."""
        while len(self.buffer) < HEADER.size or len(self.buffer) < HEADER.size + HEADER.unpack_from(self.buffer)[0]:
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self.buffer += part
        size, type_, seq = HEADER.unpack_from(self.buffer)
        payload = self.buffer[HEADER.size:HEADER.size + size]
        self.buffer = self.buffer[HEADER.size + size:]
        assert TABLE[NAMES[type_]].sender == "BROKER" and size <= TABLE[NAMES[type_]].max
        return NAMES[type_], seq, payload

    def answer(self, seq):
        while (got := self.recv()) is not None:
            if got[1] == seq:
                return got[0], got[2]
        raise AssertionError(f"the channel ended without an answer to {seq}")

    def ask(self, name, payload=None):
        return self.answer(self.say(name, payload))

    def ended(self, why=""):
        try:
            while self.recv() is not None:
                pass
        except socket.timeout:
            raise AssertionError(f"it was not ended: {why}") from None
        self.socket.close()

    def close(self):
        self.socket.close()


def reply(got):
    """Status and value of a REPLY."""
    kind, payload = got
    assert kind == "REPLY", got
    return struct.unpack_from("=I", payload)[0], json.loads(payload[16:])


class Innocents:
    """Two users who are connected all the while, and are not to notice anything."""

    def __enter__(self):
        self.a, self.b = user(), user()
        self.clients = [connect(self.a.token), connect(self.b.token)]
        [self.broker] = children("broker")
        return self

    def talk(self):
        content = some_name("unharmed")
        self.clients[0].message(self.b.id, content, some_name("id"))
        while self.clients[1].until("message")["content"] != content:
            pass
        self.clients[0].until("ack")

    def __exit__(self, kind, *_):
        if kind is None:
            self.talk()
            assert children("broker") == [self.broker], "the broker was replaced"
        for c in self.clients:
            c.close()
