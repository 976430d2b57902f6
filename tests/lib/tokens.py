"""Tokens made by hand with the server's key, for what the server itself would never issue.

    t = token(claims(user, exp=NOW - 1))        # rightly signed; None as a value: without that claim
    refused(t)                                  # by REST and by the WebSocket handshake
"""
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from rawhttp import *

KEY = open(f"{T}/jwt_secret").read().rstrip("\n").encode()
NOW = int(time.time())


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def sign(text, key=KEY, digest=hashlib.sha256):
    return b64(hmac.new(key, text.encode(), digest).digest())


def decode(part):
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def generation(token):
    return decode(token.split(".")[1])["gen"]


def claims(who, **changes):
    """Good claims with changes; None takes one away."""
    if "gen" not in changes:
        changes["gen"] = generation(who.token)
    all_ = {"sub": str(who.id), "iat": NOW, "exp": NOW + 3600, "jti": "made-by-hand", **changes}
    return {k: v for k, v in all_.items() if v is not None}


def token(body, head={"alg": "HS256", "typ": "JWT"}, **options):
    text = part(head) + "." + part(body)
    return text + "." + sign(text, **options)


def status(token):
    return ask("GET", "/users", token=token).status


def refused(token, why=""):
    r = ask("GET", "/users", {"Authorization": f"Bearer {token}"})
    assert r.status == 401, (why, token, r.status, r.body)
    assert list(r.json()) == ["error"] and r.headers["www-authenticate"].startswith("Bearer")
    try:
        connect(token)
    except Refused as e:
        assert e.status == 401, (why, e.status)
    else:
        raise AssertionError(f"the WebSocket took it: {why} {token}")


# --- keys and tokens of those who issue tokens elsewhere ---

def make_pair(path, *how):
    """A private key in this file, and its public half in the file .pub beside it."""
    how = how or ("RSA", "rsa_keygen_bits:2048")
    options = [x for o in how[1:] for x in ("-pkeyopt", o)]
    subprocess.run(["openssl", "genpkey", "-algorithm", how[0], *options, "-out", path],
                   check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-out", f"{path}.pub"], check=True)
    return path


def fixed(der):
    """An ECDSA signature as RFC 7518 section 3.4 has it: two numbers of 32 bytes."""
    numbers, at = b"", 2
    for _ in range(2):
        n = der[at + 1]
        numbers += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + n
    return numbers


def foreign(path, body, alg="RS256", **head):
    """A token signed with the private key in a file."""
    text = part({"alg": alg, **head}) + "." + part(body)
    der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", path], input=text.encode(),
                         check=True, capture_output=True).stdout
    return text + "." + b64(fixed(der) if alg.startswith("ES") else der)


def theirs(who, **changes):
    """The claims that a token from elsewhere has at least."""
    return claims(who, **{"jti": None, "gen": None, **changes})
