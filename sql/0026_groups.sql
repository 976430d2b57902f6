-- Groups: conversations with a name, whose members come and go, and have roles.
--
-- A message of a group names no receiver. Whom does it concern? Two answers were measured, with a group
-- of 10,000 members, 1,000 of whom are connected, half of them here: the statement names the users who
-- have sessions here, or the broker knows them. To name them costs 3.2 ms of the server's processor for each
-- group, host and statement by way of the sessions (12.5 by the members); what is done instead 0.01 ms. Twenty
-- batches a second into ten groups take 640 ms of each second, or 2.
-- So the broker knows the groups of the users that are connected to it (group_list) and keeps up by
-- group_changes, which every host reads; a message brings its conversation and no list of users. Hosts are
-- rung, and read, by a rule that may say yes too often (group_is_here): of a small group each member is
-- looked at, in a large one somebody is everywhere.
--
-- What sends and reads messages and lists conversations obeys from 0027 on, which makes these functions anew.
--
-- No row is written anew, and messages are not read: only the tables of members and conversations are, for their
-- indexes and constraints. chatd is stopped meanwhile.

alter table chatd.conversations
    drop constraint conversations_kind_check,
    add column name text,
    -- The change by which it was made or got its name; null: a direct one.
    add column changed bigint,
    add column member_count int not null default 0, -- of a group
    -- Whoever joins sees what was there before.
    add column full_history boolean not null default false,
    add constraint conversations_kind_check check (kind = 'direct' and name is null
        or kind = 'group' and char_length(name) between 1 and 64
           and name collate "C" !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]|^ | $'),
    alter column id set default nextval('chatd.conversation_seq');

-- One row for each user, of the present or last membership: whoever comes back begins anew.
alter table chatd.members
    add column role text check (role in ('owner', 'admin', 'member')), -- null: of a direct conversation
    add column joined bigint not null default 0,                     -- the change by which they came
    add column joined_at timestamptz,
    add column since bigint not null default 0,                      -- they see what came after this change
    add column until bigint,                                         -- and up to this one, by which they left
    -- The change by which the row got its present state; null: they came with the conversation itself.
    add column changed bigint;

create index members_groups on chatd.members (user_id, conversation_id) where role is not null and until is null;
create index members_changed on chatd.members (conversation_id, changed) where changed is not null;
create unique index members_owner on chatd.members (conversation_id) where role = 'owner' and until is null;

-- Each change of a group or its members, in order, for the brokers; clients that resume get the latest
-- state of each row instead.
create table chatd.group_changes (
    change bigint primary key,
    changed_at timestamptz not null default clock_timestamp(),
    conversation_id bigint not null,
    user_id bigint, -- null: the conversation itself was made or renamed, or an account of it is gone
    role text,      -- null, with a user: gone
    made boolean not null -- the group, with its first members
);

alter table chatd.messages alter column receiver_id drop not null; -- null: of a group

-- A transaction that has written nothing to the log does not wait for a synchronous standby when it ends. Every
-- answer about something that an earlier transaction stored calls this, since that transaction may have been cut
-- off while it waited. The answer then waits behind it.
create function chatd.must_wait() returns void
language sql
as $$ select pg_logical_emit_message(true, 'chatd', '') $$;

-- Who may see and do what ---------------------------------------------------------------------------

-- Is this user in the conversation now?
create or replace function chatd.conversation_seen(conversation bigint, who bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.members m
                    where m.conversation_id = conversation and m.user_id = who and m.until is null);
end $$;

-- The role of a user who is in the group now; null: in none, or a direct one.
create function chatd.group_role(conversation bigint, who bigint) returns text
language plpgsql stable
as $$
begin
    return (select m.role from chatd.members m
             where m.conversation_id = conversation and m.user_id = who and m.until is null);
end $$;

-- May this user see what has this number in this conversation? Of a message it is the id.
create function chatd.change_seen(conversation bigint, who bigint, change bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.members m
                    where m.conversation_id = conversation and m.user_id = who
                      and change > m.since and change <= coalesce(m.until, 9223372036854775807));
end $$;

-- The same of a message that was read already.
create function chatd.message_seen(m chatd.messages, who bigint) returns boolean
language plpgsql stable
as $$
begin
    return case when m.receiver_id is null then chatd.change_seen(m.conversation_id, who, m.id)
                else who in (m.sender_id, m.receiver_id) end;
end $$;

-- Groups with more members than this have a crowd: nobody is told there who is typing, and who has read what
-- is told to the reader's own devices.
create function chatd.crowd() returns int
language sql immutable
as $$ select 50 $$;

-- May a message of this group, or what it became, concern anybody at this host? Who left only after that
-- message is to get it. Of more than ten members somebody may be everywhere: each host looks by itself, so
-- that no statement looks at many members for each message.
create function chatd.group_is_here(conversation bigint, host bigint, message bigint) returns boolean
language plpgsql stable
as $$
begin
    return (select c.member_count > 10 from chatd.conversations c where c.id = conversation)
        or exists (select from chatd.members m
                    where m.conversation_id = conversation and (m.until is null or m.until > message)
                      and (select true from chatd.sessions s
                            where s.user_id = m.user_id and s.host_id = host limit 1));
end $$;

-- The groups whose members see of this user who is online: the latest hundred without a crowd. So what that costs
-- is bounded, whatever groups a user is in.
create function chatd.groups_shown(who bigint) returns setof bigint
language plpgsql stable
as $$
begin
    return query
        select m.conversation_id
          from chatd.members m
         where m.user_id = who and m.role is not null and m.until is null
           and (select c.member_count <= chatd.crowd() from chatd.conversations c where c.id = m.conversation_id)
         order by m.conversation_id desc
         limit 100;
end $$;

-- Does the other see whether this user is online, where that is for those who share a conversation?
create function chatd.is_acquainted(who bigint, other_id bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.contacts c where c.user_id = who and c.contact_id = other_id)
        or exists (select from chatd.groups_shown(who) g (id)
                    where (select true from chatd.members b
                            where b.conversation_id = g.id and b.user_id = other_id and b.until is null));
end $$;

-- Changes of groups -------------------------------------------------------------------------------

create function chatd.group_changed(conversation bigint, who bigint, role text, change bigint,
    made boolean default false) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    insert into group_changes (change, conversation_id, user_id, role, made)
    values (group_changed.change, conversation, who, group_changed.role, group_changed.made);
    perform pg_notify('chatd_' || h.id, 'e ' || group_changed.change) from hosts h;
end $$;

create function chatd.conversation_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    new.changed := nextval('change_seq');
    return new;
end $$;

