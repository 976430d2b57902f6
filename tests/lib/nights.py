"""What a bad night takes: a disk without room, a crowd at the database, what doctor finds.

    start(shimmed())                    # PostgreSQL, with a disk that full(True) fills
    with crowd(22): ...                 # so many connections to PostgreSQL, of other people
    findings()["clock"]["good"]         # doctor's, by the name of the check
"""
import secrets  # noqa: F401
import struct

from metrics import *
from operators import *
from tls import *
import postgres
from postgres import *
from preload import preloaded

CONTROL = f"{T}/control"


def shimmed():
    """The environment of a server whose disk can be full; see tests/faults/shim.c."""
    full(False)
    os.chmod(CONTROL, 0o644)
    return preloaded("faults/shim.so", CHATD_FAULTS=CONTROL)


def full(yes):
    with open(CONTROL, "r+b" if os.path.exists(CONTROL) else "wb") as f:
        f.write(struct.pack("qqq", 0, int(yes), 0))


def start(env=None):
    """As in postgres.py, with more in the environment."""
    subprocess.run([postgres.TOOL, "start", "--fast", CLUSTER], check=True, env={**os.environ, **(env or {})})


def until_any(self, *types):
    while True:
        frame = self.recv()
        if frame["type"] in types:
            return frame


Client.until_any = until_any


def findings(*more):
    out = subprocess.run([CTL, "-f", f"{T}/chatd.conf", *more, "-j", "doctor"], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=60)
    assert out.stdout, out.stderr
    return {row["check"]: row for row in json.loads(out.stdout)}


_crowd = []


@contextlib.contextmanager
def crowd(most):
    """Others come until there are so many connections in all."""
    def there():
        return int(sql("select count(*) - 1 from pg_stat_activity where backend_type = 'client backend'"))
    try:
        for _ in range(most - there()):
            _crowd.append(subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
            # Held by what it does first.
            _crowd[-1].stdin.write("select 1;\n")
            _crowd[-1].stdin.flush()
        eventually(lambda: there() == most)
        yield
    finally:
        crowd_leaves()


def crowd_leaves():
    while _crowd:
        _crowd.pop().communicate()
