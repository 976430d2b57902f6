#!/usr/bin/env bats
# TLS: handshakes, what is carried over it, renewals, and where its private key is.

load lib/server

setup_file() {
    server_setup_file
    # Users are made on an instance without TLS, of the same database.
    server_start main -o presence=off -o db_readers=1
}

teardown_file() {
    server_teardown_file
}

# --- handshakes ---

@test "RSA, P-256 and P-384, TLS 1.2 and 1.3: the handshake is good, and serves" {
    py - <<'PY'
from tls import *
u = user()
for kind in "rsa", "p256", "p384":
    pair = Pair(kind)
    with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
        assert s.addresses[0].startswith("tls:127.0.0.1:"), s.addresses
        for version, name in (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3"):
            context = pair.trust()
            context.minimum_version = context.maximum_version = version
            t = dial(s, pair, context)
            assert t.version() == name
            for _ in range(2):
                status, body = fetch(t, u.token)
                assert status == 200 and u.id in [x["id"] for x in json.loads(body)]
            t.close()
PY
}

@test "each curve that libssl agrees on is one that the signer knows" {
    py - <<'PY'
from tls import *
pair = Pair("rsa")
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    for version in "-tls1_2", "-tls1_3":
        for curve, name in ("X25519", "X25519"), ("X448", "X448"), ("P-256", "ECDH, prime256v1"), \
                           ("P-384", "ECDH, secp384r1"), ("P-521", "ECDH, secp521r1"):
            out = subprocess.run(["openssl", "s_client", version, "-groups", curve, "-CAfile",
                                  pair.certificate, "-connect", f"127.0.0.1:{port(s.name)}"],
                                 check=True, capture_output=True, text=True, input="").stdout
            assert temp_key(out).startswith(name) and "Verification: OK" in out, out
    assert "refused to sign" not in s.log(), s.log()
PY
}

@test "keys are not agreed on in groups whose arithmetic costs the server a hundred times more" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    def tries(groups):
        p = subprocess.run(["openssl", "s_client", "-tls1_3", "-groups", groups, "-CAfile",
                            pair.certificate, "-connect", f"127.0.0.1:{port(s.name)}"],
                           capture_output=True, text=True, input="")
        return p.returncode, temp_key(p.stdout)
    for group in "ffdhe2048", "ffdhe8192":
        assert tries(group) == (1, ""), group
    status, key = tries("ffdhe8192:X25519")
    assert status == 0 and key.startswith("X25519,"), key
PY
}

@test "ALPN: http/1.1 is selected where it is offered, nothing where nothing is; others are refused" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        def offering(*protocols):
            context = pair.trust()
            context.minimum_version = context.maximum_version = version
            if protocols:
                context.set_alpn_protocols(protocols)
            return context
        for protocols in ("http/1.1",), ("h2", "http/1.1"), ("http/1.1", "h2"), ():
            t = dial(s, pair, offering(*protocols))
            assert t.selected_alpn_protocol() == ("http/1.1" if protocols else None), protocols
            assert fetch(t)[0] == 401
            t.close()
        for protocols in ("h2",), ("http/1.0", "HTTP/1.1"), ("http/1.11",):
            assert "no application protocol" in str(handshake_fails(s, offering(*protocols))), protocols
PY
}

@test "a chain with an intermediate certificate is sent whole" {
    py - <<'PY'
from tls import *
root = Pair(authority=True)
middle = Pair("rsa", root, authority=True)
pair = Pair("p256", middle)
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    t = dial(s, pair)
    assert t.getpeercert()["issuer"] == ((("commonName", middle.name),),)
    assert fetch(t)[0] == 401
PY
}

