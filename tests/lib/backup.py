"""What a test of backup.bats has to know of before the restore.

    save(cursor=c)       # in one program
    saved()["cursor"]    # and in a later one
"""
from chat import *

FILE = f"{T}/known"


def saved():
    if not os.path.exists(FILE):
        return {}
    with open(FILE) as f:
        return json.load(f)


def save(**values):
    known = saved()
    known.update(values)
    with open(FILE, "w") as f:
        json.dump(known, f)


def conversation(token, other):
    """The number of the conversation with a user."""
    status, answer = api("POST", "/conversations", {"user_id": other}, token)
    assert status in (200, 201), answer
    return answer["id"]
