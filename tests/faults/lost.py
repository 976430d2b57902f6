"""How a host fails a client that does all it should."""
import asyncio

import wsclient

LOST = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, wsclient.WebSocketException, EOFError)


class Away(Exception):
    """The host said that it cannot now, and after how many seconds to come back: Retry-After, which
    a client that means well keeps to. Each of these answers costs a process."""

    def __init__(self, fields=()):
        self.seconds = float(dict(fields).get("retry-after", 0.5))
        super().__init__(f"status 503; retry after {self.seconds} s")
