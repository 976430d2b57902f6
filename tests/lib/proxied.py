"""Clients that come through a proxy, which says where they are from.

    c = via("192.0.2.1")                      # Http behind a PROXY header; via(..., name="other")
    r = login(alice, address="192.0.2.1")     # the answer to a login from there
    r = register(address="2001:db8::1")       # and to a registration, under a name that nobody has
    w = online(alice, "192.0.2.1")            # a WebSocket: the socket, once it is open
"""
import signal
import struct

from rawhttp import *
from frames import handshake

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address, ours=None):
    family = "TCP6" if ":" in address else "TCP4"
    ours = ours or ("2001:db8::ffff" if ":" in address else "198.51.100.9")
    return f"PROXY {family} {address} {ours} 40000 443\r\n".encode()


def v2(address=None, more=b"", command=1):
    """address None: of no family."""
    if address is None:
        kind, rest = 0, b""
    elif ":" in address:
        kind, rest = 0x21, socket.inet_pton(socket.AF_INET6, address) + bytes(16)
    else:
        kind, rest = 0x11, socket.inet_pton(socket.AF_INET, address) + bytes(4)
    rest += (struct.pack("!HH", 40000, 443) if address else b"") + more
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, kind, len(rest)) + rest


def via(address, name="main"):
    return Http(name).send(v1(address))


def one(address, data, method, name):
    c = via(address, name)
    c.send(data)
    r = c.answer(method)
    c.close()
    return r


def login(username, address, word=None, name="main"):
    """With the right password, or with this word."""
    username = getattr(username, "name", username)
    body = {"username": username, "password": word or password()}
    return one(address, post("/login", body), "POST", name)


def register(address, name="main"):
    who = f"u{random.randrange(16**12):012x}"
    if not os.path.exists(f"{T}/password"):
        with open(f"{T}/password", "w") as f:
            f.write("%024x" % random.randrange(16**24))
    body = {"username": who, "password": password(), "email": f"{who}@example.com"}
    return one(address, post("/register", body), "POST", name)


def member(address="203.0.113.250", name="main"):
    """A new user, who has registered there."""
    r = register(address, name)
    assert r.status == 201, r.body
    return User(r.json())


def online(who, address, name="main", path="/ws"):
    """The socket of a WebSocket that is open, or the answer that refuses it."""
    c = via(address, name)
    c.send(handshake(who.token, line=f"GET {path} HTTP/1.1"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = c.socket.recv(1)
        assert part, head
        head += part
    status = int(head.split()[1])
    if status == 101:
        return c.socket
    c.close()
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    return status, {k.lower(): v for k, v in fields.items()}


def turns(name="main"):
    """What each login so far whose turn came was told to wait, in milliseconds."""
    return [int(line.split()[-2]) for line in log(name).splitlines() if " a login waits " in line]


def waits(name="main"):
    """Of those that had to."""
    return [ms for ms in turns(name) if ms]
