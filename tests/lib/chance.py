"""Random input that can be had again: of one seed, which a test that fails shows.

    from chance import dice
    dice.randbytes(100)                 # random.Random, of SEED where the environment has one

Names, secrets and tokens are not of it: they must differ where two runs meet.
"""
import os
import random
import sys

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 2**31))
dice = random.Random(SEED)
print(f"SEED={SEED}", file=sys.stderr)
