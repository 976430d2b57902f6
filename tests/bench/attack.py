"""One account, or one stranger, who takes all that the server gives; called by fair() in modes.py.

    attack.py PORT KIND CONNECTIONS [TOKEN [PATH]]

    resume         opens a WebSocket with the cursor in PATH, until all is there that was missed, and again
    register       makes accounts
    bad-token      sends ten requests at once with a token that is none, and again; dials anew when closed
    slow-reader    asks for PATH, and takes some of the answer every now and then

Says "attacking" when it has begun, and goes on until its input ends.
"""
import itertools
import json
import os
import socket
import sys
import threading
import time

PORT, KIND, CONNECTIONS, *MORE = sys.argv[1:]
MINE = os.urandom(4).hex()
numbers = itertools.count()


def dial(receive=None):
    s = socket.socket()
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(("127.0.0.1", int(PORT)))
    return s


def get(path, token, *fields):
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_until(s, end):
    got = b""
    while end not in got[-65536:]:
        part = s.recv(65536)
        if not part:
            return
        got += part


def resume(token, path):
    s = dial()
    s.sendall(get(path, token, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    read_until(s, b'"type":"resumed"')
    s.close()


def register():
    name = f"{MINE}-{next(numbers)}"
    body = json.dumps({"username": name, "password": "a password", "email": f"{name}@example.com"})
    s = dial()
    s.sendall(f"POST /register HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    while s.recv(65536):
        pass
    s.close()


def bad_token():
    s = dial()
    answers = True
    while answers:
        s.sendall(get("/users", "x.y.z") * 10)
        answers = s.recv(65536)
    s.close()


def slow_reader(token, path):
    s = dial(4096)
    s.sendall(get(path, token))
    while s.recv(20000):
        time.sleep(20)


ATTACKS = {"resume": resume, "register": register, "bad-token": bad_token, "slow-reader": slow_reader}


def again_and_again():
    while True:
        try:
            ATTACKS[KIND](*MORE)
        except OSError:
            time.sleep(0.1)     # the server defends itself


for _ in range(int(CONNECTIONS)):
    threading.Thread(target=again_and_again, daemon=True).start()
print("attacking", flush=True)
sys.stdin.read()
