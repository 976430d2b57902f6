"""Changes to good records of groups and reactions, each with the finding that it must cause; see mutations.py."""
from collections import Counter

import membership
import presence
import records
from damage import answered, causes, in_order, middle, resumes
from small import UNCHANGED

def groups(rows):
    return {r["group"]: membership.Group(r, rows["groups"]) for r in rows["run"] if r["ev"] == "group"}


def made(rows, *whats):
    """[(an attempt that was granted, the entry)]: none but these two may belong together."""
    moments, found = membership.Moments(rows), []
    requests = membership.Requests(rows, moments).all
    for group in groups(rows).values():
        entries = [e for e in group.entries if not e["made"] and not membership.is_consequence(e, group)]
        for r in requests:
            alike = [e for e in entries if r["group"] == group.number and membership.fits(r, e, group)]
            if r["what"] in whats and r["status"] and len(alike) == 1 \
                    and sum(membership.fits(o, alike[0], group) for o in requests if o["group"] == group.number) == 1:
                found.append((r, alike[0]))
    return found


def leavers(rows):
    """[(group, user, device, the place up to which they were in it)]: gone for good, after their only time there."""
    devices = {d["user"]: d["device"] for d in rows["run"] if d["ev"] == "device"}
    return [(g, user, devices[user], spells[0][1]) for g in groups(rows).values() for user, spells in g.spells.items()
            if len(spells) == 1 and spells[0][1] != membership.FOREVER]


def late(rows, group, place):
    """The first message of the group behind this place."""
    return next((r for r in rows["stored"] if r["conversation"] == group.number and r["message_id"] > place), None)


def arrives(rows, stored, device):
    """As if this device had got it."""
    rows["received"].append({**{k: stored[k] for k in ("message_id", "sender", "to", "conversation", "md5", "edited", "deleted")},
                             "user": next(d["user"] for d in rows["run"] if d["ev"] == "device" and d["device"] == device),
                             "device": device, "conn": 10**6, "n": 10**9, "reactions": None, "via": "frame", "asked": None,
                             "cursor": None, "t": presence.end_of(rows)})
    return f"{stored['message_id']} was received by {device}"


@causes("phantom")
def what_is_sent_later_reaches_who_has_left(rows):
    return next(arrives(rows, m, device) for g, _, device, until in leavers(rows) if (m := late(rows, g, until)))


@causes("phantom")
def what_was_sent_before_reaches_who_comes(rows):
    for g in groups(rows).values():
        for user, spells in g.spells.items():
            first = late(rows, g, 0)
            if first and not g.full and spells[0][0] > first["message_id"]:
                return arrives(rows, first, next(d["device"] for d in rows["run"] if d["ev"] == "device" and d["user"] == user))


@causes("missing")
def who_has_left_lacks_what_was_sent_before(rows):
    devices = resumes(rows)
    of = {(g.number, device): until for g, _, device, until in leavers(rows) if device in devices}
    r = middle([r for r in rows["received"] if r["message_id"] <= of.get((r["conversation"], r["device"]), 0)
                and r["sender"] != r["user"]])
    rows["received"] = [x for x in rows["received"] if (x["device"], x["message_id"]) != (r["device"], r["message_id"])]
    return f"{r['message_id']} ("


@causes("phantom")
def a_change_of_a_group_is_told_to_who_has_left(rows):
    for g, user, device, until in leavers(rows):
        for e in g.entries:
            if e["change"] > until:
                rows["told"].append({"user": user, "device": device, "conn": 10**6, "n": 10**9, "place": e["change"],
                                     "group": g.number, "ev": "member", "member": e["member"], "role": e["role"],
                                     "name": None, "t": presence.end_of(rows)})
                return f"{device} was told of the change {e['change']}"


def told(rows):
    """Of the last change of its kind, whoever resumes and is still there."""
    last = {(g.number, e["change"]) for g in groups(rows).values() for e in g.latest()}
    of = groups(rows)
    return middle([r for r in rows["told"] if (r["group"], r["place"]) in last and r["device"] in resumes(rows)
                   and of[r["group"]].is_last(r["user"], r["place"], r["place"])])