@test "TLS 1.0 and 1.1 are refused, and so are suites without ECDHE or AEAD" {
    py - <<'PY'
from tls import *
pair = Pair("rsa")
def context(low, high, ciphers):
    c = pair.trust()
    c.set_ciphers(ciphers + ":@SECLEVEL=0")
    c.minimum_version, c.maximum_version = low, high
    return c
V = ssl.TLSVersion
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    import warnings
    warnings.simplefilter("ignore")
    for version in V.TLSv1, V.TLSv1_1:
        handshake_fails(s, context(version, version, "ALL"))
    for suite in "AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256":
        handshake_fails(s, context(V.TLSv1_2, V.TLSv1_2, suite))
    for suite in "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305":
        t = dial(s, pair, context(V.TLSv1_2, V.TLSv1_2, suite))
        assert t.cipher()[0] == suite and t.compression() is None
        t.close()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "tls_ciphers=ECDHE+CHACHA20") as s:
    handshake_fails(s, context(V.TLSv1_2, V.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"))
    dial(s, pair, context(V.TLSv1_2, V.TLSv1_2, "ECDHE-RSA-CHACHA20-POLY1305")).close()
PY
}

@test "no session is resumed: there are no tickets, and nothing is stored" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = pair.trust()
        context.maximum_version = version
        t = dial(s, pair, context)
        assert fetch(t)[0] == 401
        session = t.session
        assert not session or not session.has_ticket
        again = socket.create_connection(("127.0.0.1", port(s.name)), WAIT)
        again = context.wrap_socket(again, server_hostname="127.0.0.1", session=session)
        assert fetch(again)[0] == 401 and not again.session_reused
PY
}

@test "a handshake that stalls, or comes in drops, ends at header_timeout" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "header_timeout=300ms") as s:
    stalled, dripping = raw(name=s.name), raw(name=s.name)
    stalled.sendall(b"\x16\x03\x01\x02\x00\x01")
    dripping.sendall(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb")
    assert closed_by_server(stalled) == b""
    try:
        while True:
            dripping.sendall(b"x")
    except OSError:
        pass
    s.logged("the handshake did not end in time")
PY
}

@test "plain HTTP where TLS is spoken, and TLS where HTTP is, harm nobody" {
    py - <<'PY'
from chance import dice
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", f"listen=tls:127.0.0.1, 127.0.0.1:{free_ports()[0]}") as s:
    for method in "GET", "HEAD", "POST", "PUT", "CONNECT":
        for more in b"", b"x" * 100000:     # unread, it would turn the end into a reset
            plain = raw(f"{method} /users HTTP/1.1\r\nHost: x\r\n\r\n".encode() + more, s.name)
            head, body = closed_by_server(plain).split(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), (method, head)
            assert b"\r\nConnection: close" in head, head
            assert "https://" in json.loads(body)["error"], body
    s.logged("TLS: http request")
    for noise in b"\x00" * 64, dice.randbytes(300), b"\x16\x03\x03\x00\x00", b"\x80\x2e\x01\x00\x02":
        c = raw(noise, s.name)
        with contextlib.suppress(OSError):      # it may have closed already
            c.shutdown(socket.SHUT_WR)
        closed_by_server(c)
    assert fetch(dial(s, pair))[0] == 401
    set_address(s.name, s.addresses[1])
    assert isinstance(handshake_fails(s, pair.trust()), ssl.SSLError)
    assert api("GET", "/users", name=s.name)[0] == 401
assert "signal" not in s.log(), s.log()
PY
}

@test "a client beyond max_clients gets an alert, not HTTP" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "max_clients=1") as s:
    first = dial(s, pair)
    assert "internal error" in str(handshake_fails(s, pair.trust()))
    first.close()
    def served():   # once the master has counted the end of the first
        try:
            return fetch(dial(s, pair))[0] == 401
        except ssl.SSLError:
            return False
    eventually(served)
PY
}

# --- what is carried ---

