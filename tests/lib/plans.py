"""How PostgreSQL goes about the functions that chatd calls.

    plans.py            in a database that has SETUP, USERS, FILL and GROUPS: the plans of a new connection
    plans.py --kept     in one that has SETUP: those of a connection that saw the others happen

Fails where a step reads messages by another index than the one that is meant, more of them than are
asked for, sorts more than two pages, or reads more than A_FEW rows of another table. Says nothing if
all is well.
"""
import json
import re
import subprocess
import sys

SETUP = """
insert into chatd.users (username, email, password_hash)
select 'user' || n, n || '@example.com', '*' from generate_series(1, 100) n;
-- As they are without anybody's help for a while after much was stored.
alter table chatd.messages set (autovacuum_enabled = off);
insert into chatd.messages (sender_id, receiver_id, content)
select 3, 4, 'old ' || n from generate_series(1, 5) n;
insert into chatd.messages (sender_id, receiver_id, content) values (1, 99, 'one'), (99, 1, 'two'), (1, 99, 'three');
insert into chatd.presence (user_id, online, change) values (1, true, nextval('chatd.presence_seq'));
"""
# 10,000 users came, and all but 100 of them have gone; 1 knows all of them, and 7 some. Tokens of 5,000
# became void, and 5,000 users were removed. 2 blocks all it may, and 8 is blocked by 1,500.
USERS = """
insert into chatd.users (username, email, password_hash)
select 'user' || n, n || '@example.com', '$2b$' || 10 + n % 3 || '$' || repeat('x', 53) from generate_series(101, 15100) n;
insert into chatd.contacts (user_id, contact_id, conversation_id)
select 1, n, nextval('chatd.conversation_seq') from generate_series(100, 10100) n
union all
select 7, n, nextval('chatd.conversation_seq') from generate_series(9000, 10100) n;
insert into chatd.conversations (id) select conversation_id from chatd.contacts on conflict do nothing;
insert into chatd.members (conversation_id, user_id)
select conversation_id, user_id from chatd.contacts union select conversation_id, contact_id from chatd.contacts
    on conflict do nothing;
insert into chatd.hosts (id, name) values (1000, 'elsewhere');
insert into chatd.sessions (host_id, session_id, user_id) select 1000, n, n from generate_series(101, 10100) n;
delete from chatd.sessions where host_id = 1000 and user_id % 100 > 0;
update chatd.users set disabled = true where id between 5101 and 10100;
delete from chatd.users where id between 10101 and 15100;
insert into chatd.blocks (user_id, blocked_id) select 2, n from generate_series(101, 1100) n;
insert into chatd.sessions (host_id, session_id, user_id) select 1000, 20000, 8;
insert into chatd.blocks (user_id, blocked_id) select n, 8 from generate_series(8001, 9500) n;
"""
# Every other message is between 1 and 2; 5 begins with 20,000 notes to itself. In the end 200 are changed,
# every other one between 1 and 2.
FILL = """
insert into chatd.messages (sender_id, receiver_id, content)
select case n % 4 when 0 then 1 when 2 then 2 else case when n < 40000 then 5 else 10 + n % 89 end end,
       case n % 4 when 0 then 2 when 2 then 1 else case when n < 40000 then 5 else 10 + n % 83 end end,
       'message ' || n
  from generate_series(1, 150000) n;
insert into chatd.messages (sender_id, receiver_id, content) values (5, 6, 'late'), (6, 5, 'later');
update chatd.messages set content = 'changed ' || id where id between 100001 and 100200;
"""
LAST, CHANGES, PAGE, A_FEW = 150010, 200, 50, 1200
# 500 came into a group of 9001 and left it again; 9 has one of 5,000, with 1,002 messages; 99 has 400, each with 100, and
# 200 of them with a message.
LARGE, FIRST_SMALL, LEFT = 1000001, 1001001, 1000002
LOOKED_UP = 12                      # pages, for whom a message of a group concerns
FIRST_GROUPED = LAST + CHANGES      # the change before all these
LARGE_MADE = FIRST_GROUPED + 1 + 500 + 500 + 1
SMALL_MESSAGES = LARGE_MADE + 1002 + 400
GROUPS = f"""
insert into chatd.conversations (id, kind, name) values ({LEFT}, 'group', 'left');
insert into chatd.members (conversation_id, user_id, role, joined)
select c.id, n, case n when 9001 then 'owner' else 'member' end, c.changed
  from chatd.conversations c, unnest('{{9001,9002}}'::bigint[]) n where c.id = {LEFT};
insert into chatd.members (conversation_id, user_id, role) select {LEFT}, n, 'member' from generate_series(101, 600) n;
update chatd.members set until = 0 where conversation_id = {LEFT} and user_id between 101 and 600;
insert into chatd.conversations (id, kind, name) values ({LARGE}, 'group', 'large');
insert into chatd.members (conversation_id, user_id, role, joined)
select c.id, n, case n when 9 then 'owner' else 'member' end, c.changed
  from chatd.conversations c, (select 9 union select generate_series(101, 5100)) m (n) where c.id = {LARGE};
insert into chatd.messages (conversation_id, sender_id, content)
select {LARGE}, case n % 2 when 0 then 9 else 101 + n end, 'large ' || n from generate_series(1, 1002) n;
insert into chatd.conversations (id, kind, name)
select {FIRST_SMALL} + n, 'group', 'small' from generate_series(0, 399) n;
insert into chatd.members (conversation_id, user_id, role, joined)
select c.id, n, case n when 99 then 'owner' else 'member' end, c.changed
  from chatd.conversations c, unnest('{{99,100}}'::bigint[]) n where c.id >= {FIRST_SMALL};
insert into chatd.messages (conversation_id, sender_id, content)
select {FIRST_SMALL} + n, 100, 'small ' || n from generate_series(0, 199) n;
insert into chatd.presence (user_id, online, change) values (99, true, nextval('chatd.presence_seq'));
"""
END = SMALL_MESSAGES + 200
OF_1_AND_2 = "(select conversation_id from chatd.contacts where user_id = 1 and contact_id = 2)"
HERE = "(select min(id) from chatd.hosts)"