@causes("missing")
def a_change_of_a_group_is_not_told(rows):
    r = told(rows)
    rows["told"] = [x for x in rows["told"] if (x["device"], x["place"]) != (r["device"], r["place"])]
    return f"{r['device']} was never told of the change {r['place']}"


@causes("changed")
def another_change_of_a_group_is_told(rows):
    r = middle([r for r in rows["told"] if r["ev"] == "member"])
    r["role"] = "owner" if r["role"] is None else None
    return f"{r['device']} was told of another change {r['place']}"


@causes("doubled")
def a_change_of_a_group_is_told_twice(rows):
    for device in resumes(rows).values():
        for r in in_order(rows, device, "told")[-1:]:
            rows["told"].append({**r, "n": r["n"] + 0.5})
            return f"received {r['place']} again"


@causes("order")
def a_change_of_a_group_overtakes_a_message(rows):
    for device in resumes(rows).values():
        mine = in_order(rows, device)
        for r in in_order(rows, device, "told"):
            before = [m for m in mine if m["conn"] == r["conn"] and m["n"] < r["n"] and m["message_id"] < r["place"]]
            if before:
                r["n"] = before[-1]["n"] - 0.5
                return before[-1]["message_id"]


@causes("membership")
def an_acknowledged_member_is_not_in_the_log(rows):
    request, entry = middle(made(rows, "add"))
    rows["groups"].remove(next(e for e in rows["groups"] if e["change"] == entry["change"]))
    return request["id"]


@causes("membership")
def nobody_asked_for_a_role(rows):
    request, entry = middle(made(rows, "role"))
    for topic in "moves", "moved":
        rows[topic] = [r for r in rows[topic] if (r["device"], r["id"]) != (request["device"], request["id"])]
    return f"asked for the change {entry['change']}"


@causes("membership")
def one_request_is_carried_out_twice(rows):
    _, entry = middle(made(rows, "name"))
    rows["groups"].append({**entry, "change": entry["change"] + 0.5})
    return f"group {entry['group']}: nobody who might has asked for the change"


@causes("membership")
def a_mere_member_has_given_a_role(rows):
    request, entry = middle(made(rows, "role", "add"))
    group = groups(rows)[entry["group"]]
    other = next(user for user, role in group.state_at(entry["change"] - 1).items() if role == "member" and user != entry["member"])
    for r in rows["moves"]:
        if (r["device"], r["id"]) == (request["device"], request["id"]):
            r["user"] = other
    return f"asked for the change {entry['change']}"


@causes("membership")
def a_group_has_two_owners(rows):
    _, entry = middle(made(rows, "add"))
    next(e for e in rows["groups"] if e["change"] == entry["change"])["role"] = "owner"
    return f"change {entry['change']}: {entry['member']} leaves the group with the owners"


@causes("membership")
def a_group_has_no_owner(rows):
    group = middle([g for g in groups(rows).values() if g.state])
    owner = next(user for user, role in group.state.items() if role == "owner")
    rows["groups"].append({"change": 10**9, "group": group.number, "member": owner, "role": "member", "made": False, "t": 0})
    return f"group {group.number} ends without an owner"


@causes("membership")
def somebody_else_inherits_a_group(rows):
    for g in groups(rows).values():
        for e in g.entries:
            if g.causes.get(e["change"]) == "left":
                others = [user for user in g.state_at(e["change"] - 1) if user != e["member"]]
                if others:
                    next(x for x in rows["groups"] if x["change"] == e["change"])["member"] = others[0]
                    return f"{others[0]} is the owner"


@causes("membership")
def who_has_left_is_stored_as_a_member(rows):
    r = middle([r for r in rows["members"] if r["until"]])
    r["until"] = None
    return f"user {r['user']} of group {r['conversation']} "


@causes("membership")
def a_group_has_a_name_that_nobody_gave(rows):
    request, entry = middle(made(rows, "name"))
    next(r for r in rows["names"] if r["group"] == entry["group"])["name"] = "another"
    return f"group {entry['group']} is named 'another'"


