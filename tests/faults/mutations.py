#!/usr/bin/python3
"""Proof that the checker sees: changes to good records, each with the finding that it must cause.

    mutations.py list                 the names
    mutations.py small FOLDER         writes a small good record
    mutations.py none FOLDER          there is no finding in these
    mutations.py NAME FOLDER          with this change there is a finding more, and it is the right one

A change returns what its finding must mention. The small record has something for each of them; in the record of a
real run, whose schedule decides what happens in it, a change may find nothing to work on, which is printed.
"""
import sys
from collections import Counter

sys.dont_write_bytecode = True

import checker
import conversations
import mutations_groups
import presence
import records
from damage import ALL, Nothing, answered, causes, constant, direct, due, in_order, middle, resumes, stranger, text_sent
from small import small

assert mutations_groups        # its changes are in ALL, too


# --- lost, stored twice, changed ---

@causes("lost")
def acknowledged_but_not_stored(rows):
    number = middle(rows["acked"])["message_id"]
    rows["stored"] = [r for r in rows["stored"] if r["message_id"] != number]
    return number


@causes("missing")
def a_frame_is_dropped(rows):
    r = middle(due(rows, "received"))
    rows["received"] = [x for x in rows["received"] if (x["device"], x["message_id"]) != (r["device"], r["message_id"])]
    return r["message_id"]


@causes("missing")
def the_other_device_of_the_sender_gets_none(rows):
    users = {r["device"]: r["user"] for r in rows["run"] if r["ev"] == "device"}
    # The one that sent it may have it, too, when it came back; but it need not.
    ids = {s["message_id"]: s["id"] for s in rows["stored"]}
    sent = {(s["device"], s["id"]) for s in rows["sent"]}
    r = middle([r for r in due(rows, "received") if r["sender"] == users[r["device"]]
                and (r["device"], ids.get(r["message_id"])) not in sent])
    rows["received"] = [x for x in rows["received"] if (x["device"], x["message_id"]) != (r["device"], r["message_id"])]
    return r["message_id"]


@causes("late")
def a_message_waits_for_the_next_connection(rows):
    slow = {d["device"] for d in rows["run"] if d["ev"] == "device" and d["kind"] == "slow"}
    acked = {ack["message_id"] for ack in rows["acked"]}
    first = {(r["device"], r["message_id"]): r for r in reversed(rows["received"])}     # not what was repeated later
    r = middle([r for r in due(rows, "received") if r["sender"] != r["user"] and r["device"] not in slow
                and r["message_id"] in acked and r is first[r["device"], r["message_id"]]])
    for ack in rows["acked"]:
        if ack["message_id"] == r["message_id"]:
            ack["t"] = r["t"]
    for c in rows["connections"]:
        if c["ev"] == "close" and (c["device"], c["conn"]) == (r["device"], r["conn"]):
            c["t"] = r["t"] + checker.LATE_S
    r["conn"] += 1000
    return r["message_id"]


@causes("phantom")
def a_message_is_received_that_is_not_stored(rows):
    r = middle(rows["received"])
    rows["received"].append({**r, "message_id": 10**9, "n": 10**9})
    return 10**9


@causes("phantom")
def an_acknowledgement_of_what_was_never_sent(rows):
    r = middle(rows["acked"])
    rows["acked"].append({**r, "id": "never-sent", "n": 10**9})
    return "never-sent"


@causes("phantom")
def a_stored_row_that_nobody_sent(rows):
    r = middle(rows["stored"])
    rows["stored"].append({**r, "message_id": 10**9, "id": "never-sent"})
    return "never-sent"


@causes("phantom")
def a_message_reaches_somebody_else(rows):
    r = middle(direct(rows, "received"))
    rows["received"].append({**r, "device": stranger(rows, r["conversation"]), "n": 10**9})
    return r["message_id"]


@causes("doubled")
def a_row_is_stored_twice(rows):
    r = middle(rows["stored"])
    rows["stored"].append({**r, "message_id": 10**9})
    return r["id"]


