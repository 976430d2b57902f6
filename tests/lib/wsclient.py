"""The package `websockets`, whose API changed with its version 14: what the tests use of it, under
one name for both. Nothing else in the tests knows which of them is there.

    ws = await connect(uri, headers=…, …)   raises Refused when the handshake is answered with no 101
"""
import inspect

from websockets.exceptions import ConnectionClosed, WebSocketException  # noqa: F401

try:
    from websockets.asyncio import client
    from websockets.asyncio.server import serve
    from websockets.exceptions import InvalidStatus
    FIELDS = "additional_headers"
    # A client that reads little ahead of its user.
    READS_LITTLE = {"max_queue": 1}
except ImportError:
    from websockets import client
    from websockets.exceptions import InvalidStatusCode as InvalidStatus
    from websockets.server import serve  # noqa: F401
    FIELDS = "extra_headers"
    READS_LITTLE = {"max_queue": 1, "read_limit": 1024}

# Whatever the environment says of proxies is not for servers on this machine.
DIRECT = {"proxy": None} if "proxy" in inspect.signature(client.connect.__init__).parameters else {}


class Refused(WebSocketException):
    """The handshake was answered with another status than 101."""

    def __init__(self, answer):
        self.status = answer.status_code
        self.headers = answer.headers
        super().__init__(f"HTTP {self.status}")


async def connect(uri, headers=(), **options):
    return await _connect(client.connect, uri, headers=headers, **options)


async def unix_connect(path, uri, headers=(), **options):
    return await _connect(client.unix_connect, path, uri, headers=headers, **options)


async def _connect(connect_by, *where, headers, **options):
    try:
        return await connect_by(*where, **{FIELDS: headers}, **DIRECT, **options)
    except InvalidStatus as e:
        raise Refused(getattr(e, "response", e)) from None


def is_open(ws):
    return ws.state.name == "OPEN"


def extensions(ws):
    """Those that were agreed on."""
    return getattr(ws, "protocol", ws).extensions


def request_fields(ws):
    return ws.request.headers if hasattr(ws, "request") else ws.request_headers


def response_fields(ws):
    return ws.response.headers if hasattr(ws, "response") else ws.response_headers
