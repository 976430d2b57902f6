"""Trouble with the database, for files whose cluster is their own.

    stop(signal.SIGINT)     # ends PostgreSQL: SIGINT as pg_ctl stop -m fast does, SIGQUIT as -m immediate
    start()                 # and starts it again
    cut()                   # ends chatd's connections only
"""
import signal

from chat import *

assert os.environ.get("OWN_CLUSTER"), "this cluster is not ours to stop"
CLUSTER = os.environ["TEST_CLUSTER"]
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/cluster")
OURS = "datname = current_database() and application_name like 'chatd %'"
CUT = f"select count(pg_terminate_backend(pid)) from pg_stat_activity where {OURS};"


def stop(how=signal.SIGINT):
    with open(f"{CLUSTER}/pg/postmaster.pid") as f:
        pid = int(f.readline())
    os.kill(pid, how)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def start():
    subprocess.run([TOOL, "start", "--fast", CLUSTER], check=True)


def cut():
    assert int(sql(CUT)) > 0


def serves(who, name="main"):
    """Waits until everything is answered again: what reads, and what writes."""
    eventually(lambda: api("GET", "/users", token=who.token, name=name)[0] == 200)
    ws = connect_again(who, name)

    def accepted():
        ws.message(who.id, "works", "probe")
        frame = ws.recv()
        while frame["type"] not in ("ack", "error"):
            frame = ws.recv()
        assert frame["type"] == "ack" or frame["data"]["temporary"], frame
        return frame["type"] == "ack"
    eventually(accepted)
    ws.close()


def connect_again(who, name="main"):
    """A WebSocket as soon as the server takes one."""
    got = []

    def taken():
        try:
            got.append(connect(who.token, name))
        except Refused as e:
            assert e.status == 503, e
        return got
    eventually(taken)
    return got[0]


def contents(client, last):
    """The contents of the message frames up to this last one."""
    got = []
    while not got or got[-1] != last:
        got.append(client.until("message")["content"])
    return got
