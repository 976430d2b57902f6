"""Tokens made by hand with the server's key, for what the server itself would never issue.

    t = token(claims(user, exp=NOW - 1))        # rightly signed; None as a value: without that claim
    refused(t)                                  # by REST and by the WebSocket handshake
"""
import hashlib
import hmac
from base64 import urlsafe_b64encode

from rawhttp import *

KEY = open(f"{T}/jwt_secret").read().rstrip("\n").encode()
NOW = int(time.time())


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def sign(text, key=KEY, digest=hashlib.sha256):
    return b64(hmac.new(key, text.encode(), digest).digest())


def claims(who, **changes):
    """Good claims with changes; None takes one away."""
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