@causes("phantom")
def an_answer_about_a_group_that_was_not_asked_for(rows):
    rows["moved"].append({**middle(rows["moved"]), "id": "never-asked"})
    return "never-asked"


@causes("unacknowledged")
def a_request_about_a_group_is_never_answered(rows):
    rows["moves"].append({**middle(rows["moves"]), "id": "no-answer"})
    return "no-answer"


@causes("admitted")
def somebody_outside_writes_to_a_group(rows):
    group, user, device, _ = middle([x for x in leavers(rows) if x[0].state])
    known = {"id": f"{device}-outside", "to": None, "md5": "2" * 32}
    rows["sent"].append({**known, "user": user, "device": device, "conn": 1, "group": group.number, "t": presence.end_of(rows)})
    rows["stored"].append({**known, "message_id": 10**9, "sender": user, "conversation": group.number, **UNCHANGED, "t": 0})
    return f"user {user} was not in group {group.number}"


@causes("admitted")
def a_mere_member_deletes_a_message(rows):
    moments = membership.Moments(rows)

    def mere(group, user, t):
        states = list(group.states_within(moments.before(t), moments.behind(t)))
        return all(state.get(user) == "member" for state in states)
    group, device, message, t = middle(
        [(g, d, r["message_id"], a["t"]) for g in groups(rows).values() for a in rows["acked"] for d in rows["run"]
         if d["ev"] == "device" and mere(g, d["user"], a["t"]) for r in rows["stored"]
         if r["conversation"] == g.number and r["sender"] != d["user"] and r["message_id"] == a["message_id"]])
    asked = {"user": device["user"], "device": device["device"], "id": "a-deletion", "attempt": 1, "message_id": message,
             "conn": 1, "conversation": group.number, "t": t}
    rows["asked"].append({**asked, "what": "delete", "md5": records.EMPTY, "emoji": None})
    rows["made"].append({**asked, "n": 10**9, "upto": None})
    return f"a-deletion of {message} was made by user {device['user']}"


@causes("barred")
def a_member_may_not_write(rows):
    group = middle([g for g in groups(rows).values() if g.state])
    device = next(d for d in rows["run"] if d["ev"] == "device" and d["user"] in group.state)
    known = {"user": device["user"], "device": device["device"], "conn": 1, "id": "refused-1", "t": presence.end_of(rows)}
    rows["sent"].append({**known, "to": None, "group": group.number, "md5": "3" * 32})
    rows["refused"].append({**known, "n": 10**9, "code": "unknown_conversation"})
    return "refused-1 was refused"


@causes("barred")
def an_own_message_may_not_be_changed(rows):
    q = middle([q for q, _ in answered(rows) if q["what"] == "edit"])
    rows["asked"].append({**q, "id": "refused-2", "conn": 1})
    rows["refused"].append({"user": q["user"], "device": q["device"], "conn": 1, "n": 10**9, "id": "refused-2",
                            "code": "not_sender", "t": q["t"]})
    return "refused-2 was refused"


@causes("barred")
def nothing_was_deleted_and_a_change_is_refused_for_that(rows):
    deleted = {r["message_id"] for r in rows["asked"] if r["what"] == "delete"}
    q = middle([q for q, _ in answered(rows) if q["message_id"] not in deleted])
    rows["asked"].append({**q, "id": "refused-3", "conn": 1})
    rows["refused"].append({"user": q["user"], "device": q["device"], "conn": 1, "n": 10**9, "id": "refused-3",
                            "code": "deleted", "t": q["t"]})
    return "refused-3 was refused"


@causes("barred")
def an_owner_may_not_add_a_member(rows):
    request, _ = middle(made(rows, "add"))
    known = {"user": request["user"], "device": request["device"], "id": "refused-4", "attempt": 1, "group": request["group"]}
    rows["moves"].append({**known, "what": "add", "member": request["member"], "value": "member", "t": request["t"]})
    rows["moved"].append({**known, "status": 409, "t": request["t"] + 0.1})
    return "refused-4 was answered with 409"


@causes("phantom")
def a_refusal_of_what_was_never_tried(rows):
    rows["refused"].append({**middle(rows["refused"]), "id": "never-tried"})
    return "never-tried"


