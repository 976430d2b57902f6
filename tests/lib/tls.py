"""Certificates that are made for a test, and clients that speak TLS.

    pair = Pair("rsa")                          # key and certificate, in files
    with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
        a = connect(u.token, s.name, ssl=pair.trust())
        t = dial(s, pair)                       # an ssl.SSLSocket
"""
import re
import ssl

import certificates
from certificates import openssl  # noqa: F401
from impersonate import *


class Pair(certificates.Pair):
    """In the folder of the tests."""

    def __init__(self, kind="p256", issuer=None, authority=False, name=None):
        super().__init__(T, name or some_name("tls-"), kind, issuer, authority)


def temp_key(said):
    """What openssl s_client says of the server's part in the agreement on keys: "X25519, 253 bits";
    nothing where there was none. The server's is the peer's, since 3.5."""
    return "".join(re.findall("^(?:Server|Peer) Temp Key: (.*)$", said, re.M))


def dial(server, pair, context=None, timeout=WAIT):
    """A connection after its handshake."""
    plain = socket.create_connection(("127.0.0.1", port(server.name)), timeout)
    try:
        return (context or pair.trust()).wrap_socket(plain, server_hostname="127.0.0.1")
    except BaseException:
        plain.close()
        raise


def fetch(t, token=None, path="/users", close=False):
    """One request; (status, body)."""
    lines = [f"GET {path} HTTP/1.1", "Host: chat.example"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if close:
        lines.append("Connection: close")
    t.sendall("\r\n".join([*lines, "", ""]).encode())
    return read_answer(t)


def read_answer(t):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = t.recv(1)
        assert byte, f"the server closed after {head!r}"
        head += byte
    size = int([line for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")][0].split(b":")[1])
    body = b""
    while len(body) < size:
        body += t.recv(size - len(body))
    return int(head.split()[1]), body


class Manual:
    """A client's end whose bytes are carried by hand: server sees them when, and in what parts, the
    test wants."""

    def __init__(self, server, context):
        self.socket = socket.create_connection(("127.0.0.1", port(server.name)), WAIT)
        self.come, self.go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.come, self.go, server_hostname="127.0.0.1")

    def send(self, part):
        data = self.go.read()
        for at in range(0, len(data), part):
            self.socket.sendall(data[at:at + part])

    def step(self, what, part=1 << 20):
        """what() of the TLS object, once the bytes that it needs have come and gone."""
        while True:
            try:
                result = what()
                self.send(part)
                return result
            except ssl.SSLWantReadError:
                self.send(part)
                data = self.socket.recv(65536)
                if data:
                    self.come.write(data)
                else:
                    self.come.write_eof()


def closed_by_server(s):
    """Waits until the server ends a connection; what came before that."""
    s.settimeout(WAIT)
    return read_all(s)


def handshake_fails(server, context):
    """Why a client with this context gets no connection."""
    try:
        t = dial(server, Pair.__new__(Pair), context)
    except OSError as e:
        return e
    t.close()
    raise AssertionError("the handshake went well")


# --- asking for signatures, as a session does that is not ours ---

def sign_payload(key, content, scheme=0x0403):
    return u32(scheme) + text(key) + text(content)


VERIFY_13 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)
EXCHANGE_12 = bytes(64) + b"\x03\x00\x1d\x20" + bytes(32)
