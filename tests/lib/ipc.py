"""The messages between sessions and broker by hand, numbered as in src/ipc:

    s.sendall(hello() + message(AUTH, text(token), 2) + message(USERS, seq=3))
"""
import re
import struct

from server import *

_ipc = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/ipc")
with open(f"{_ipc}/ipc_table.h") as f:
    _rows = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
with open(f"{_ipc}/ipc.h") as f:
    VERSION = int(re.search(r"IPC_VERSION = (\d+)", f.read())[1])
_names = re.findall(r"\bM\(\s*([A-Z]+)\s*,", _rows)
globals().update({name: number for number, name in enumerate(_names, 1)})


def text(value):
    return struct.pack("I", len(value)) + value


def message(type_, payload=b"", seq=1):
    return struct.pack("III", len(payload), type_, seq) + payload


def hello(version=VERSION, address=b"192.0.2.5"):
    return message(HELLO, struct.pack("=IQ", version, 5) + text(address))


def broker(name="main"):
    """A channel of a session of its own."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(WAIT)
    s.connect(broker_socket(name))
    return s