@test "curl, WebSockets with large messages both ways, and an event stream go over TLS" {
    py - <<'PY'
from tls import *
pair = Pair("rsa")
alice, bob = user(), user()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "max_content=64k",
            "-o", "max_message=1M") as s:
    base = f"https://127.0.0.1:{port(s.name)}"
    curl = ["curl", "-sS", "-m", "15", "--cacert", pair.certificate]
    out = subprocess.run([*curl, f"{base}/users", "-H", f"Authorization: Bearer {alice.token}"],
                         check=True, capture_output=True).stdout
    assert {alice.id, bob.id} <= {x["id"] for x in json.loads(out)}
    stream = subprocess.Popen([*curl, "-N", f"{base}/events", "-H", f"Authorization: Bearer {bob.token}"],
                              stdout=subprocess.PIPE)
    eventually(lambda: s.children(f"session {bob.name} "))
    a = connect(alice.token, s.name, ssl=pair.trust())
    b = connect(bob.token, s.name, ssl=pair.trust())
    contents = [c * 60000 for c in "abcdefgh"]
    for n, content in enumerate(contents):
        a.message(bob.id, content, f"l-{n}")
    assert [b.expect("message")["content"] for _ in contents] == contents
    assert [a.expect("ack")["id"] for _ in contents] == [f"l-{n}" for n in range(len(contents))]
    heard = []
    while len(heard) < len(contents):
        frame = json.loads(stream.stdout.readline())
        heard += [frame["content"]] if frame["type"] == "message" else []
    assert heard == contents
    a.ping()
    assert a.close() == 1000
    stream.terminate()
    stream.wait()
PY
}

@test "a byte at a time: segments of a handshake, records of a request" {
    py - <<'PY'
from tls import *
pair = Pair()
u = user()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    m = Manual(s, pair.trust())
    m.step(m.tls.do_handshake, part=1)
    request = f"GET /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {u.token}\r\n\r\n".encode()
    for at in range(len(request)):
        m.step(lambda: m.tls.write(request[at:at + 1]), part=7)
    got = b""
    while not got.rstrip().endswith(b"]"):
        got += m.step(lambda: m.tls.read(65536))
    assert got.startswith(b"HTTP/1.1 200"), got
PY
}