create function chatd.conversation_changed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform group_changed(new.id, null, null, new.changed, tg_op = 'INSERT');
    return null;
end $$;

create trigger conversations_lock before insert or update of name on chatd.conversations
    for each statement execute function chatd.change_lock();
create trigger group_making before insert on chatd.conversations
    for each row when (new.kind = 'group') execute function chatd.conversation_changing();
create trigger conversation_changing before update of name on chatd.conversations
    for each row when (old.name is distinct from new.name) execute function chatd.conversation_changing();
create trigger group_made after insert on chatd.conversations
    for each row when (new.kind = 'group') execute function chatd.conversation_changed();
create trigger conversation_changed after update of name on chatd.conversations
    for each row when (old.changed is distinct from new.changed) execute function chatd.conversation_changed();

-- A member comes, or comes back: what was before is not theirs to see, and nothing of it is unread.
create function chatd.member_come(m chatd.members) returns chatd.members
language plpgsql set search_path = chatd, pg_temp
as $$
declare
    c conversations;
begin
    select * into c from conversations k where k.id = m.conversation_id and k.kind = 'group';
    if c.id is null then
        raise exception 'conversation % is no group: its members have no role', m.conversation_id
            using errcode = 'check_violation';
    end if;
    -- Those that group_make() puts there have come with the group.
    if m.joined <> c.changed or m.changed is not null then
        m.changed := nextval('change_seq');
        m.joined := m.changed;
    end if;
    m.joined_at := clock_timestamp();
    m.since := case when c.full_history then 0 else m.joined end;
    m.until := null;
    m.read_upto := m.joined;
    m.delivered_upto := m.joined;
    return m;
end $$;

create function chatd.member_coming() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    return member_come(new);
end $$;

create function chatd.members_came() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform group_changed(i.conversation_id, i.user_id, i.role, i.changed)
       from inserted i
      where i.changed is not null
      order by i.changed;
    update conversations c set member_count = c.member_count + i.count
      from (select conversation_id, count(*) from inserted where role is not null group by 1) i
     where c.id = i.conversation_id;
    return null;
end $$;

create function chatd.member_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if new.role is null then
        raise exception 'a member of a group has a role' using errcode = 'check_violation';
    elsif old.until is not null and new.until is null then
        new.changed := 0; -- one of its own is drawn
        return member_come(new);
    end if;
    if old.until is null and (new.until is not null or new.role <> old.role) then
        new.changed := nextval('change_seq');
    end if;
    if new.until is not null then
        new.role := 'member'; -- as which they come back
    end if;
    new.until := case when new.until is not null then coalesce(old.until, new.changed) end;
    return new;
end $$;

-- Who gets a group without an owner: who is admin, or else a member, for the longest time. But not this one, who leaves.
create function chatd.group_heir(conversation bigint, leaver bigint default 0) returns bigint
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return (select s.user_id from members s
             where s.conversation_id = conversation and s.until is null and s.user_id <> leaver
             order by s.role = 'admin' desc, s.joined, s.user_id limit 1);
end $$;

create function chatd.group_pass_on(conversation bigint) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    update members m set role = 'owner'
     where m.conversation_id = conversation and m.user_id = group_heir(conversation);
end $$;

-- Always in this order, as receipt_put() takes them, which does not have the change lock.
create function chatd.members_lock(conversation bigint, one_id bigint, other_id bigint) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    perform from members m
      where m.conversation_id = conversation and m.user_id in (one_id, other_id)
      order by m.user_id
        for no key update;
end $$;

create function chatd.member_changed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform group_changed(new.conversation_id, new.user_id, case when new.until is null then new.role end,
                          new.changed);
    if (old.until is null) <> (new.until is null) then
        update conversations c set member_count = c.member_count + case when new.until is null then 1 else -1 end
         where c.id = new.conversation_id;
    end if;
    if old.role = 'owner' and old.until is null and new.until is not null then
        perform group_pass_on(new.conversation_id);
    end if;
    return null;
end $$;

-- Whoever is removed by hand has left: the row says until when.
create function chatd.member_removing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if not exists (select from users u where u.id = old.user_id)
       or not exists (select from conversations c where c.id = old.conversation_id) then
        return old;
    end if;
    update members m set until = 0
     where m.conversation_id = old.conversation_id and m.user_id = old.user_id and m.until is null;
    return null;
end $$;

-- The account was removed, of which the others hear by a change of the group; or the group.
create function chatd.member_removed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    drawn constant bigint := nextval('change_seq');
begin
    update conversations c set member_count = c.member_count - 1, changed = drawn
     where c.id = old.conversation_id;
    perform group_changed(old.conversation_id, case when not found then old.user_id end, null, drawn);
    if old.role = 'owner' then
        perform group_pass_on(old.conversation_id);
    end if;
    return null;
end $$;

alter table chatd.members
    drop constraint members_conversation_id_fkey,
    add constraint members_conversation_id_fkey
        foreign key (conversation_id) references chatd.conversations on delete cascade;

create trigger members_lock before update of role, until or delete on chatd.members
    for each statement execute function chatd.change_lock();
create trigger members_come_lock before insert on chatd.members
    for each statement execute function chatd.change_lock();
create trigger member_coming before insert on chatd.members
    for each row when (new.role is not null) execute function chatd.member_coming();
create trigger members_came after insert on chatd.members referencing new table as inserted
    for each statement execute function chatd.members_came();
create trigger member_changing before update of role, until on chatd.members
    for each row when (old.role is not null) execute function chatd.member_changing();
create trigger member_changed after update of role, until on chatd.members
    for each row when (old.changed is distinct from new.changed) execute function chatd.member_changed();
create trigger member_removing before delete on chatd.members
    for each row when (old.role is not null and old.until is null) execute function chatd.member_removing();
create trigger member_removed after delete on chatd.members
    for each row when (old.role is not null and old.until is null) execute function chatd.member_removed();

-- Makes a group of this owner and these users, who come with it. For psql: select chatd.group_make('Team', 1, '{2,3}').
create function chatd.group_make(name text, owner_id bigint, user_ids bigint[] default '{}',
    full_history boolean default false) returns bigint
language plpgsql set search_path = chatd, pg_temp
as $$
declare
    made conversations;
begin
    insert into conversations as c (kind, name, full_history)
    values ('group', group_make.name, group_make.full_history)
    returning c.* into made;
    insert into members (conversation_id, user_id, role, joined)
    select made.id, i.id, case when i.id = owner_id then 'owner' else 'member' end, made.changed
      from (select distinct unnest(user_ids || owner_id)) i (id)
     order by i.id;
    return made.id;
end $$;

