#!/usr/bin/python3
"""idle_tls.py PORT N: N WebSockets over TLS, of one user, that do nothing; prints "idle" when all are
open and waits until standard input ends. PORT: of 127.0.0.2."""
import base64
import json
import os
import resource
import socket
import ssl
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE


def ask(head, body=""):
    s = context.wrap_socket(socket.create_connection(("127.0.0.2", port)))
    s.sendall((head + f"\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
    answer = b""
    while b"\r\n\r\n" not in answer or (body and not answer.endswith(b"}")):
        part = s.recv(65536)
        if not part:
            sys.exit(f"closed after {answer!r}")
        answer += part
    return s, answer


name = f"l-tls-{os.getpid()}"
account = {"username": name, "password": f"{name}-password", "email": f"{name}@x.org"}
s, answer = ask("POST /register HTTP/1.1\r\nContent-Type: application/json", json.dumps(account))
token = json.loads(answer.split(b"\r\n\r\n", 1)[1])["token"]
s.close()
key = base64.b64encode(os.urandom(16)).decode()
upgrade = ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
           f"\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}")
sockets = [ask(upgrade)[0] for _ in range(count)]
print("idle", flush=True)
sys.stdin.read()