@test "the server says close_notify, and answers a client that has closed its direction" {
    py - <<'PY'
from tls import *
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    def connection():
        plain = socket.create_connection(("127.0.0.1", port(s.name)), WAIT)
        context = pair.trust()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        return context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    t = connection()
    assert fetch(t, close=True)[0] == 401
    assert t.recv(1) == b""             # and not the error of an end without close_notify
    for end in "notify", "silent":
        m = Manual(s, pair.trust())
        m.step(m.tls.do_handshake)
        m.step(lambda: m.tls.write(b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n"))
        if end == "notify":
            with contextlib.suppress(ssl.SSLWantReadError):
                m.tls.unwrap()
            m.send(1000)
        m.socket.shutdown(socket.SHUT_WR)
        everything = closed_by_server(m.socket)
        m.come.write(everything)
        if end == "silent":             # who has sent close_notify may not read on
            assert m.tls.read(65536).startswith(b"HTTP/1.1 401")
        assert len(everything) > 100
PY
}

@test "a client that reads nothing for write_timeout is closed" {
    py - <<'PY'
from tls import *
pair = Pair()
alice, bob = user(), user()
with Server(*pair.options(), "-o", f"listen=127.0.0.1, tls:127.0.0.1:{free_ports()[0]}",
            "-o", "write_timeout=1s") as s:
    a = connect(alice.token, s.name)
    set_address(s.name, s.addresses[1])
    t = dial(s, pair)
    t.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    t.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bob.token}\r\n\r\n".encode())
    eventually(lambda: s.children(f"session {bob.name} "))
    n = 0
    while s.children(f"session {bob.name} "):
        a.message(bob.id, "x" * 16000, f"w-{n}")
        a.until("ack")
        n += 1
    a.ping()
PY
}

@test "key updates are followed; a flood of them ends the connection" {
    py - <<'PY'
from tls import *
import ctypes
pair = Pair()
lib = ctypes.CDLL("libssl.so.3")
for name in "TLS_client_method", "SSL_CTX_new", "SSL_new":
    getattr(lib, name).restype = ctypes.c_void_p
lib.SSL_CTX_new.argtypes = lib.SSL_new.argtypes = [ctypes.c_void_p]
lib.SSL_set_fd.argtypes = lib.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.SSL_connect.argtypes = lib.SSL_do_handshake.argtypes = [ctypes.c_void_p]
lib.SSL_write.argtypes = lib.SSL_read.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
class Updating:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", port(server.name)))
        self.ssl = lib.SSL_new(lib.SSL_CTX_new(lib.TLS_client_method()))
        lib.SSL_set_fd(self.ssl, self.socket.fileno())
        assert lib.SSL_connect(self.ssl) == 1
    def update(self, answer):
        return lib.SSL_key_update(self.ssl, answer) == 1 and lib.SSL_do_handshake(self.ssl) == 1
    def get(self):
        request = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        lib.SSL_write(self.ssl, request, len(request))
        text = ctypes.create_string_buffer(65536)
        n = lib.SSL_read(self.ssl, text, 65536)
        return text.raw[:max(n, 0)]
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    polite, flood = Updating(s), Updating(s)
    for _ in range(20):
        for answer in 0, 1:             # the last asks for one of the server's
            assert polite.update(answer)
        assert polite.get().startswith(b"HTTP/1.1 404")
    import signal as signals
    signals.signal(signals.SIGPIPE, signals.SIG_IGN)
    for _ in range(1200):
        if not flood.update(0):
            break
    s.logged("TLS: too many key updates")
    assert polite.get().startswith(b"HTTP/1.1 404")
PY
}

# --- where it listens ---

@test "a Unix socket speaks TLS, too, next to one that does not" {
    py - <<'PY'
from tls import *
pair = Pair()
one, two = (f"{T}/{some_name('u')}" for _ in range(2))
with Server(*pair.options(), "-o", f"listen=tls:unix:{one}, unix:{two}") as s:
    assert s.addresses == [f"tls:unix:{one}", f"unix:{two}"], s.addresses
    for path, url in (one, "https://localhost/users"), (two, "http://localhost/users"):
        out = subprocess.run(["curl", "-sS", "-m", "15", "--cacert", pair.certificate, "--unix-socket",
                              path, "-o", "/dev/null", "-w", "%{http_code}", url], check=True,
                             capture_output=True, text=True).stdout
        assert out == "401", (path, out)
PY
}

@test "sockets that are handed over: the name tls, the key tls_handed_over, the name plain" {
    py - <<'PY'
from tls import *
pair = Pair()
on = ["-o", "tls_handed_over=on"]
for name, options, speaks in ("tls", [], True), ("web", [], False), ("web", on, True), ("", on, True), \
                             ("plain", on, False):
    listener = socket.create_server(("127.0.0.1", 0))
    with Server(*pair.options(), *options, **handed(listener, name)) as s:
        if speaks:
            assert fetch(dial(s, pair))[0] == 401
        else:
            assert api("GET", "/users", name=s.name)[0] == 401
    listener.close()
PY
}

@test "chatd -i serves one connection of TLS, as inetd hands it over" {
    py - <<'PY'
from tls import *
pair = Pair()
listener = socket.create_server(("127.0.0.1", 0))
name = some_name()
set_address(name, f"127.0.0.1:{listener.getsockname()[1]}")
c = socket.create_connection(listener.getsockname(), WAIT)
theirs, _ = listener.accept()
command = [CHATD, "-i", *options(name), *SECRETS, *pair.options(), "-o", "tls_handed_over=on", "-o",
           f"log_file={T}/{name}.log"]
p = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=T)
theirs.close()
t = pair.trust().wrap_socket(c, server_hostname="127.0.0.1")
assert fetch(t, close=True)[0] == 401
t.close()
assert p.wait(30) == 0
PY
}

