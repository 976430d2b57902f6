"""One account that sends on many connections.

    with nothing_stored():
        flood(clients, bob.id, 20)
"""
from chat import *


def flood(clients, receiver, each):
    """One message is under way; so many more on each connection, I-N, have been read by its session."""
    clients[0].message(receiver, "first", "first")
    writer_waits()
    for i, w in enumerate(clients):
        for n in range(each):
            w.message(receiver, f"{n}", f"{i}-{n}")
        w.ping()