@causes("doubled")
def acknowledged_with_two_numbers(rows):
    r = middle(rows["acked"])
    rows["acked"].append({**r, "message_id": next(x["message_id"] for x in rows["acked"] if x["id"] != r["id"])})
    return r["id"]


@causes("doubled")
def acknowledged_as_new_twice(rows):
    r = middle([r for r in rows["acked"] if not r["duplicate"]])
    rows["acked"].append(dict(r))
    return r["id"]


@causes("unacknowledged")
def sent_and_never_acknowledged(rows):
    r = middle(rows["sent"])
    rows["sent"].append({**r, "id": "no-answer"})
    return "no-answer"


@causes("changed")
def the_content_is_stored_otherwise(rows):
    r = middle(rows["stored"])
    r["md5"] = "0" * 32
    return r["id"]


@causes("changed")
def the_content_is_received_otherwise(rows):
    r = middle(rows["received"])
    r["md5"] = "0" * 32
    return r["message_id"]


@causes("changed")
def the_receiver_is_another(rows):
    r = middle([r for r in rows["stored"] if r["to"]])
    r["to"] = r["to"] + 1000
    return r["id"]


def of_groups(rows):
    return [r for r in due(rows, "received") if not r["to"] and r["sender"] != r["user"]]


@causes("missing")
def a_member_of_a_group_does_not_get_a_message(rows):
    r = middle(of_groups(rows))
    rows["received"] = [x for x in rows["received"] if (x["device"], x["message_id"]) != (r["device"], r["message_id"])]
    return f"{r['message_id']} ("


@causes("changed")
def a_message_goes_to_another_group(rows):
    r = middle([r for r in rows["stored"] if not r["to"]])
    r["conversation"] += 1000
    return f"{r['id']} is not stored as it was sent"


# --- order and repeats ---

@causes("doubled")
def a_frame_comes_again_on_the_next_connection(rows):
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        if mine:
            rows["received"].append({**mine[0], "conn": mine[-1]["conn"], "n": 10**9, "t": mine[-1]["t"]})
            return mine[0]["message_id"]


@causes("doubled")
def a_frame_comes_again_at_once(rows):
    for device in reversed(resumes(rows).values()):
        mine = in_order(rows, device)
        if mine:
            rows["received"].append({**mine[-1], "n": mine[-1]["n"] + 0.5})
            return mine[-1]["message_id"]


@causes("order")
def two_frames_are_swapped(rows):
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        for a, b in zip(mine, mine[1:]):
            if a["conn"] == b["conn"]:
                for key in ("message_id", "sender", "to", "md5", "cursor"):
                    a[key], b[key] = b.get(key), a.get(key)
                return b["message_id"]


@causes("order")
def two_live_frames_are_swapped_without_resume(rows):
    for device in {r["device"] for r in rows["run"] if r["ev"] == "device"} - set(resumes(rows)):
        mine = [r for r in rows["received"] if r["device"] == device and r["via"] == "frame"]
        for a, b in zip(mine, mine[1:]):
            if a["conn"] == b["conn"]:
                for key in ("message_id", "sender", "to", "md5", "cursor"):
                    a[key], b[key] = b.get(key), a.get(key)
                return b["message_id"]


@causes("order")
def an_acknowledgement_overtakes(rows):
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        for a in rows["acked"]:
            if a["device"] != device["device"] or a["duplicate"] or device["resume"] == "events":
                continue
            before = [r for r in mine if r["conn"] == a["conn"] and r["message_id"] < a["message_id"]]
            if before:
                a["n"] = before[-1]["n"] - 0.5
                return before[-1]["message_id"]


@causes("unrecovered")
def a_cursor_is_not_honoured(rows):
    r = rows["connections"][-1]
    rows["connections"].append({**r, "ev": "resumed", "recovered": False, "n": 10**9})
    return r["device"]


# --- changes of messages ---

def edited(rows):
    """Such an attempt and acknowledgement of a message to one user that is not deleted, and of which there is no other
    attempt, so that nothing may supersede it; and what is stored."""
    times = Counter(r["message_id"] for r in rows["asked"] if r["md5"])
    stored = {r["message_id"]: r for r in rows["stored"]}
    return [(q, r, stored[q["message_id"]]) for q, r in answered(rows)
            if times[q["message_id"]] == 1 and q["what"] == "edit" and stored[q["message_id"]]["to"]]