@test "https_redirect: plain HTTP over a network is sent to HTTPS, a Unix socket is served" {
    py - <<'PY'
from tls import *
pair = Pair()
path = f"{T}/{some_name('u')}"
def location(server, host, target="/users?a=b"):
    c = raw(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(), server.name)
    head = read_all(c).split(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0].startswith("HTTP/1.1 308"), head
    return [h[10:] for h in head if h.startswith("Location: ")][0]
with Server(*pair.options(), "-o", f"listen=127.0.0.1, unix:{path}, tls:127.0.0.1:{free_ports()[0]}",
            "-o", "https_redirect=8443") as s:
    assert location(s, "chat.example:80") == "https://chat.example:8443/users?a=b"
    assert location(s, "[2001:db8::1]:8080", "/") == "https://[2001:db8::1]:8443/"
    assert location(s, "x", "http://chat.example/ws") == "https://chat.example:8443/ws"
    assert read_all(raw(b"GET / HTTP/1.0\r\n\r\n", s.name)).startswith(b"HTTP/1.1 400")
    set_address(s.name, s.addresses[2])
    assert fetch(dial(s, pair))[0] == 401
    out = subprocess.run(["curl", "-sS", "-m", "15", "--unix-socket", path, "-o", "/dev/null", "-w",
                          "%{http_code}", "http://x/users"], capture_output=True, text=True).stdout
    assert out == "401", out
# Nor does it matter for whom a proxy that speaks TLS itself says that it comes there.
for way, before, field in ("proxy_protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n", b""), \
                          ("forwarded_for", b"", b"X-Forwarded-For: 192.0.2.1\r\n"):
    with Server("-o", f"listen=127.0.0.1, unix:{path}", "-o", "https_redirect=443", "-o", f"{way}=on",
                "-o", "trusted_proxies=unix,127.0.0.1") as s:
        request = before + b"GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + field + b"\r\n"
        for address, status in (path, b"401"), (("127.0.0.1", port(s.name)), b"308"):
            with socket.socket(socket.AF_INET if address != path else socket.AF_UNIX) as c:
                c.settimeout(WAIT)
                c.connect(address)
                c.sendall(request)
                assert c.recv(12) == b"HTTP/1.1 " + status, (way, address)
with Server(*pair.options(), "-o", "listen=127.0.0.1", "-o", "https_redirect=443") as s:
    assert location(s, "chat.example") == "https://chat.example/users?a=b"
PY
}

# --- files ---

@test "chatd -t names the key and the remedy when certificate and key cannot be used" {
    py - <<'PY'
from tls import *
rsa, ec, small = Pair("rsa"), Pair(), Pair()
def test(certificate, key, *more):
    return refused("-t", *SECRETS, "-o", f"tls_certificate_file={certificate}", "-o",
                   f"tls_key_file={key}", *more)
def says(text, *parts):
    assert all(p in text for p in parts), (parts, text)
status, out = chatd("-t", *SECRETS, *rsa.options())
assert status == 0, out
says(test(rsa.chain, ec.key), "tls_key_file", ec.key, "is not the key of the certificate", rsa.chain)
says(test(f"{T}/nothing", ec.key), "tls_certificate_file", "No such file", "PEM")
says(test(ec.chain, f"{T}/nothing"), "tls_key_file", "No such file", "correct the path")
says(test(ec.key, ec.key), "tls_certificate_file", "PEM, the server's own first")
curves = [(["ec", "-pkeyopt", f"ec_paramgen_curve:{curve}"], "a key of another kind;")
          for curve in ("secp224r1", "secp521r1", "secp256k1", "brainpoolP256r1", "brainpoolP384r1")]
for kind, words in (["ed25519"], "a key of another kind;"), (["rsa:1024"], "ee key too small;"), *curves:
    openssl("req", "-x509", "-newkey", *kind, "-nodes", "-subj", "/CN=x", "-keyout", f"{T}/odd.key",
            "-out", f"{T}/odd.pem")
    says(test(f"{T}/odd.pem", f"{T}/odd.key"), "tls_certificate_file", words, "RSA with 2048 bits")
os.chmod(ec.chain, 0o600)
says(test(ec.chain, ec.chain), "tls_key_file", "without a passphrase: openssl pkey")
openssl("pkey", "-in", ec.key, "-aes128", "-passout", "pass:x", "-out", small.key)
says(test(ec.chain, small.key), "tls_key_file", "without a passphrase: openssl pkey")
os.chmod(ec.key, 0o644)
says(test(ec.chain, ec.key), "tls_key_file", "chmod o-rwx")
os.chmod(ec.key, 0o600)
says(test(ec.chain, ec.key, "-o", "tls_ciphers=ECDHE+AESGCM:AES128-SHA"), "tls_ciphers", "AES128-SHA")
says(test(ec.chain, ec.key, "-o", "tls_ciphers=none such"), "tls_ciphers", "no cipher suite")
says(test(ec.chain, ""), "tls_certificate_file", "set tls_key_file")
says(test("", ec.key), "tls_key_file", "set tls_certificate_file")
says(test("", "", "-o", "listen=127.0.0.1, tls:[::1]:8443"), "listen", "set tls_certificate_file")
PY
}