def asked(most, changed=1):
    """Conversation by conversation: first the numbers, then each message of the page. Of what was changed, at least what
    the last change is."""
    return {"messages_conversation": most, "messages_pkey": PAGE, "messages_changed": 1, "messages_conversation_changed": changed}


def looked_at(most, changed=0):
    """Change by change."""
    return {"messages_conversation": 0, "messages_pkey": max(most, PAGE), "messages_changed": max(1, changed), "messages_conversation_changed": 0}


# What is asked, and how many rows are read at most by which indexes of messages.
CASES = {
    "last page": ("message_history(1, 2, null, null, 50)", {"messages_conversation": PAGE + 1}),
    "page in the middle": ("message_history(2, 1, 75000, null, 50)", {"messages_conversation": PAGE + 1}),
    "page after": ("message_history(1, 2, null, 75000, 50)", {"messages_conversation": PAGE + 1}),
    "page between": ("message_history(1, 2, 75020, 75000, 50)", {"messages_conversation": PAGE + 1}),
    "a few old messages": ("message_history(4, 3, null, null, 50)", {"messages_conversation": 5}),
    "few messages of one who has many": ("message_history(1, 99, null, null, 50)", {"messages_conversation": 3}),
    "few after, of one who has many": ("message_history(1, 99, null, 6, 50)", {"messages_conversation": 2}),
    "no messages": ("message_history(3, 2, null, null, 50)", {"messages_conversation": 0}),
    "recent cursor": (f"event_read_user(2, {LAST} - 102, {LAST}, 50)", asked(PAGE)),
    "old cursor": (f"event_read_user(2, 0, {LAST}, 50)", asked(PAGE)),
    "old cursor, sent a few": (f"event_read_user(3, 0, {LAST}, 50)", asked(5)),
    "old cursor, received a few": (f"event_read_user(4, 0, {LAST}, 50)", asked(5)),
    "recent cursor, few since": (f"event_read_user(5, 50000, {LAST}, 50)", asked(2)),
    "old cursor, notes to oneself": (f"event_read_user(5, 0, {LAST}, 50)", asked(PAGE + 2)),
    "recent cursor, knows many": (f"event_read_user(1, {LAST} - 102, {LAST}, 50)", looked_at(100)),
    "old cursor, knows many": (f"event_read_user(1, 0, {LAST}, 50)", looked_at(2 * PAGE + 2)),
    "old cursor, knows many, missed nothing": (f"event_read_user(7, 0, {LAST}, 50)", looked_at(20000)),
    "recent cursor, much was changed since": (f"event_read_user(2, {LAST}, {LAST + CHANGES}, 50)", asked(0, PAGE)),
    "old cursor, little was changed": (f"event_read_user(4, 0, {LAST + CHANGES}, 50)", asked(5, 0)),
    "recent cursor, knows many, much was changed since": (f"event_read_user(1, {LAST}, {LAST + CHANGES}, 50)", looked_at(1, 2 * PAGE + 2)),
    "all of the host": (f"event_read({HERE}, {LAST} - 30, 50)", {"messages_pkey": 30 + PAGE, "messages_changed": CHANGES + 10}),
    "all of the host, changed": (f"event_read({HERE}, {LAST}, 50)", {"messages_pkey": PAGE, "messages_changed": CHANGES + 10}),
    "changes": (f"message_change({HERE}, array_fill(2::bigint, array[10]), array_fill((select conversation_id from chatd.contacts"
                " where user_id = 1 and contact_id = 2), array[10]), array(select 119998 + n * 4 from generate_series(1, 10) n),"
                " array_fill('again'::text, array[10]), 1000000000, 1000000000, true)", {"messages_conversation": 10, "messages_pkey": 10}),
    "a message": ("message_show(1, (select conversation_id from chatd.contacts where user_id = 1 and contact_id = 2), 75002)",
                  {"messages_conversation": 1}),
    "whether a cursor counts": ("cursor_honoured(75000, 0)", {"messages_pkey": 1, "messages_changed": 1}),
    "a session begins": (f"session_open({HERE}, '{{1}}', '{{1}}', '{{75000}}', '{{0}}')", {"messages_pkey": 1, "messages_changed": 1}),
    "a session ends": (f"session_close({HERE}, '{{2}}')", {}),
    "who is online": ("user_list(1, 'all', 0, 50, '')", {}),
    "which contacts are online": ("user_list(1, 'contacts', 50, 50, '')", {}),
    "whose name begins so": ("user_list(1, 'all', 17, 50, 'USER')", {}),
    "who came and went": (f"presence_read({HERE}, 0, 50, 'contacts')", {}),
    "who came and went, for all": (f"presence_read({HERE}, 5000, 50, 'all')", {}),
    "who came and has not gone": (f"presence_online({HERE}, 0, 10000000, 50)", {}),
    "who has not gone, of a few": (f"presence_online({HERE}, 5000, 19000, 50)", {}),
    "who came and went meanwhile": ("presence_read_user(1, 0, 50, 'contacts')", {}),
    "who seems to be online": ("presence_check('{1,5000}')", {}),
    "a host attaches": ("host_attach('another', 75000, 0)", {"messages_pkey": 1, "messages_changed": 1}),
    "a host beats": (f"host_beat({HERE})", {}),
    "a host is dead": (f"host_sweep((select array[max(id)] from chatd.hosts where id < 1000), '{{0}}', 50)", {}),
    "who is writing to whom": (f"typing_tell({HERE}, array_fill(1::bigint, array[40]), array(select n * 100 from generate_series(1, 40) n))", {}),
    "who is writing to strangers": (f"typing_tell({HERE}, array(select n from generate_series(101, 140) n), array_fill(1::bigint, array[40]))", {}),
    "conversations of one who has a few": ("conversation_list(2, 'all', 9223372036854775807, 50)",
                                           {"messages_conversation": 101, "messages_pkey": 2, "messages_conversation_changed": 1000}),
    "a conversation": (f"conversation_show(2, {OF_1_AND_2}, 'all')",
                       {"messages_conversation": 101, "messages_pkey": 1, "messages_conversation_changed": 1000}),
    "who is in a conversation": (f"member_list(2, {OF_1_AND_2}, 'contacts', 0, 1000)", {}),
    "the last page of a conversation": (f"conversation_history(1, {OF_1_AND_2}, null, null, 50)", {"messages_conversation": PAGE + 1}),
    "who has read what": (f"receipt_put({HERE}, array_fill(1::bigint, array[40]), array(select conversation_id from chatd.contacts"
                          f" where user_id = 1 order by contact_id limit 40), array_fill({LAST}, array[40]), array_fill(true, array[40]))",
                          {"messages_conversation": 40}),
    "the groups of one who is in many": (f"group_list('{{99}}', {END})", {}),
    "the groups of fifty": (f"group_list(array(select n from generate_series(101, 150) n), {END})", {}),
    "resume, in a large group": (f"event_read_user(9, {LARGE_MADE + 100}, {END}, 50)", asked(PAGE, 0)),
    "resume, in a large group, of one who sent nothing": (f"event_read_user(4000, {LARGE_MADE + 100}, {END}, 50)", asked(PAGE, 0)),
    "resume, in many groups": (f"event_read_user(99, {FIRST_GROUPED}, {END}, 50)", asked(200, 0)),
    "resume, in a group that others have left": (f"event_read_user(9001, {FIRST_GROUPED}, {END}, 50)", asked(0, 0)),
    "messages of a large group, for a host": (f"event_read({HERE}, {LARGE_MADE + 10}, 50)", {"messages_pkey": PAGE, "messages_changed": 10}),
    "messages of small groups, for a host": (f"event_read({HERE}, {SMALL_MESSAGES}, 50)", {"messages_pkey": 200, "messages_changed": 10}),
    "who comes into groups and leaves, for a host": (f"event_read({HERE}, {FIRST_GROUPED + 400}, 50)", {"messages_pkey": PAGE, "messages_changed": 10}),
    "conversations of one who is in many groups": ("conversation_list(99, 'all', 9223372036854775807, 50)",
                                                   {"messages_conversation": 400 + 200, "messages_pkey": PAGE + 1,
                                                    "messages_conversation_changed": 0}),
    "conversations of one in a large group": ("conversation_list(4000, 'all', 9223372036854775807, 50)",
                                              {"messages_conversation": 101, "messages_pkey": 2, "messages_conversation_changed": 1}),
    "a large group": (f"conversation_show(9, {LARGE}, 'all')",
                      {"messages_conversation": 101, "messages_pkey": 1, "messages_conversation_changed": 0}),
    "a page of the members of a large group": (f"member_list(9, {LARGE}, 'contacts', 3000, 50)", {}),
    "the last page of a large group": (f"conversation_history(9, {LARGE}, null, null, 50)", {"messages_conversation": PAGE + 1}),
    "the last page, of one who has left": (f"conversation_history(101, {LEFT}, null, null, 50)", {"messages_conversation": 0}),
    "who has read what in a large group": (f"receipt_put({HERE}, array(select n from generate_series(101, 140) n), array_fill({LARGE}::bigint, array[40]),"
                                           f" array_fill({END}, array[40]), array_fill(true, array[40]))", {"messages_conversation": 40}),
    "who has read what in small groups": (f"receipt_put({HERE}, array_fill(99::bigint, array[40]), array(select {FIRST_SMALL} + n from generate_series(0, 39) n),"
                                          f" array_fill({END}, array[40]), array_fill(true, array[40]))", {"messages_conversation": 40}),
    "who is writing in a large group": (f"typing_tell({HERE}, array(select n from generate_series(101, 140) n), array_fill(0::bigint, array[40]),"
                                        f" array_fill({LARGE}::bigint, array[40]))", {}),
    "who is writing in small groups": (f"typing_tell({HERE}, array_fill(99::bigint, array[40]), array_fill(0::bigint, array[40]),"
                                       f" array(select {FIRST_SMALL} + n from generate_series(0, 39) n))", {}),
    "which of those in the same groups are online": ("user_list(100, 'contacts', 60, 50, '')", {}),
    "who came and went, and is in many groups": (f"presence_read({HERE}, (select change - 1 from chatd.presence where user_id = 99), 50, 'contacts')", {}),
    "who came and went, for one who is in many groups": ("presence_read_user(100, (select change - 1 from chatd.presence where user_id = 99), 50, 'contacts')", {}),
    "whom one blocks": ("user_blocks(2, 5000, 50)", {}),
    "a block": ("user_block(3, (select 90 + count(*) from chatd.blocks where user_id = 3), true)", {}),
    "one more than there may be": ("user_block(2, 1, true)", {}),
    "a block is lifted": ("user_block(3, 90, false)", {}),
    "who came and went, whom many block": (f"presence_read({HERE}, (select change - 1 from chatd.presence where user_id = 8), 50, 'all')", {}),
    "who is online, where many block": ("user_list(8, 'all', 0, 50, '')", {}),
    "whose tokens are void": ("revocation_read(0, 50)", {}),
    "whose tokens became void": ("revocation_read(2500, 50)", {}),
    "a login": ("user_credentials('user5000', 11)", {}),
    "a login by id": ("user_credentials(5000)", {}),
    "a token": ("user_standing(5000)", {}),
    "a name that is taken": ("user_register('user50', 'a@example.com', '*')", {}),
    "an email that is taken": ("user_register('nobody', '50@example.com', '*')", {}),
    "a new password, too late": ("user_password(5000, 0, '*')", {}),
    "a hash that has changed": ("user_rehash(5000, 'another', '*')", {}),
    "an account as its user sees it": ("user_me(5000)", {}),
    "another display name": ("user_change(5000, 'n', null, null)", {}),
    "an email of another": ("user_change(5000, null, '50@example.com', (select token_generation from chatd.users where id = 5000))", {}),
    "a logout": ("user_logout(5000)", {}),
}
EXPLAIN = """
load 'auto_explain';
set auto_explain.log_nested_statements = on; set auto_explain.log_analyze = on;
set auto_explain.log_buffers = on; set auto_explain.log_timing = off; set auto_explain.log_format = json;
set auto_explain.log_min_duration = -1; set client_min_messages = log; set jit = off;
select from chatd_api.host_attach('plans', 0, 0);
"""