def deletion(rows, receivers=None):
    """The acknowledged attempt, of a message to one user, and what is stored."""
    direct = {r["message_id"]: r for r in rows["stored"] if r["to"] and (receivers is None or r["to"] in receivers)}
    q = middle([q for q, _ in answered(rows) if q["what"] == "delete" and q["message_id"] in direct])
    return q, direct[q["message_id"]]


def come_back(rows, device, **row):
    """A connection of this device at the end, and a frame that it brings."""
    t = presence.end_of(rows)
    known = {"user": device["user"], "device": device["device"], "conn": 10**6}
    rows["connections"] += [{**known, "ev": ev, "host": 0, "t": t + i / 10} for i, ev in enumerate(("begin", "open"))]
    rows["changed"].append({**known, "n": 1, "edited": None, "deleted": False, "reactions": None, "t": t + 1,
                            **row})


@causes("undone")
def an_acknowledged_edit_is_not_stored(rows):
    q, _, stored = middle(edited(rows))
    stored.update(md5=text_sent(rows, stored), changed=None, edited=None)
    return q["id"]


@causes("undone")
def an_older_text_comes_back(rows):
    """As a change of its own, though each attempt to make it was over."""
    q, _, stored = middle(edited(rows))
    last = {**q, "id": "a-later-one", "md5": "1" * 32, "t": presence.end_of(rows)}
    rows["asked"].append(last)
    rows["made"].append({**last, "n": 10**9, "upto": None, "t": last["t"] + 0.1})
    stored["changed"] += 1
    return "a-later-one"


@causes("undone")
def a_deletion_is_undone(rows):
    q, stored = deletion(rows)
    stored.update(md5=text_sent(rows, stored), changed=10**9, deleted=False)
    return q["id"]


@causes("lost")
def an_edited_message_is_not_stored(rows):
    number = middle(edited(rows))[0]["message_id"]
    rows["stored"] = [r for r in rows["stored"] if r["message_id"] != number]
    return number


@causes("changed")
def a_text_that_nobody_asked_for(rows):
    r = middle([r for r in rows["changed"] if not r["deleted"]])
    r["md5"] = "0" * 32
    return r["message_id"]


@causes("changed")
def a_deleted_message_keeps_its_text(rows):
    q, stored = deletion(rows)
    stored["md5"] = text_sent(rows, stored)
    return stored["id"]


@causes("phantom")
def a_change_reaches_somebody_else(rows):
    r = middle(direct(rows, "changed"))
    other = stranger(rows, r["conversation"])
    rows["changed"].append({**r, "device": other, "n": 10**9})
    return f"{other} was told of a change of {r['message_id']}"


@causes("phantom")
def an_acknowledgement_of_a_change_that_was_never_asked_for(rows):
    rows["made"].append({**middle(rows["made"]), "id": "never-asked", "n": 10**9})
    return "never-asked"


@causes("unacknowledged")
def a_change_is_never_acknowledged(rows):
    rows["asked"].append({**middle(rows["asked"]), "id": "no-answer"})
    return "no-answer"


@causes("leaked")
def a_deleted_text_is_resumed(rows):
    devices = {d["user"]: d for d in resumes(rows).values()}
    q, stored = deletion(rows, devices)
    come_back(rows, devices[stored["to"]], message_id=q["message_id"], conversation=stored["conversation"],
              place=10**9, md5=text_sent(rows, stored))
    return q["message_id"]


@causes("stale")
def a_superseded_text_is_resumed(rows):
    told = {(r["message_id"], r["md5"]) for r in rows["changed"]}
    devices = {d["user"]: d for d in resumes(rows).values()}
    q, _, stored = middle([x for x in edited(rows)
                           if (x[0]["message_id"], x[0]["md5"]) in told and x[2]["to"] in devices])
    come_back(rows, devices[stored["to"]], message_id=q["message_id"], conversation=stored["conversation"], place=0,
              md5=text_sent(rows, stored))
    return f"{q['message_id']} was changed"