@test "SIGHUP: new connections get the new certificate, open ones go on, begun handshakes end with the old one" {
    py - <<'PY'
from tls import *
alice, bob = user(), user()
pair = Pair("rsa")
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "min_spare=1") as s:
    a = connect(alice.token, s.name, ssl=pair.trust())
    [signer] = s.children("signer")
    begun = Manual(s, pair.trust())
    eventually(lambda: len(s.children("session")) == 2)
    fresh = Pair()
    for mine, new in (pair.chain, fresh.chain), (pair.key, fresh.key):
        os.replace(new, mine)
    os.chmod(pair.key, 0o600)
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    eventually(lambda: s.children("signer") not in ([], [signer]))
    b = connect(bob.token, s.name, ssl=fresh.trust())
    begun.step(begun.tls.do_handshake)          # pair.trust() knows the old certificate only
    a.message(bob.id, "over two certificates", "r-1")
    assert b.expect("message")["content"] == "over two certificates"
    assert a.expect("ack")["id"] == "r-1"
    handshake_fails(s, pair.trust())
    # Again, with the same files: nothing is to be done, and the signer stays.
    signers = s.children("signer")
    s.kill(signal.SIGHUP)
    eventually(lambda: s.log().count("configuration reloaded") == 2)
    dial(s, fresh).close()
    assert s.children("signer") == signers
assert " error " not in s.log(), s.log()
PY
}

@test "SIGHUP again while the signer is still starting: the last pair is in force, and nothing is wrong" {
    py - <<'PY'
from tls import *
import shutil
pair, pairs = Pair(), [Pair(), Pair()]
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    for i in range(1, 61):
        for mine, new in (pair.chain, pairs[i % 2].chain), (pair.key, pairs[i % 2].key):
            shutil.copy(new, mine)
        s.kill(signal.SIGHUP)
        eventually(lambda: s.log().count("configuration reloaded") == i)
    assert fetch(dial(s, pairs[0]))[0] == 401
    assert " error " not in s.log(), s.log()
PY
}

@test "SIGHUP with a pair that does not belong together changes nothing, and says so" {
    py - <<'PY'
from tls import *
pair, other = Pair(), Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    signers = s.children("signer")
    for broken in open(other.chain).read(), "", "no certificate\n":
        before = s.log().count("not reloaded: ")
        with open(pair.chain, "w") as f:
            f.write(broken)
        s.kill(signal.SIGHUP)
        eventually(lambda: s.log().count("not reloaded: ") > before)
        assert fetch(dial(s, pair))[0] == 401
    assert "is not the key of the certificate" in s.log()
    assert s.children("signer") == signers
PY
}