@causes("barred")
def a_member_is_denied_the_history(rows):
    group = middle([g for g in groups(rows).values() if g.state])
    device = next(d for d in rows["run"] if d["ev"] == "device" and d["user"] in group.spells)
    rows["denied"].append({"user": device["user"], "device": device["device"], "group": group.number,
                           "asked": presence.end_of(rows), "t": presence.end_of(rows)})
    return f"{device['device']} was denied the history of group {group.number}"


@causes("differs")
def the_list_shows_another_role(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "conversation" and r["role"]])
    r["role"] = "somebody"
    return f"the conversation {r['conversation']}, as user {r['user']} "


@causes("differs")
def the_list_counts_a_member_too_many(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "conversation" and r["role"]])
    r["count"] += 1
    return f"the conversation {r['conversation']}, as user {r['user']} "


@causes("differs")
def who_has_left_is_shown_as_a_member(rows):
    group, user, _, _ = middle([x for x in leavers(rows) if x[0].state])
    r = next(r for r in rows["views"] if r["ev"] == "member" and r["conversation"] == group.number)
    rows["views"].append({**r, "member": user})
    return f"the member {user}, as user {r['user']} "


@causes("differs")
def who_has_left_is_let_in(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "outside"])
    r["show"] = 200
    return f"the outside {r['conversation']}, as user {r['user']} "


@causes("differs")
def a_history_shows_what_came_after_one_left(rows):
    for group, user, _, until in leavers(rows):
        m = late(rows, group, until)
        if m:
            rows["views"].append({"ev": "message", "user": user, "conversation": group.number, "message_id": m["message_id"],
                                  "md5": m["md5"], "edited": m["edited"], "deleted": m["deleted"], "reactions": None, "t": 0})
            return f"the message {m['message_id']}, as user {user} "


@causes("differs")
def a_text_that_was_changed_after_one_left_is_shown(rows):
    stored = {r["message_id"]: r for r in rows["stored"]}
    until = {(r["conversation"], r["user"]): r["until"] for r in rows["members"]}
    r = middle([r for r in rows["views"] if r["ev"] == "message"
                and (until.get((r["conversation"], r["user"])) or 10**9) < (stored[r["message_id"]]["changed"] or 0)
                and stored[r["message_id"]]["edited"]])
    r.update(md5="4" * 32, deleted=False)
    return f"the message {r['message_id']}, as user {r['user']} "


# --- reactions ---

def reaction(rows):
    """One that was asked for once, and its message."""
    times = Counter((r["message_id"], r["user"], r["emoji"]) for r in rows["asked"])
    stored = {r["message_id"]: r for r in rows["stored"]}
    r = middle([r for r in rows["reacted"] if times[r["message_id"], r["user"], r["emoji"]] == 1])
    return r, stored[r["message_id"]]


@causes("undone")
def an_acknowledged_reaction_is_not_stored(rows):
    r, _ = reaction(rows)
    rows["reacted"].remove(r)
    return f"user {r['user']} has not reacted to {r['message_id']}"


@causes("undone")
def a_reaction_to_a_deleted_message_stays(rows):
    r, stored = reaction(rows)
    stored["deleted"] = True
    return f"user {r['user']} has reacted to {r['message_id']}"


@causes("changed")
def a_reaction_that_nobody_asked_for(rows):
    r, _ = reaction(rows)
    rows["reacted"].append({**r, "emoji": "another"})
    return "with another"


@causes("stale")
def the_last_reaction_never_comes(rows):
    last = {r["message_id"]: r["changed"] for r in rows["stored"] if r["changed"]}
    r = middle([r for r in rows["changed"] if r["reactions"] and last.get(r["message_id"]) == r["place"]
                and r["device"] in resumes(rows)])
    r["reactions"] = None
    return f"{r['device']} "


@causes("differs")
def a_history_says_that_a_reaction_is_anothers(rows):
    r = middle([r for r in rows["views"] if r["ev"] == "message" and r["reactions"]])
    r["reactions"] = [[emoji, count, not mine] for emoji, count, mine in r["reactions"]]
    return f"the message {r['message_id']}, as user {r['user']} "