@causes("stale")
def the_last_change_never_comes(rows):
    last = {r["message_id"]: r["changed"] for r in rows["stored"] if r["changed"]}
    doers = {(r["device"], r["message_id"]) for r in rows["asked"]}
    r = middle([r for r in due(rows, "changed") if last.get(r["message_id"]) == r["place"] and r["device"] in resumes(rows)
                and not r["reactions"] and (r["device"], r["message_id"]) not in doers])
    # Nor is it there when the message itself comes late.
    stored = next(s for s in rows["stored"] if s["message_id"] == r["message_id"])
    rows["changed"] = [x for x in rows["changed"] if (x["device"], x["place"]) != (r["device"], r["place"])]
    for x in rows["received"]:
        if (x["device"], x["message_id"]) == (r["device"], r["message_id"]):
            x.update(md5=text_sent(rows, stored), edited=None, deleted=False)
    return f"{r['device']} "


@causes("order")
def a_change_overtakes_a_message(rows):
    """On the connection that brought both."""
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        for c in in_order(rows, device, "changed"):
            before = [r for r in mine if r["conn"] == c["conn"] and r["n"] < c["n"] and r["message_id"] < c["place"]]
            if before:
                c["n"] = before[-1]["n"] - 0.5
                return before[-1]["message_id"]


@causes("doubled")
def a_change_comes_again(rows):
    for device in resumes(rows).values():
        for c in in_order(rows, device, "changed")[-1:]:
            rows["changed"].append({**c, "n": c["n"] + 0.5})
            return c["place"]


@causes("order")
def the_acknowledgement_of_a_change_overtakes(rows):
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        for a in rows["made"]:
            if a["device"] != device["device"] or device["resume"] == "events":
                continue
            before = [r for r in mine if r["conn"] == a["conn"] and r["message_id"] < a["upto"]]
            if before:
                a["n"] = before[-1]["n"] - 0.5
                return before[-1]["message_id"]


@causes("late")
def a_change_waits_for_the_next_connection(rows):
    slow = {d["device"] for d in rows["run"] if d["ev"] == "device" and d["kind"] == "slow"}
    made = {(q["message_id"], q["md5"]): a for q, a in answered(rows)}
    known = conversations.acknowledged_places(rows)
    r = middle([r for r in due(rows, "changed") if r["place"] in known and r["device"] not in slow])
    made[r["message_id"], r["md5"]]["t"] = r["t"]
    for c in rows["connections"]:
        if c["ev"] == "close" and (c["device"], c["conn"]) == (r["device"], r["conn"]):
            c["t"] = r["t"] + checker.LATE_S
    r["conn"] += 1000
    return r["place"]


# --- watermarks, unread, and what members are shown ---

@causes("backward")
def a_list_is_behind_a_receipt(rows):
    lists = [r for r in rows["shown"] if r["via"] == "list"]
    for r in lists:
        if r["read"] and any((x["conversation"], x["member"]) == (r["conversation"], r["member"])
                             and x["read"] >= r["read"] and x["t"] < r["asked"] for x in rows["shown"]):
            r["read"] = 0
            return f"user {r['member']} had read conversation {r['conversation']}"


@causes("backward")
def a_watermark_that_was_shown_is_lost(rows):
    r = middle([r for r in rows["shown"] if r["delivered"]])
    member = next(m for m in rows["members"] if (m["conversation"], m["user"]) == (r["conversation"], r["member"]))
    member["delivered"] = 0
    return f"user {r['member']} was shown to have delivered conversation {r['conversation']}"


@causes("behind")
def the_greatest_watermark_is_not_stored(rows):
    here = {(m["conversation"], m["user"]) for m in rows["members"] if not m["until"]}
    r = middle([r for r in rows["said"] if (r["conversation"], r["user"]) in here])
    rows["said"].append({**r, "reads": True, "message_id": 10**9})
    return f"user {r['user']} has read conversation {r['conversation']}"