@test "SIGUSR2: the successor reads certificate and key anew, and speaks TLS where its predecessor did" {
    py - <<'PY'
from takeover import *
from tls import *
u = user()
pair = Pair("rsa")
with Service(*pair.options(), "-o", f"listen=tls:127.0.0.1, 127.0.0.1:{free_ports()[0]}") as s:
    a = connect(u.token, s.name, ssl=pair.trust())
    fresh = Pair()
    for mine, new in (pair.chain, fresh.chain), (pair.key, fresh.key):
        os.replace(new, mine)
    s.take_over()
    assert fetch(dial(s, fresh))[0] == 401
    a.ping()
    set_address(s.name, s.addresses[1])
    assert api("GET", "/users", name=s.name)[0] == 401
PY
}

# --- the signer ---

@test "a signer that is killed is started again: open connections feel nothing, new ones work" {
    py - <<'PY'
from tls import *
alice, bob = user(), user()
pair = Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    a = connect(alice.token, s.name, ssl=pair.trust())
    for n in range(3):
        [signer] = s.children("signer")
        os.kill(signer, signal.SIGKILL)
        a.message(alice.id, "still here", f"k-{n}")
        assert {a.recv()["type"] for _ in range(2)} == {"ack", "message"}
        assert fetch(dial(s, pair, timeout=30))[0] == 401     # waits for the next one
        eventually(lambda: s.children("signer") not in ([], [signer]))
    assert f"signer[{signer}] was killed by signal 9" in s.log()
PY
}

@test "a signer that hangs ends handshakes after a while, and disturbs nothing else" {
    py - <<'PY'
from tls import *
alice = user()
pair = Pair()
with Server(*pair.options(), "-o", f"listen=127.0.0.1, tls:127.0.0.1:{free_ports()[0]}") as s:
    plain = s.addresses[0]
    set_address(s.name, s.addresses[1])
    a = connect(alice.token, s.name, ssl=pair.trust())
    [signer] = s.children("signer")
    os.kill(signer, signal.SIGSTOP)
    try:
        waiting = Manual(s, pair.trust())
        with contextlib.suppress(ssl.SSLWantReadError):
            waiting.tls.do_handshake()
        waiting.send(1000)
        a.message(alice.id, "meanwhile", "h-1")
        assert {a.recv()["type"] for _ in range(2)} == {"ack", "message"}
        set_address(s.name, plain)
        account = {"username": alice.name, "password": password()}
        assert api("POST", "/login", account, name=s.name)[0] == 200
        try:
            waiting.step(waiting.tls.do_handshake)
            raise AssertionError("somebody has signed")
        except ssl.SSLError as e:
            assert "internal error" in str(e), e
        s.logged("no signature for the handshake: overloaded")
        s.logged("the signer did not answer")
    finally:
        os.kill(signer, signal.SIGCONT)
    set_address(s.name, s.addresses[1])
    assert fetch(dial(s, pair))[0] == 401
    assert s.children("signer") == [signer]
PY
}