-- The rules of the roles: why may this one not do that? doing: name, add, role, remove, delete (another's
-- message); other: the role of the user whom it is done to; wanted: the role to be given. A null for a role:
-- that user is not in the group.
create function chatd.group_refusal(caller text, doing text, other text default null, wanted text default null)
returns text
language sql immutable
as $$
    select case when caller is null then 'unknown_conversation'
                when doing = 'role' and caller = 'owner' and other = 'owner' then 'owner'
                when caller = 'owner' then null
                when caller = 'admin' and (doing in ('name', 'delete') or doing = 'add' and wanted = 'member'
                                           or doing = 'remove' and other = 'member') then null
                else 'role' end
$$;

-- Why this user may not be added to a group by that one; null: there is no reason. most: the members that a
-- group may have.
create function chatd.member_refusal(caller_id bigint, conversation bigint, who bigint, most int) returns text
language plpgsql stable
as $$
declare
    most_groups constant int := 1000; -- of a user
begin
    return case when not exists (select from chatd.users u where u.id = who) then 'unknown_user'
                when chatd.is_blocked(caller_id, who) then 'refused'
                when (select c.member_count >= most from chatd.conversations c where c.id = conversation)
                    then 'too_many_members'
                when (select count(*) from (select from chatd.members m
                                             where m.user_id = who and m.role is not null and m.until is null
                                             limit most_groups) g) >= most_groups
                    then 'too_many_groups' end;
end $$;

-- What clients are told -------------------------------------------------------------------------

-- As before; a message of a group has no receiver.
create or replace function chatd.message_frame(tag text, id bigint, conversation_id bigint, sender_id bigint,
    sender text, receiver_id bigint, content text, created_at timestamptz, more text) returns text
language sql stable
as $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || (coalesce('","receiver_id":' || receiver_id, '"') || ',"created_at":')
        || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || (more || ',"cursor":"') || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

create function chatd.member_frame(tag text, change bigint, conversation_id bigint, user_id bigint, role text)
returns text
language sql stable
as $$
    select '{"type":"member","data":{"conversation_id":' || conversation_id || ',"user_id":' || user_id || ','
        || coalesce((select name_json(u.username, u.display_name) from users u where u.id = user_id),
                    '"username":null')
        || ',"role":' || coalesce('"' || role || '"', 'null')
        || ',"cursor":"' || tag || '-' || change || '-' || stamp_at(change) || '"}}'
$$;

-- What is the same for all members: a client asks for the rest. Null: the group was deleted.
create function chatd.conversation_frame(tag text, change bigint, conversation bigint) returns text
language sql stable
as $$
    select '{"type":"conversation","data":{"conversation_id":' || c.id || ',"kind":"' || c.kind || '","name":'
        || to_json(c.name)::text || ',"created_at":' || json_time(c.created_at)
        || ',"member_count":' || c.member_count
        || ',"cursor":"' || tag || '-' || change || '-' || stamp_at(change) || '"}}'
      from conversations c where c.id = conversation
$$;

create or replace function chatd_api.conversation_show(caller_id bigint, conversation_id bigint, mode text,
    careful boolean default false) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    last bigint := message_upto(conversation_id, 9223372036854775807);
begin
    return (select c.line
              from conversations_seen(caller_id, mode, array[conversation_id],
                                      array[case when change_seen(conversation_id, caller_id, last) then last end],
                                      array[last], careful) c);
end $$;

-- Members as this user sees them. A block hides what is of the user, such as who is online; in a group it
-- hides nothing that is of the group.
create function chatd.members_seen(caller_id bigint, mode text, conversation bigint, low bigint, high bigint,
    max_rows int) returns table (user_id bigint, line text)
language sql stable
as $$
    select m.user_id,
           '{"user_id":' || m.user_id || ',' || name_json(u.username, u.display_name)
           || ',"role":"' || coalesce(m.role, 'member')
           || '","since":' || json_time(coalesce(m.joined_at, c.created_at))
           || ',"online":'
           || case when (mode <> 'off' or m.user_id = caller_id)
                        and exists (select from sessions s where s.user_id = m.user_id)
                        and not b.blocked
                   then 'true' else 'false' end
           || ',"read_upto":' || case when b.blocked and m.role is null then 0 else m.read_upto end
           || ',"delivered_upto":' || case when b.blocked and m.role is null then 0 else m.delivered_upto end
           || '}'
      from (select * from members m
             where m.conversation_id = conversation and m.user_id between low and high and m.until is null
             order by m.user_id
             limit max_rows) m
     cross join lateral (select * from conversations c where c.id = m.conversation_id offset 0) c
     cross join lateral (select is_blocked(caller_id, m.user_id) as blocked) b
     cross join lateral (select * from users u where u.id = m.user_id offset 0) u
$$;