@causes("behind")
def whoever_joins_has_read_what_comes_then(rows):
    r = middle([r for r in rows["members"] if r["joined"] and not r["until"]])
    r["read"] = 10**9
    return f"user {r['user']} has read conversation {r['conversation']}"


@causes("behind")
def a_watermark_moves_by_itself(rows):
    r = middle([r for r in rows["members"] if not r["until"]])
    r["delivered"] += 1
    return f"user {r['user']} has delivered conversation {r['conversation']}"


@causes("miscounted")
def one_too_many_is_unread(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "conversation"])
    r["unread"] += 1
    return f"user {r['user']} "


@causes("differs")
def a_history_shows_an_older_text(rows):
    stored = next(r for r in rows["stored"] if r["edited"] and not r["deleted"])
    r = next(r for r in rows["views"] if r["ev"] == "message" and r["message_id"] == stored["message_id"])
    r.update(md5=text_sent(rows, stored), edited=None)
    return f"the message {r['message_id']}"


@causes("differs")
def a_history_shows_another_time(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "message" and r["edited"]])
    r["edited"] = "2001-01-01T00:00:00.000Z"
    return f"the message {r['message_id']}"


@causes("differs")
def a_history_lacks_a_message(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "message"])
    rows["views"].remove(r)
    return f"the message {r['message_id']}"


@causes("differs")
def a_history_shows_somebody_elses_message(rows):
    r = middle([r for r in direct(rows, "views") if r["ev"] == "message"])
    device = stranger(rows, r["conversation"])
    other = next(d["user"] for d in rows["run"] if d["ev"] == "device" and d["device"] == device)
    rows["views"].append({**r, "user": other})
    return f"user {other} "


@causes("differs")
def a_member_is_shown_with_an_older_watermark(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "member" and r["delivered"]])
    r["delivered"] -= 1
    return f"the member {r['member']}"


@causes("differs")
def the_list_has_not_the_last_message(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "conversation" and r["last"]])
    r["last"] -= 1
    return f"the conversation {r['conversation']}"


# --- presence ---

def long_absence(rows):
    """(user, from, to) in which he is gone, and a host answers all the time, for long enough."""
    limit = constant(rows, "lease") + constant(rows, "allowance") + 0.5
    last = presence.end_of(rows)
    hosts, _ = presence.connected(rows)
    for user, connections in presence.attempts(rows).items():
        for close, back, _ in presence.absences(connections, last):
            for host, runs in hosts.items():
                for begin, end in runs.within(close, min(back, last)):
                    if end - begin > limit:
                        return user, host, begin, end
    raise Nothing


@causes("ghost")
def shown_online_by_get_users(rows):
    user, host, begin, end = long_absence(rows)
    for r in rows["seen"]:
        if r["ev"] == "users" and r["observer"] == host and begin <= r["asked"] and r["t"] <= end:
            r["online"].append(user)
    return f"user {user} "


@causes("ghost")
def shown_online_by_frames(rows):
    user, host, begin, end = long_absence(rows)
    rows["seen"] = [r for r in rows["seen"] if not (r["ev"] == "status" and r["user"] == user and r["observer"] == host)]
    at = next(i for i, r in enumerate(rows["seen"]) if r["t"] > begin)
    rows["seen"].insert(at, {"ev": "status", "observer": host, "user": user, "online": True, "t": begin + 0.001})
    return f"user {user} "


@causes("absent")
def shown_offline_though_connected(rows):
    limit = constant(rows, "lease") + constant(rows, "allowance")
    hosts, _ = presence.connected(rows)

    def long_enough(r, begin, end):
        """Whether this answer comes so late in that time that its observer ought to have shown him."""
        return r["ev"] == "users" and r["t"] < end \
            and r["asked"] - max(begin, hosts[r["observer"]].around(r["t"])[0]) > limit
    for user, connections in presence.attempts(rows).items():
        for _, opened, close, host in connections:
            for begin, end in hosts[host].within(opened, close) if opened is not None and host in hosts else ():
                if any(long_enough(r, begin, end) for r in rows["seen"]):
                    for r in rows["seen"]:
                        # An observer remembers what it was shown before.
                        if r["ev"] == "users" and begin <= r["t"] and r["t"] <= end and user in r["online"]:
                            r["online"].remove(user)
                    return f"user {user} "
    raise Nothing