@test "the broker ends a session that asks for a second signature, or when it acts for a user" {
    py - <<'PY'
from tls import *
pair = Pair()
u = user()
der = subprocess.run(["openssl", "pkey", "-in", pair.key, "-pubout", "-outform", "DER"], check=True,
                     capture_output=True).stdout
import hashlib
key = hashlib.sha256(der).digest()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    for content in VERIFY_13, EXCHANGE_12:
        c = Channel(NEW, name=s.name)
        kind, signature = c.ask("SIGN", sign_payload(key, content))
        assert kind == "SIGNED"
        with open(f"{T}/{s.name}.signature", "wb") as f:
            f.write(signature[4:])
        with open(f"{T}/{s.name}.content", "wb") as f:
            f.write(content)
        openssl("dgst", "-sha256", "-prverify", pair.key, "-signature", f"{T}/{s.name}.signature",
                f"{T}/{s.name}.content")
        c.say("SIGN", sign_payload(key, content))
        c.ended("a second one")
    assert "a second signature for one handshake" in s.log()
    # Nothing but a handshake, with a key and a scheme that fit, is signed.
    for wanted in (key, b"pay the bearer"), (key, bytes(32)), (key[:-1], VERIFY_13), (bytes(32), VERIFY_13), \
                  (key, VERIFY_13, 0x0804), (key, VERIFY_13, 0x0401), (key, VERIFY_13, 0x9999):
        c = Channel(NEW, name=s.name)
        assert c.ask("SIGN", sign_payload(*wanted))[0] == "FAILED", wanted
    c = Channel(NEW, name=s.name)
    c.say("SIGN", sign_payload(key, bytes(257)))
    c.ended("too long")
    c = Channel(BOUND, u, s.name)
    c.say("SIGN", sign_payload(key, VERIFY_13))
    c.ended("it acts for a user")
    s.logged("a message that its state does not allow")
    assert fetch(dial(s, pair))[0] == 401
PY
}

@test "one session that asks for signatures and does not wait for them keeps nobody from a handshake" {
    py - <<'PY'
from tls import *
import hashlib
pair = Pair()
der = subprocess.run(["openssl", "pkey", "-in", pair.key, "-pubout", "-outform", "DER"], check=True,
                     capture_output=True).stdout
key = hashlib.sha256(der).digest()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    [signer] = s.children("signer")
    os.kill(signer, signal.SIGSTOP)
    try:
        for _ in range(400):
            c = Channel(NEW, name=s.name)
            c.say("SIGN", sign_payload(key, VERIFY_13))
            c.socket.shutdown(socket.SHUT_WR)
            c.ended("it has left")
        patient = Manual(s, pair.trust())
        begun = threading.Thread(target=patient.step, args=(patient.tls.do_handshake,))
        begun.start()
        time.sleep(0.5)
    finally:
        os.kill(signer, signal.SIGCONT)
    begun.join()
    assert patient.tls.version() == "TLSv1.3"
    assert "no signature for the handshake" not in s.log(), s.log()
PY
}

@test "no process but the signer has the private key in its memory" {
    py - <<'PY'
from tls import *
u = user()
def needles(pair):
    """The primes of an RSA key, as numbers lie in memory and in files, and a line of the PEM."""
    text = subprocess.run(["openssl", "rsa", "-in", pair.key, "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    prime = bytes.fromhex("".join(text.split("prime1:")[1].split("prime2:")[0].split()).replace(":", ""))
    prime = prime.lstrip(b"\0")
    return [prime, prime[::-1], open(pair.key).read().splitlines()[5]]
pair, fresh = Pair("rsa"), Pair("rsa")
secret = needles(pair) + needles(fresh)
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1", "-o", "min_spare=1") as s:
    a = connect(u.token, s.name, ssl=pair.trust())
    for mine, new in (pair.chain, fresh.chain), (pair.key, fresh.key):
        os.replace(new, mine)
    signers = s.children("signer")
    s.kill(signal.SIGHUP)
    s.logged("configuration reloaded")
    eventually(lambda: s.children("signer") not in ([], signers))
    b = connect(u.token, s.name, ssl=fresh.trust())
    eventually(lambda: s.children("spare"))
    kinds = set()
    for pid, title in {**s.tree(), s.pid: "chatd: master"}.items():
        kinds.add(title.split()[1])
        found = holds(pid, secret)
        assert bool(found) == (title == "chatd: signer"), (title, found)
    assert kinds == {"master", "broker", "auth", "signer", "session", "spare"}, kinds
    a.ping()
PY
}

@test "without a certificate there is no signer" {
    py - <<'PY'
from server import *
with Server() as s:
    assert not s.children("signer") and len(s.children("auth")) == 1
PY
}