-- A page of the members behind after_id; null: the user is none. next: null, or the last id of the page.
drop function chatd_api.member_list(bigint, bigint, text);
create function chatd_api.member_list(caller_id bigint, conversation_id bigint, mode text, after_id bigint,
    max_rows int) returns table (members text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
begin
    if not conversation_seen(conversation_id, caller_id) then
        return query select null::text, null::bigint;
        return;
    end if;
    return query
        select '[' || coalesce(string_agg(p.line, ',' order by p.n) filter (where p.n <= max_rows), '') || ']',
               case when count(*) > max_rows then max(p.user_id) filter (where p.n = max_rows) end
          from (select m.user_id, m.line, row_number() over (order by m.user_id) as n
                  from members_seen(caller_id, mode, conversation_id, after_id + 1, 9223372036854775807,
                                    max_rows + 1) m) p;
end $$;

create function chatd.member_json(caller_id bigint, mode text, conversation bigint, who bigint) returns text
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return (select m.line from members_seen(caller_id, mode, conversation, who, who, 1) m);
end $$;

-- What users do --------------------------------------------------------------------------------

-- The direct conversation of these two, which is made if there is none: status "ok", or "made".
create function chatd_api.direct_make(caller_id bigint, other_id bigint, mode text)
returns table (status text, line text)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
declare
    conversation bigint := conversation_of(caller_id, other_id);
begin
    status := 'ok';
    if conversation is null then
        status := refusal(caller_id, other_id);
        if status is not null then
            return next;
            return;
        end if;
        lock table change_lock in share update exclusive mode;
        conversation := contact_make(caller_id, other_id);
        status := 'made';
    end if;
    perform must_wait();
    line := chatd_api.conversation_show(caller_id, conversation, mode);
    return next;
end $$;

-- Makes a group of the caller, who is its owner, and these users. most: the members that a group may have.
create function chatd_api.group_make(caller_id bigint, name text, user_ids bigint[], full_history boolean,
    most int, mode text) returns table (status text, line text)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
declare
    made bigint;
begin
    lock table change_lock in share update exclusive mode;
    status := (select member_refusal(caller_id, null, i.id, most)
                 from unnest(caller_id || user_ids) with ordinality i (id, n)
                where member_refusal(caller_id, null, i.id, most) is not null
                order by i.n limit 1);
    if status is null and (select count(distinct i.id) from unnest(caller_id || user_ids) i (id)) > most then
        status := 'too_many_members';
    end if;
    if status is null then
        made := group_make(name, caller_id, user_ids, full_history);
        status := 'made';
        line := chatd_api.conversation_show(caller_id, made, mode);
    end if;
    return next;
exception
    when check_violation then
        return query select 'invalid', null::text;
end $$;

-- Why the caller may not do that in this conversation, see group_refusal(); null: there is no reason.
create function chatd.caller_refusal(conversation bigint, caller_id bigint, doing text,
    other_id bigint default null, wanted text default null) returns text
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return case when group_role(conversation, caller_id) is null and conversation_seen(conversation, caller_id)
                then 'role'
                else group_refusal(group_role(conversation, caller_id), doing, group_role(conversation, other_id),
                                   wanted) end;
end $$;

-- Renames a group, or says whether those who join from now on see its history; null: as it is.
create function chatd_api.group_change(caller_id bigint, conversation_id bigint, name text, full_history boolean,
    mode text) returns table (status text, line text)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_variable
begin
    lock table change_lock in share update exclusive mode;
    status := coalesce(caller_refusal(conversation_id, caller_id, 'name'), 'ok');
    if status = 'ok' then
        update conversations c
           set name = coalesce(group_change.name, c.name),
               full_history = coalesce(group_change.full_history, c.full_history)
         where c.id = group_change.conversation_id;
        line := chatd_api.conversation_show(caller_id, conversation_id, mode);
    end if;
    return next;
exception
    when check_violation then
        return query select 'invalid', null::text;
end $$;

-- Adds a member: status "made"; "ok": that user is one, and keeps the role.
create function chatd_api.member_add(caller_id bigint, conversation_id bigint, other_id bigint, role text,
    most int, mode text) returns table (status text, line text)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_variable
begin
    lock table change_lock in share update exclusive mode;
    status := caller_refusal(conversation_id, caller_id, 'add', other_id, role);
    if status is null and conversation_seen(conversation_id, other_id) then
        status := 'ok';
    end if;
    status := coalesce(status, member_refusal(caller_id, conversation_id, other_id, most), 'made');
    if status = 'made' then
        insert into members as m (conversation_id, user_id, role)
        values (member_add.conversation_id, other_id, member_add.role)
            on conflict on constraint members_pkey do update set role = excluded.role, until = null;
    end if;
    perform must_wait();
    if status in ('ok', 'made') then
        line := member_json(caller_id, mode, conversation_id, other_id);
    end if;
    return next;
end $$;

-- Gives a member another role. Who is made the owner takes the place of the one before, who becomes an admin.
create function chatd_api.member_change(caller_id bigint, conversation_id bigint, other_id bigint, role text,
    mode text) returns table (status text, line text)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_variable
begin
    lock table change_lock in share update exclusive mode;
    status := caller_refusal(conversation_id, caller_id, 'role', other_id, role);
    if status is null and not conversation_seen(conversation_id, other_id) then
        status := 'unknown_member';
    elsif status = 'owner' and role = 'owner' then
        status := null; -- is so already
    elsif status is null then
        if role = 'owner' then
            perform members_lock(conversation_id, caller_id, other_id);
            update members m set role = 'admin'
             where m.conversation_id = member_change.conversation_id and m.user_id = caller_id;
        end if;
        update members m set role = member_change.role
         where m.conversation_id = member_change.conversation_id and m.user_id = other_id;
    end if;
    status := coalesce(status, 'ok');
    if status = 'ok' then
        line := member_json(caller_id, mode, conversation_id, other_id);
    end if;
    return next;
end $$;

-- Removes a member, or the caller, who leaves.
create function chatd_api.member_remove(caller_id bigint, conversation_id bigint, other_id bigint) returns text
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_variable
declare
    refused text;
begin
    lock table change_lock in share update exclusive mode;
    if caller_id = other_id and group_role(conversation_id, caller_id) is not null then
        refused := null;
    elsif group_role(conversation_id, caller_id) is not null
          and not conversation_seen(conversation_id, other_id) then
        refused := 'unknown_member';
    else
        refused := caller_refusal(conversation_id, caller_id, 'remove', other_id);
    end if;
    if refused is null then
        perform members_lock(conversation_id, other_id, group_heir(conversation_id, other_id));
        update members m set until = 0 -- the trigger knows the change
         where m.conversation_id = member_remove.conversation_id and m.user_id = other_id;
    end if;
    return coalesce(refused, 'ok');
end $$;

-- Messages -------------------------------------------------------------------------------------

-- Whoever has written in a group stays as long as that is there, as whoever has a conversation of two does.
create function chatd.user_removing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if exists (select from messages m where m.sender_id = old.id) then
        raise exception 'user % has sent messages: remove those first', old.id using errcode = 'foreign_key_violation';
    end if;
    return old;
end $$;

create trigger user_removing before delete on chatd.users
    for each row execute function chatd.user_removing();

-- As before; null stands for a group's, too.
create or replace function chatd.receivers_named(sender_ids bigint[], receiver_ids bigint[], conversation_ids bigint[])
returns bigint[]
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return array(select case when i.conversation_id = 0 then i.receiver_id
                             when group_role(i.conversation_id, i.sender_id) is null
                                  and conversation_seen(i.conversation_id, i.sender_id) then
                                 (select m.user_id from members m
                                   where m.conversation_id = i.conversation_id
                                     and conversation_of(i.sender_id, m.user_id) = i.conversation_id
                                   limit 1) end
                   from unnest(sender_ids, receiver_ids, conversation_ids) with ordinality
                        i (sender_id, receiver_id, conversation_id, n)
                  order by i.n);
end $$;

-- A message that names no conversation, as one that is typed into psql, gets that of its two users.
create or replace function chatd.message_addressed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if new.receiver_id is null then
        raise exception 'a message needs a receiver_id or a conversation_id' using errcode = 'not_null_violation';
    end if;
    new.conversation_id := coalesce(conversation_of(new.sender_id, new.receiver_id),
                                    contact_make(new.sender_id, new.receiver_id));
    return new;
end $$;

-- One that names a conversation alone: only members write to it.
create function chatd.message_to_conversation() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if group_role(new.conversation_id, new.sender_id) is null then
        new.receiver_id := (receivers_named(array[new.sender_id], array[null::bigint],
                                            array[new.conversation_id]))[1];
        if new.receiver_id is null then
            raise exception 'user % is not in conversation %', new.sender_id, new.conversation_id
                using errcode = 'check_violation';
        end if;
    end if;
    return new;
end $$;

create trigger message_to_conversation before insert on chatd.messages
    for each row when (new.receiver_id is null and new.conversation_id is not null)
    execute function chatd.message_to_conversation();

-- As before, for messages of groups, too.
create or replace function chatd.messages_inserted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    storing constant bigint := nullif(current_setting('chatd.host', true), '');
    others boolean;
    attached boolean;
begin
    -- A host with sessions that this statement sees has a row that it sees as well.
    select exists (select from hosts h where h.id is distinct from storing),
           storing is null or exists (select from hosts h where h.id = storing)
      into others, attached;
    if not attached then
        raise exception 'host % is not attached', storing using errcode = 'CH001';
    end if;
    if others then
        perform pg_notify('chatd_' || h.id, 'e ' || (select max(coalesce(changed, id)) from inserted))
           from hosts h
          where h.id is distinct from storing
            and exists (select from inserted m
                         where case when m.receiver_id is null
                                    then group_is_here(m.conversation_id, h.id, m.id)
                                    else (select true from sessions s
                                           where s.user_id = m.sender_id and s.host_id = h.id limit 1)
                                         or (select true from sessions s
                                              where s.user_id = m.receiver_id and s.host_id = h.id limit 1) end);
    end if;
    return null;
end $$;

-- As before; of a group, owner and admins delete others' messages.
create or replace function chatd.changes_judged(user_ids bigint[], conversation_ids bigint[], message_ids bigint[],
    contents text[], edit_time bigint, max_bytes bigint, max_messages bigint)
returns table (n bigint, user_id bigint, status text, bytes bigint)
language sql stable
as $$
    select j.n, j.user_id,
           case when j.bytes > 0 and (j.bytes_today > max_bytes or j.texts_today > max_messages) then 'quota'
                else j.status end, j.bytes
      from (select r.*,
                   coalesce(s.bytes, 0) + sum(r.bytes) over (partition by r.user_id order by r.n)
                       as bytes_today,
                   coalesce(s.messages, 0) + count(*) filter (where r.bytes > 0)
                       over (partition by r.user_id order by r.n) as texts_today
              from (select c.n, c.user_id, c.status,
                           case when c.status = 'ok' and not c.same
                                then coalesce(octet_length(c.content), 0) else 0 end::bigint as bytes
                      from (select i.n, i.user_id, i.content, m.content = i.content as same,
                                   case when m.id is null then 'unknown_message'
                                        when not m.may_delete or m.sender_id <> i.user_id and i.content is not null
                                            then 'not_sender'
                                        when i.content is null then 'ok'
                                        when m.deleted
                                             or bool_or(i.content is null and m.may_delete)
                                                over (partition by i.message_id order by i.n
                                                      rows between unbounded preceding and 1 preceding)
                                            then 'deleted'
                                        when m.content = i.content then 'ok'
                                        when is_blocked(m.sender_id, m.receiver_id) then 'refused'
                                        when m.created_at
                                             < clock_timestamp() - edit_time * interval '1 millisecond'
                                            then 'too_late'
                                        when octet_length(i.content) between 1 and 65536 then 'ok'
                                        else 'invalid' end as status
                              from unnest(user_ids, conversation_ids, message_ids, contents) with ordinality
                                   i (user_id, conversation_id, message_id, content, n)
                              left join lateral (
                                   select m.*,
                                          m.sender_id = i.user_id
                                          or m.receiver_id is null
                                             and chatd.group_refusal(
                                                 chatd.group_role(m.conversation_id, i.user_id), 'delete') is null
                                              as may_delete
                                     from chatd.messages m
                                    where m.id = i.message_id and m.conversation_id = i.conversation_id
                                      and chatd.message_seen(m, i.user_id)
                                      and (m.receiver_id is not null
                                           or chatd.conversation_seen(m.conversation_id, i.user_id))) m on true) c) r
              left join chatd.sent s on s.user_id = r.user_id and s.day = chatd.today()) j
$$;

-- As before, but that it waits for a standby in any case.
create or replace function chatd_api.user_block(user_id bigint, other_id bigint, blocking boolean) returns text
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    most constant int := 1000;
    own constant bigint := user_block.user_id;
begin
    if own = other_id then
        return 'oneself';
    elsif blocking = exists (select from blocks b
                              where b.user_id = own and b.blocked_id = other_id
                                and b.blocked_at is not null) then
        perform must_wait();
        return 'ok';
    end if;
    lock table change_lock in share update exclusive mode;
    if not blocking then
        update blocks b set blocked_at = null where b.user_id = own and b.blocked_id = other_id;
        return 'ok';
    elsif not exists (select from users u where u.id = own) then
        return 'gone';
    elsif not exists (select from users u where u.id = other_id) then
        return 'unknown_user';
    end if;
    if not exists (select from blocks b where b.user_id = own and b.blocked_id = other_id)
       and (select count(*) from blocks b where b.user_id = own) >= most then
        delete from blocks b
         where b.user_id = own
           and b.blocked_id = (select l.blocked_id from blocks l
                                where l.user_id = own and l.blocked_at is null
                                order by l.change limit 1);
        if not found then
            return 'too_many_blocks';
        end if;
    end if;
    insert into blocks as b (user_id, blocked_id) values (own, other_id)
    on conflict on constraint blocks_pkey do update set blocked_at = excluded.blocked_at;
    return 'ok';
end $$;

-- Changes, in order ----------------------------------------------------------------------------

-- As before, with those of groups.
create or replace function chatd.change_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off
as $$
begin
    return greatest((select max(id) from messages), (select max(changed) from messages),
                    -- Not max(): a plan from when there were none would read them all.
                    (select change from group_changes order by change desc limit 1), 0);
end $$;

-- A change of a group for a host. membership: what became of the users that it names: from which change on they
-- see the group, or -1: they have left; null: nothing.
create function chatd.group_event(here text, host_id bigint, change bigint)
returns table (conversation_id bigint, user_ids bigint[], frame text, membership bigint)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    g constant group_changes := (select g from group_changes g where g.change = group_event.change);
begin
    if g.user_id is not null then
        return query
            select g.conversation_id, array[g.user_id],
                   member_frame(here, g.change, g.conversation_id, g.user_id, g.role),
                   case when g.role is null then -1
                        else coalesce((select m.since from members m
                                        where m.conversation_id = g.conversation_id and m.user_id = g.user_id),
                                      g.change) end;
    else
        return query
            select g.conversation_id,
                   case when g.made then
                       array(select m.user_id from members m
                              where m.conversation_id = g.conversation_id and m.joined = g.change
                                and (select true from sessions s
                                      where s.user_id = m.user_id and s.host_id = group_event.host_id limit 1))
                   else '{}' end,
                   conversation_frame(here, g.change, g.conversation_id),
                   case when g.made then
                       (select case when c.full_history then 0 else g.change end
                          from conversations c where c.id = g.conversation_id) end;
    end if;
end $$;

-- What one user sees, for event_read_user(): from each conversation the first so many, or from so many changes
-- those that concern the user. message_id: what is, or was changed at, this place; null: it is a change of the
-- group, or of the member. until: where the user has left, and is not to see what became of the message later.
create function chatd.places_by_conversation(user_id bigint, after bigint, upto bigint, max_rows int,
    changes boolean) returns table (place bigint, message_id bigint, group_id bigint, member_id bigint, until bigint)
language sql stable
as $$
    select p.place, p.message_id, p.group_id, p.member_id, p.until
      from ((select m.id as place, m.id as message_id, null::bigint as group_id, null::bigint as member_id, c.until
               from (select f.conversation_id, f.low, f.high, f.until
                       from (select r.*,
                                    (select m.id from messages m
                                      where (m.conversation_id, m.id) > (r.conversation_id, r.low)
                                        and m.conversation_id <= r.conversation_id
                                      order by m.conversation_id, m.id
                                      limit 1) as first
                               from (select c.conversation_id, greatest(c.since, after) as low,
                                            least(c.until, upto) as high, c.until
                                       from members c
                                      where c.user_id = places_by_conversation.user_id
                                        and (c.until is null or c.until > after)) r) f
                      where f.first <= f.high
                      order by f.first
                      limit max_rows) c
              cross join lateral (select m.id from messages m
                                   where (m.conversation_id, m.id) > (c.conversation_id, c.low)
                                     and (m.conversation_id, m.id) <= (c.conversation_id, c.high)
                                   order by m.conversation_id, m.id
                                   limit max_rows) m
              order by m.id
              limit max_rows)
            union all
            (select m.changed, m.id, null, null, null
               from (select f.conversation_id, f.since, f.high
                       from (select r.*,
                                    (select m.changed from messages m
                                      where (m.conversation_id, m.changed) > (r.conversation_id, after)
                                        and (m.conversation_id, m.changed) <= (r.conversation_id, r.high)
                                        and m.changed is not null and m.id > r.since
                                      order by m.conversation_id, m.changed
                                      limit 1) as first
                               from (select c.conversation_id, c.since, least(c.until, upto) as high
                                       from members c
                                      where c.user_id = places_by_conversation.user_id and changes
                                        and (c.until is null or c.until > after)) r) f
                      order by f.first
                      limit max_rows) c
              cross join lateral (select m.changed, m.id from messages m
                                   where (m.conversation_id, m.changed) > (c.conversation_id, after)
                                     and (m.conversation_id, m.changed) <= (c.conversation_id, c.high)
                                     and m.changed is not null and m.id > c.since
                                   order by m.conversation_id, m.changed
                                   limit max_rows) m
              order by m.changed
              limit max_rows)
            union all
            (select g.changed, null, g.id, null, null
               from members c
              cross join lateral (select k.id, k.changed from conversations k
                                   where k.id = c.conversation_id offset 0) g
              where c.user_id = places_by_conversation.user_id and c.role is not null and changes
                and g.changed > after and g.changed <= least(c.until, upto) and g.changed >= c.joined
              order by g.changed
              limit max_rows)
            union all
            (select o.changed, null, o.conversation_id, o.user_id, null
               from members c
              cross join lateral (select o.changed, o.conversation_id, o.user_id from members o
                                   where (o.conversation_id, o.changed) > (c.conversation_id, greatest(after, c.joined - 1))
                                     and (o.conversation_id, o.changed) <= (c.conversation_id, least(c.until, upto))
                                     and o.changed is not null
                                   order by o.conversation_id, o.changed
                                   limit max_rows) o
              where c.user_id = places_by_conversation.user_id and c.role is not null and changes
              order by o.changed
              limit max_rows)) p
     order by p.place
     limit max_rows
$$;

create function chatd.places_by_change(user_id bigint, after bigint, upto bigint, max_rows int, changes boolean)
returns table (place bigint, message_id bigint, group_id bigint, member_id bigint, until bigint)
language sql stable
as $$
    select p.place, p.message_id, p.group_id, p.member_id, p.until
      from ((select m.id as place, m.id as message_id, null::bigint as group_id, null::bigint as member_id,
                    case when m.receiver_id is null and m.changed is not null
                         then (select c.until from members c
                                where c.conversation_id = m.conversation_id
                                  and c.user_id = places_by_change.user_id) end as until
               from messages m
              where m.id > after and m.id <= upto and message_seen(m, places_by_change.user_id)
              order by m.id
              limit max_rows)
            union all
            (select m.changed, m.id, null, null, null
               from messages m
              where m.changed > after and m.changed <= upto and changes
                and message_seen(m, places_by_change.user_id)
                and (m.receiver_id is not null
                     or change_seen(m.conversation_id, places_by_change.user_id, m.changed))
              order by m.changed
              limit max_rows)
            union all
            (select g.change, null, g.conversation_id, g.user_id, null
               from group_changes g
              cross join lateral (select * from members c
                                   where c.conversation_id = g.conversation_id
                                     and c.user_id = places_by_change.user_id offset 0) c
              where g.change > after and g.change <= upto and changes
                and g.change >= c.joined and g.change <= coalesce(c.until, g.change)
                -- The latest of its row.
                and g.change = case when g.user_id is null
                                    then (select k.changed from conversations k where k.id = g.conversation_id)
                                    else (select o.changed from members o
                                           where o.conversation_id = g.conversation_id
                                             and o.user_id = g.user_id) end
              order by g.change
              limit max_rows)) p
     order by p.place
     limit max_rows
$$;

-- The groups of these users, for the broker that they are connected to, also those that they left after this
-- change: by the change until. joined: what came before that change is not theirs, also where since says that they
-- see it. A row without a group comes for whoever has none.
create function chatd_api.group_list(user_ids bigint[], after bigint)
returns table (user_id bigint, group_id bigint, since bigint, until bigint, joined bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
        select i.id, m.conversation_id, m.since, m.until, m.joined
          from unnest(group_list.user_ids) i (id)
          left join lateral (select * from members m
                              where m.user_id = i.id and m.role is not null
                                and (m.until is null or m.until > group_list.after) offset 0) m on true;
end $$;

-- Who is online, who writes, who has read ----------------------------------------------------------

-- As before: those who share a direct conversation or a group, see groups_shown().
create or replace function chatd.presence_audience(who bigint, host bigint) returns bigint[]
language plpgsql stable set enable_sort = on
as $$
declare
    few constant boolean := (select count(*) <= 1000
                               from (select from contacts c where c.user_id = who limit 1001) c);
begin
    return array(select distinct o.id
                   from (select c.contact_id as id
                           from contacts c
                          where few and c.user_id = who
                            and (select true from sessions s
                                  where s.user_id = c.contact_id and s.host_id = host limit 1)
                         union all
                         select s.user_id
                           from sessions s
                          where not few and s.host_id = host
                            and (select true from contacts c
                                  where c.user_id = who and c.contact_id = s.user_id)
                         union all
                         select b.user_id
                           from groups_shown(who) g (id)
                          cross join lateral (select b.user_id from members b
                                               where b.conversation_id = g.id and b.until is null offset 0) b
                          where (select true from sessions s
                                  where s.user_id = b.user_id and s.host_id = host limit 1)) o
                  order by o.id);
end $$;

create or replace function chatd.presence_views(after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, online boolean, audience bigint[])
language plpgsql stable
as $$
#variable_conflict use_column
begin
    return query
        select v.change, v.user_id, coalesce(v.online and not v.hidden, false),
               case when (v.online or v.hidden and v.last > v.change)
                         and (mode = 'all'
                              or is_acquainted(v.user_id, v.viewer_id))
                    then array[v.viewer_id] else '{}' end
          from (select s.*, p.online, p.change as last, is_blocked(s.user_id, s.viewer_id) as hidden
                  from (select * from blocks b
                         where b.told and b.change > after
                         order by b.change limit max_rows) b
                 cross join lateral (values (b.change - 1, b.user_id, b.blocked_id),
                                            (b.change, b.blocked_id, b.user_id))
                                    s (change, user_id, viewer_id)
                  -- Not a join, which might read the whole table.
                  left join lateral (select * from presence p where p.user_id = s.user_id offset 0) p on true
                 where s.change > after
                 order by s.change
                 limit max_rows) v;
end $$;

create or replace function chatd_api.presence_read_user(reader_id bigint, after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[],
    hidden bigint[], view boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    free constant boolean := is_free(reader_id);
begin
    return query
        select c.change, c.user_id, c.username, c.online,
               case when mode = 'contacts' and not c.view
                    then case when is_acquainted(c.user_id, reader_id)
                              then array[reader_id] else '{}' end
                    else c.audience end,
               case when not (free or c.view) and is_blocked(c.user_id, reader_id, c.change)
                    then array[reader_id] end,
               c.view
          from presence_changes(after, max_rows, mode) c;
end $$;

create or replace function chatd_api.user_list(caller_id bigint, mode text, after_id bigint, max_rows int,
    prefix text)
returns table (users text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    low constant text := lower(prefix collate "C");
    after_name text := '';
    free constant boolean := is_free(caller_id);
begin
    if prefix <> '' and after_id > 0 then
        select lower(u.username collate "C") into after_name from users u where u.id = after_id;
    end if;
    if after_name is not null then
        select '[' || coalesce(string_agg(
                   '{"id":' || u.id || ',"username":"' || u.username || '"'
                   || coalesce(',"display_name":' || to_json(u.display_name)::text, '')
                   || ',"online":' || case when u.online then 'true' else 'false' end || ',"last_seen":'
                   || coalesce(json_time(case when u.online then now()
                                              when u.shown then u.last_seen end),
                               'null') || '}', ',' order by u.n) filter (where u.n <= max_rows), '')
                   || ']',
               case when count(*) > max_rows then max(u.id) filter (where u.n = max_rows) end
          into users, next
          from (select v.*, v.shown and exists (select from sessions s where s.user_id = v.id) as online
                  from (select u.id, u.username, u.display_name, u.last_seen, u.n,
                               (mode = 'all' or u.id = caller_id
                                or mode = 'contacts'
                                   and is_acquainted(u.id, caller_id))
                               and (free or not is_blocked(caller_id, u.id)) as shown
                          from ((select id, username, display_name, last_seen,
                                        row_number() over (order by id) as n
                                   from users
                                  where prefix = '' and id > after_id
                                  order by id limit max_rows + 1)
                                union all
                                -- No name has a character above 'z'.
                                (select id, username, display_name, last_seen,
                                        row_number() over (order by lower(username collate "C"))
                                   from users
                                  where prefix <> '' and lower(username collate "C") >= low
                                    and lower(username collate "C") < low || '~'
                                    and lower(username collate "C") > after_name
                                  order by lower(username collate "C") limit max_rows + 1)) u) v) u;
    end if;
    return next;
end $$;

-- Whom to tell of a member's receipts.
create function chatd.receipt_audience(conversation bigint, of_id bigint) returns bigint[]
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    if (select c.member_count > crowd() from conversations c where c.id = conversation) then
        return array[of_id];
    end if;
    return array(select m.user_id from members m
                  where m.conversation_id = conversation and m.until is null
                    and receipt_shown(conversation, of_id, m.user_id));
end $$;

-- Whom to tell that a user is writing in a group; nobody, if the user is not in it.
create function chatd.typing_audience(conversation bigint, of_id bigint) returns bigint[]
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    if group_role(conversation, of_id) is null
       or (select c.member_count > crowd() from conversations c where c.id = conversation) then
        return '{}';
    end if;
    return array(select m.user_id from members m
                  where m.conversation_id = conversation and m.until is null and m.user_id <> of_id);
end $$;

create or replace function chatd_api.receipt_put(host_id bigint, user_ids bigint[], conversation_ids bigint[],
    message_ids bigint[], read boolean[])
returns table (ordinal int, receiver_id bigint, conversation_id bigint, user_id bigint, read_upto bigint,
    delivered_upto bigint)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    each constant int := 75; -- in a bell, which has less than 8000 bytes
    asked record;
    moved members;
    conversations bigint[];
    users bigint[];
    reads bigint[];
    delivereds bigint[];
begin
    return query
        select i.n::int, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint
          from unnest(user_ids, conversation_ids) with ordinality i (user_id, conversation_id, n)
         where not conversation_seen(i.conversation_id, i.user_id);
    -- Always in this order, so that no two hosts wait for each other.
    for asked in
        select i.conversation_id, i.user_id,
               coalesce(message_upto(i.conversation_id, max(i.message_id) filter (where i.read)), 0) as read_upto,
               coalesce(message_upto(i.conversation_id, max(i.message_id)), 0) as delivered_upto
          from unnest(user_ids, conversation_ids, message_ids, read) i (user_id, conversation_id, message_id, read)
         group by i.conversation_id, i.user_id
         order by i.conversation_id, i.user_id
    loop
        update members m
           set read_upto = greatest(m.read_upto, asked.read_upto),
               delivered_upto = greatest(m.delivered_upto, asked.delivered_upto)
         where m.conversation_id = asked.conversation_id and m.user_id = asked.user_id and m.until is null
           and (asked.read_upto > m.read_upto or asked.delivered_upto > m.delivered_upto)
        returning m.* into moved;
        if found then
            conversations := conversations || moved.conversation_id;
            users := users || moved.user_id;
            reads := reads || moved.read_upto;
            delivereds := delivereds || moved.delivered_upto;
        end if;
    end loop;
    if conversations is null then
        perform must_wait();
        return;
    end if;
    if exists (select from hosts h where h.id <> receipt_put.host_id) then
        perform pg_notify('chatd_' || b.id, 'w' || string_agg(b.row, ''))
           from (select h.id, ' ' || t.user_id || ' ' || r.conversation_id || ' ' || r.user_id || ' '
                              || r.read_upto || ' ' || r.delivered_upto as row,
                        (row_number() over (partition by h.id) - 1) / each as part
                   from hosts h,
                        unnest(conversations, users, reads, delivereds)
                        r (conversation_id, user_id, read_upto, delivered_upto)
                  cross join lateral unnest(receipt_audience(r.conversation_id, r.user_id)) t (user_id)
                  where h.id <> receipt_put.host_id
                    and (select true from sessions s
                          where s.user_id = t.user_id and s.host_id = h.id limit 1)) b
          group by b.id, b.part;
    end if;
    return query
        select null::int, t.user_id, r.conversation_id, r.user_id, r.read_upto, r.delivered_upto
          from unnest(conversations, users, reads, delivereds)
               r (conversation_id, user_id, read_upto, delivered_upto)
         cross join lateral unnest(receipt_audience(r.conversation_id, r.user_id)) t (user_id)
         where (select true from sessions s
                 where s.user_id = t.user_id and s.host_id = receipt_put.host_id limit 1);
end $$;

create or replace function chatd_api.typing_tell(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    conversation_ids bigint[] default null)
returns table (receiver_id bigint, conversation_id bigint, user_id bigint, username text)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    each constant int := 80; -- in a bell, which has less than 8000 bytes
    -- Without a name, nobody is told of a pair.
    senders bigint[];
    receivers bigint[];
    conversations bigint[];
    names text[];
begin
    if conversation_ids is not null then
        receiver_ids := receivers_named(sender_ids, receiver_ids, conversation_ids);
    end if;
    select array_agg(p.sender_id order by p.n), array_agg(t.receiver_id order by p.n),
           array_agg(t.conversation_id order by p.n),
           array_agg((select u.username from users u where u.id = p.sender_id and not u.disabled)
                     order by p.n)
      into senders, receivers, conversations, names
      from unnest(sender_ids, receiver_ids, conversation_ids) with ordinality
           p (sender_id, receiver_id, conversation_id, n)
     cross join lateral (select p.receiver_id, c.conversation_id
                           from contacts c
                          where c.user_id = p.sender_id and c.contact_id = p.receiver_id
                            and not c.blocked and c.contact_id <> c.user_id
                         union all
                         select a.id, p.conversation_id
                           from unnest(case when p.receiver_id is null
                                            then typing_audience(p.conversation_id, p.sender_id) end) a (id)) t;
    if exists (select from hosts h where h.id <> typing_tell.host_id) then
        perform pg_notify('chatd_' || b.id, b.bell)
           from (select w.id, 't' || string_agg(w.words, '' order by w.n) as bell
                   from (select h.id, t.n,
                                ' ' || t.receiver || ' ' || t.conversation || ' ' || t.sender || ' ' || t.name
                                    as words,
                                (row_number() over (partition by h.id order by t.n) - 1) / each as part
                           from hosts h, unnest(receivers, conversations, senders, names) with ordinality
                                         t (receiver, conversation, sender, name, n)
                          where h.id <> typing_tell.host_id and t.name is not null
                            and (select true from sessions s
                                  where s.user_id = t.receiver and s.host_id = h.id limit 1)) w
                  group by w.id, w.part) b;
        -- A crash may lose a bell: no need to wait for the disk.
        if found then
            perform set_config('synchronous_commit', 'off', true);
        end if;
    end if;
    return query
        select t.receiver, t.conversation, t.sender, t.name
          from unnest(receivers, conversations, senders, names) with ordinality
               t (receiver, conversation, sender, name, n)
         where t.name is not null
           and (select true from sessions s
                 where s.user_id = t.receiver and s.host_id = typing_tell.host_id limit 1)
         order by t.n;
end $$;

drop function chatd_api.session_open(bigint, bigint[], bigint[], bigint[], bigint[]);

-- As before. grouped: the user is in a group, see group_list().
create function chatd_api.session_open(host_id bigint, session_ids bigint[],
    user_ids bigint[], changes bigint[], stamps bigint[])
returns table(session_id bigint, known boolean, cursor bigint, cursor_stamp int, presence bigint,
    honoured boolean, grouped boolean)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    last bigint;
    last_stamp int;
    announced bigint;
begin
    lock table change_lock in share update exclusive mode;
    if not exists (select from hosts h where h.id = session_open.host_id) then
        raise exception 'host % is not attached', session_open.host_id using errcode = 'CH001';
    end if;
    insert into sessions (host_id, session_id, user_id)
    select session_open.host_id, i.session_id, u.id
      from unnest(session_ids, user_ids) i (session_id, user_id)
      join users u on u.id = i.user_id
     where i.session_id is not null
    on conflict do nothing;
    last := change_last();
    last_stamp := stamp_at(last);
    -- The sequence rather than the table, which a crash empties.
    select case when s.is_called then s.last_value else 0 end into announced from presence_seq s;
    return query
        select i.session_id, exists (select from users u where u.id = i.user_id), last, last_stamp,
               announced,
               case when i.change >= 0 then cursor_honoured(i.change, i.stamp::int) else false end,
               exists (select from members m
                        where m.user_id = i.user_id and m.role is not null and m.until is null)
          from unnest(session_ids, user_ids, changes, stamps)
               with ordinality i (session_id, user_id, change, stamp, n)
         order by i.n;
end $$;