@causes("disagree")
def the_last_answer_is_wrong(rows):
    over = next(r["t"] for r in rows["run"] if r["ev"] == "end")
    r = [r for r in rows["seen"] if r["ev"] == "users" and r["t"] <= over][-1]
    r["online"].pop()
    return "GET /users"


@causes("disagree")
def the_last_frame_is_wrong(rows):
    over = next(r["t"] for r in rows["run"] if r["ev"] == "end")
    at = next((i for i, r in enumerate(rows["seen"]) if r["t"] > over), len(rows["seen"]))
    online = next(r for r in rows["run"] if r["ev"] == "settled")["online"]
    rows["seen"].insert(at, {"ev": "status", "observer": 0, "user": online[0], "online": False, "t": over - 0.001})
    return "user_status"


# --- who comes in ---

@causes("shut")
def nobody_is_let_in_over_tls(rows):
    r = next(r for r in rows["run"] if r["ev"] == "entry" and r["tls"])
    r["took"] = None
    return "over TLS"


@causes("shut")
def a_device_stays_out(rows):
    device = next(r["device"] for r in rows["run"] if r["ev"] == "device")
    next(r for r in rows["run"] if r["ev"] == "settled")["out"].append(device)
    return device


@causes("gone")
def a_signer_does_not_come_back(rows):
    r = next(r for r in rows["run"] if r["ev"] == "signer")
    r["took"] = constant(rows, "lease") + constant(rows, "allowance") + 1
    return f"host {r['host']}"


@causes("hung")
def a_signature_is_forgotten(rows):
    r = middle([r for r in rows["handshakes"] if r["how"] == "good"])
    r.update(how="failed", certificate=None, began=r["t"] - checker.HANDSHAKE_S - 1)
    return f"host {r['host']} took"


@causes("certificate")
def the_certificate_of_another_host_is_shown(rows):
    r = middle([r for r in rows["handshakes"] if r["how"] == "good"])
    r["certificate"] = next(x["serial"] for x in rows["run"] if x["ev"] == "certificate" and x["host"] != r["host"])
    return r["certificate"]


@causes("certificate")
def the_old_certificate_is_shown_after_a_renewal(rows):
    renewed = next(r for r in rows["run"] if r["ev"] == "renewed")
    r = next(r for r in rows["handshakes"] if r["how"] == "good" and r["host"] == renewed["host"]
             and r["began"] > renewed["t"])
    r["certificate"] = next(x["serial"] for x in rows["run"] if x["ev"] == "certificate" and x["host"] == r["host"])
    return r["certificate"]


@causes("certificate")
def a_certificate_is_not_verified(rows):
    r = middle(rows["handshakes"])
    r.update(how="not verified: unknown authority", certificate=None)
    return "unknown authority"


# --- the rest ---

@causes("left")
def a_process_is_left(rows):
    rows["run"].append({"ev": "left", "what": "h0: 4711 chatd: session", "t": 1})
    return "4711"


@causes("error")
def an_answer_that_nothing_explains(rows):
    rows["run"].append({"ev": "error", "what": "1.0: status 500", "t": 1})
    return "500"


def prove(name, folder):
    kind, change = ALL[name]
    rows = records.load(folder)
    before = {f"{f}" for f in checker.check(rows)}
    try:
        mention = change(rows)
    except (Nothing, StopIteration):
        mention = None
    if mention is None:
        print(f"{name}: nothing to change in {folder}")
        return
    more = [f for f in checker.check(rows) if f"{f}" not in before]
    assert any(f.kind == kind and str(mention) in f"{f.text} {f.evidence}" for f in more), (mention, more[:5])


if __name__ == "__main__":
    if sys.argv[1] == "list":
        print("\n".join(ALL))
    elif sys.argv[1] == "none":
        found = checker.check(records.load(sys.argv[2]))
        assert not found, found
    elif sys.argv[1] == "small":
        records.save(small(), sys.argv[2])
    else:
        prove(sys.argv[1], sys.argv[2])