def script(kept):
    """First and tenth call of each; those before FILL are not looked at."""
    call = {case: f"select * from chatd_api.{text};\n" for case, (text, _) in CASES.items()}
    looked_at = {case: f"\\warn == {case}\nset auto_explain.log_min_duration = 0;\n{text}"
                       "set auto_explain.log_min_duration = -1;\n" for case, text in call.items()}
    begin = "".join(text * 10 for text in call.values()) + USERS + FILL + GROUPS if kept else ""
    return EXPLAIN + begin + "".join(looked_at[case] + text * 8 + looked_at[case]
                                     for case, text in call.items())


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def pages(node):
    """Those that a step touched, without the steps below it."""
    def touched(step):
        return step["Shared Hit Blocks"] + step["Shared Read Blocks"]
    return touched(node) - sum(map(touched, node.get("Plans", [])))


def findings(case, plans):
    """What is wrong with the plans of one call."""
    rows = {}
    for node in (n for plan in plans for n in nodes(plan)):
        kind, read = node["Node Type"], node["Actual Rows"] * node["Actual Loops"]
        if "Sort" in kind and read > 2 * PAGE:
            yield f"{kind} of {read} rows"
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        if node.get("Relation Name") != "messages":
            read += removed * node["Actual Loops"]
            # An index is some pages deep. What a function touches stands in the plans of its statements.
            touched = pages(node) - 5 * node["Actual Loops"] if "Relation Name" in node else 0
            if "Scan" in kind and max(read, touched) > A_FEW:
                yield f"{kind} of {read} rows, {pages(node)} pages of {node.get('Relation Name')}"
            continue
        if kind == "ModifyTable":
            continue
        if kind not in ("Index Scan", "Index Only Scan"):
            yield f"{kind} on messages"
            continue
        index = node["Index Name"]
        read += removed
        rows[index] = max(rows.get(index, 0), read)
        # What an index skips by itself shows in nothing else. Whom a message of a group concerns is looked up for
        # each, in the condition of this step, and counts here, too.
        looks_up = re.search("group_is_here|message_seen", node.get("Filter", ""))
        if pages(node) > (LOOKED_UP if looks_up else 1) * read + 10 + 5 * (node["Actual Loops"] - 1):
            yield f"{index}: {pages(node)} pages for {read} rows"
    most = CASES[case][1]
    if rows.keys() != most.keys() or any(rows[index] > most[index] for index in rows):
        yield f"reads {rows} rather than {most}"


def main():
    kept = sys.argv[1:] == ["--kept"]
    shown = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], input=script(kept), text=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if shown.returncode:
        sys.exit(shown.stderr)
    calls = re.split(r"^== (.*)\n", shown.stderr, flags=re.M)[1:]
    assert len(calls) == 4 * len(CASES), len(calls)
    wrong = []
    for n, (case, text) in enumerate(zip(calls[::2], calls[1::2])):
        plans = [json.JSONDecoder().raw_decode(part)[0]["Plan"] for part in text.split("plan:\n")[1:]]
        assert plans, f"{case}: no plans"
        wrong += [f"{case}, call {'10' if n % 2 else '1'}: {what}" for what in findings(case, plans)]
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
