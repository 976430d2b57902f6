"""The modes of the bench for conversations: groups, and the list of one user's with what is unread."""
from scene import Failed, read_users


def groups(bench):
    """G groups, in each of which one member sends and R others, all online, receive."""
    z = bench.sizes
    most = max(g * (r + 1) for g, r, _ in z["groups"])
    with bench.started(sessions=most) as systems:
        for g, r, w in z["groups"]:
            for run, name, s in bench.alternating(systems):
                users = s.register(g * (r + 1))  # others than before: one account may not make many groups
                bench.record("groups", {"groups": g, "receivers": r, "W": w}, name, run,
                             s.groups("groups", g, r, w, z["warm"], z["seconds"], users=users))


# --- lists ---

# One user has a conversation with each of the others, and each of these one with the next.
PEOPLE = """
insert into {schema}users (username, email, password_hash)
select 'other' || n, 'other' || n || '@example.com', '' from generate_series(1, {count}) n;
create table pairs (n, mine, sender_id, receiver_id, conversation_id) as
select n, mine, o.id, case when mine then {me} else next.id end, null::bigint
  from generate_series(0, {count} - 1) n
  join {schema}users o on o.username = 'other' || n + 1
  join {schema}users next on next.username = 'other' || (n + 1) % {count} + 1
 cross join unnest(array[true, false]) mine;
"""
# What makes the conversations. chatd makes them for the first message.
BEGUN = {
    "chatd": """
insert into chatd.messages (sender_id, receiver_id, content) select sender_id, receiver_id, 'first' from pairs;
update pairs p set conversation_id = c.conversation_id from chatd.contacts c
 where c.user_id = p.sender_id and c.contact_id = p.receiver_id;
""",
    None: """
update pairs set conversation_id = direct(sender_id, receiver_id);
insert into messages (conversation_id, sender_id, client_id, content)
select conversation_id, sender_id, gen_random_uuid(), 'first' from pairs;
"""}
# Every tenth message is one to that user.
FILL = """
set session_replication_role = replica;
insert into {schema}messages (conversation_id, sender_id, {receiver} client_id, content)
select conversation_id, sender_id, {receiver} k, 'message ' || k || ' of the list'
  from generate_series({first}, {last}) k
  join pairs on n = (k / 10 + k % 10 * 97) % {count} and mine = (k % 10 = 0)
"""
CHUNK = 100_000


def fill(server, me, count, size):
    about = {"schema": server.schema, "receiver": "receiver_id," if server.name == "chatd" else "",
             "me": me, "count": count}
    server.sql(PEOPLE.format(**about))
    server.sql(BEGUN.get(server.name, BEGUN[None]))
    for first in range(2 * count, size, CHUNK):
        server.sql(FILL.format(**about, first=first, last=min(first + CHUNK, size) - 1))
    server.sql("vacuum analyze")
    if server.rows() != size:
        raise Failed(f"{server.rows()} messages stored in place of {size}")


def check_list(server, token, least, most):
    """A page is full, the latest first, and counts what is unread, up to 100."""
    status, answer = server.request("GET", "/conversations", token)
    page = answer["conversations"]
    lasts = [c["last_message"]["id"] for c in page]
    if status != 200 or len(page) != 50 or lasts != sorted(lasts, reverse=True) or not answer["next"]:
        raise Failed(f"{server.name}: not a page of conversations: {status}, {len(page)}, {answer['next']}")
    counts = [min(100, c["unread"]) for c in page]
    if min(counts) < least or max(counts) > most:
        raise Failed(f"{server.name}: unread: {counts} in place of {least} to {most}")


def lists(bench):
    """GET /conversations of a user who has many, with nothing unread and with all of it."""
    z = bench.sizes
    for size in z["lists"]:
        with bench.started() as systems:
            users = {name: s.register(1) for name, s in systems.items()}
            for name, s in systems.items():
                fill(s, read_users(users[name])[0][0], z["listed"], size)
            for unread in "nothing", "all":
                for run, name, s in bench.alternating(systems):
                    me, _, _, token = read_users(users[name])[0]
                    last = f"(select max(id) from {s.schema}messages m where m.conversation_id = s.conversation_id)"
                    arrived = f", delivered_upto = {last}" if name == "chatd" else ""
                    s.sql(f"update {s.schema}members s set read_upto = {last if unread == 'nothing' else 0}{arrived}"
                          f" where user_id = {me}")
                    each = size // 10 // z["listed"]  # and one more, or less, by where that began
                    check_list(s, token, *((0, 0) if unread == "nothing" else (min(100, each), each + 2)))
                    one = s.load("http", 1, z["seconds"], "keepalive", "/conversations", users=users[name])
                    many = s.load("http", z["connections"], z["seconds"], "keepalive", "/conversations",
                                  users=users[name])
                    bench.record("lists", {"messages": size, "conversations": z["listed"], "unread": unread,
                                           "connections": z["connections"]}, name, run,
                                 many | {"one_p50_ms": one["answer_p50_ms"], "one_p99_ms": one["answer_p99_ms"]})
