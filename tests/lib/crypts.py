"""What a chatd asks crypt(3) for, counted by tests/probe/crypts.c.

    crypts = Crypts()
    with Server(..., env=crypts.environment) as s:
        crypts.rounds()         # of bcrypt, by all workers, since the beginning
        crypts.phrases()        # what was hashed, in this order; with a single worker
"""
import struct

from preload import preloaded
from server import *


class Crypts:
    def __init__(self):
        self.file = f"{T}/{some_name('crypts-')}"
        with open(self.file, "wb") as f:
            f.write(bytes(8 * 32 + 16 * 1024))
        os.chmod(self.file, 0o666)      # the workers may be another user's
        self.environment = preloaded("unit/crypts.so", CHATD_CRYPTS=self.file)

    def counts(self):
        """cost -> how many hashes"""
        with open(self.file, "rb") as f:
            others, *costs = struct.unpack("32Q", f.read(8 * 32))
        assert not others, others
        return {cost: n for cost, n in enumerate(costs, 1) if n}

    def phrases(self):
        """The first 16 bytes of each."""
        with open(self.file, "rb") as f:
            f.seek(8 * 32)
            return [p.rstrip(b"\0").decode(errors="replace") for p in struct.unpack("16s" * 1024, f.read()) if p[0]]

    def rounds(self):
        return sum(n << cost for cost, n in self.counts().items())
