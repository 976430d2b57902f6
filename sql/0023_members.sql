-- Conversations as their members see them: which there are, how far each member has got and read, how
-- many messages are unread.
--
-- Receipts are state, not history: two watermarks of a member, which only move forward. They draw no
-- change, and whoever reconnects reads them with the list. A conversation's last message is asked for
-- when the list is read, so that a plain message costs nothing for it; so is how many are unread.
--
-- Fills the tables from contacts, and makes the index of messages by conversation anew, during which chatd
-- is stopped and nobody reads messages: with ten million of them between 100,000 pairs of users some ten
-- seconds. The index grows from 301 MB to 387. The table of messages stays as it is.

create table chatd.conversations (
    id bigint primary key,
    kind text not null default 'direct' check (kind = 'direct'),
    created_at timestamptz not null default clock_timestamp()
);

-- Ids of messages: up to there a member has read, or got, the conversation. What is read was delivered. The
-- pages have room, so that a watermark moves without a new entry in an index.
create table chatd.members (
    conversation_id bigint not null references chatd.conversations,
    user_id bigint not null references chatd.users on delete cascade,
    read_upto bigint not null default 0,
    delivered_upto bigint not null default 0,
    primary key (conversation_id, user_id)
) with (fillfactor = 80);

lock table chatd.change_lock in share update exclusive mode;

insert into chatd.conversations (id, created_at)
select c.id, coalesce((select m.created_at from chatd.messages m
                        where m.conversation_id = c.id order by m.conversation_id, m.id limit 1), clock_timestamp())
  from (select distinct conversation_id as id from chatd.contacts) c;

-- Both, also where the row of one side was removed by hand.
insert into chatd.members (conversation_id, user_id)
select conversation_id, user_id from chatd.contacts
union
select c.conversation_id, u.id from chatd.contacts c join chatd.users u on u.id = c.contact_id;

-- With the sender, so that what is unread is counted in the index alone.
drop index chatd.messages_conversation;
create index messages_conversation on chatd.messages (conversation_id, id) include (sender_id);

create index members_user on chatd.members (user_id, conversation_id);

-- As before; the two are its members.
create or replace function chatd.contact_make(user_id bigint, other_id bigint) returns bigint
language plpgsql set search_path = chatd, pg_temp
as $$
declare
    conversation constant bigint := coalesce(conversation_of(user_id, other_id),
        conversation_of(other_id, user_id), nextval('conversation_seq'));
begin
    insert into conversations (id) values (conversation) on conflict do nothing;
    insert into members (conversation_id, user_id)
    select distinct conversation, m.id
      from unnest(array[contact_make.user_id, other_id]) m (id)
        on conflict do nothing;
    insert into contacts (user_id, contact_id, conversation_id)
    values (contact_make.user_id, other_id, conversation), (other_id, contact_make.user_id, conversation)
    on conflict do nothing;
    return conversation;
end $$;

-- May this user see what is said in this conversation?
create function chatd.conversation_seen(conversation bigint, who bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.members m
                    where m.conversation_id = conversation and m.user_id = who);
end $$;

-- The last message up to this one; null: none.
create function chatd.message_upto(conversation bigint, upto bigint) returns bigint
language plpgsql stable
as $$
begin
    return (select m.id from chatd.messages m
             where (m.conversation_id, m.id) <= (conversation, upto)
               and m.conversation_id >= conversation
             order by m.conversation_id desc, m.id desc
             limit 1);
end $$;

create function chatd.name_json(username text, display_name text) returns text
language sql stable
as $$
    select '"username":"' || username || '"' || coalesce(',"display_name":' || to_json(display_name)::text, '')
$$;

-- Direct conversations as one of their members sees them, each with the last message that is named beside
-- it; those of others are left out. Of notes to oneself the peer is oneself. Expanded where it is called.
--
-- Unread are those messages of others that came after the last one that the user read, or wrote: whoever
-- writes has read what was there. 100 stands for that many and more, so that it costs no more than that.
create function chatd.conversations_seen(caller_id bigint, mode text, conversations bigint[], lasts bigint[],
    careful boolean)
returns table (last bigint, line text)
language sql stable
as $$
    select l.last,
           '{"id":' || c.id || ',"kind":"' || c.kind || '","name":null,"created_at":' || json_time(c.created_at)
           || ',"peer":{"id":' || p.user_id || ',' || name_json(u.username, u.display_name)
           || ',"online":'
           || case when (mode <> 'off' or p.user_id = caller_id)
                        and exists (select from sessions s where s.user_id = p.user_id)
                   then 'true' else 'false' end
           || ',"read_upto":' || p.read_upto || ',"delivered_upto":' || p.delivered_upto
           || '},"unread":' || n.unread || ',"read_upto":' || me.read_upto
           || ',"delivered_upto":' || me.delivered_upto || ',"last_message":'
           || coalesce(case when not careful or is_readable(m.id, m.content)
                            then message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                              m.created_at) end, 'null') || '}'
      from unnest(conversations, lasts) l (conversation_id, last)
     -- Not joins, which might begin with whole tables.
     cross join lateral (select * from conversations c where c.id = l.conversation_id offset 0) c
     cross join lateral (select * from members m
                          where m.conversation_id = c.id and m.user_id = caller_id offset 0) me
     cross join lateral (select * from members m
                          where m.conversation_id = c.id
                          order by m.user_id = caller_id limit 1) p
     cross join lateral (select * from users u where u.id = p.user_id offset 0) u
      left join lateral (select * from messages m where m.id = l.last offset 0) m on true
     cross join lateral (select max(r.id) as id
                           from (select r.id, r.sender_id from messages r
                                  where r.conversation_id = c.id and r.id > me.read_upto
                                  order by r.conversation_id desc, r.id desc
                                  limit 100) r
                          where r.sender_id = caller_id) written
     cross join lateral (select count(*) as unread
                           from (select from messages r
                                  where r.conversation_id = c.id
                                    and r.id > greatest(me.read_upto, written.id)
                                  order by r.conversation_id desc, r.id desc
                                  limit 100) r) n
$$;

-- A page of a conversation: of the messages between the two ids the last ones, or the first ones if only
-- the earlier id is given. It has a megabyte at most. next: where the next page begins.
create function chatd.message_page(conversation bigint, before bigint, after bigint, max_rows int,
    careful boolean, out page text, out next bigint)
language plpgsql stable set search_path = chatd, pg_temp
as $$
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    found int;
    upto bigint; -- bytes that the page has at most
begin
    select count(*), coalesce(sum(octet_length(m.content)), 0) * 6 + 200 * count(*)
      into found, upto
      from messages_between(conversation, before, after, max_rows + 1) m;
    if upto <= most then
        select string_agg(message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                       m.created_at),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content)),
               case when found > max_rows then
                    case when forward then max(m.id) else min(m.id) end end
          into page, next
          from messages_between(conversation, before, after, max_rows) m;
    else
        -- Contents are read only as far as they fit themselves, and of their JSON what fits is
        -- taken, which is longer where a character must be escaped.
        select string_agg(t.text, ',' order by t.id) filter (where t.fits),
               case when bool_and(t.fits) then null
                    when forward then max(t.id) filter (where t.fits)
                    else min(t.id) filter (where t.fits) end
          into page, next
          from (select s.id, s.text,
                       s.wanted and sum(coalesce(octet_length(s.text), 0) + 1) over (order by s.n) <= most
                           as fits
                  from (select r.id, r.n, r.wanted,
                               case when r.wanted and (not careful or is_readable(r.id, r.content))
                                    then message_json(r.id, r.conversation_id, r.sender_id, r.receiver_id,
                                                      r.content, r.created_at) end as text
                          from (select m.*, row_number() over w as n,
                                       row_number() over w <= max_rows
                                       and sum(octet_length(m.content)) over w <= most as wanted
                                  from messages_between(conversation, before, after, max_rows + 1) m
                                window w as (order by case when forward then m.id else -m.id end)) r) s) t;
    end if;
    page := '[' || coalesce(page, '') || ']';
end $$;

create or replace function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    conversation constant bigint := conversation_of(user_id, other_id);
begin
    if conversation is null and not exists (select from users u where u.id = other_id) then
        return query select false, null::text, null::bigint;
    else
        return query select true, p.* from message_page(conversation, before, after, max_rows, careful) p;
    end if;
end $$;

-- The same by the conversation's number. known: the caller may see it.
create function chatd_api.conversation_history(caller_id bigint, conversation_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    if conversation_seen(conversation_id, caller_id) then
        return query select true, p.* from message_page(conversation_id, before, after, max_rows, careful) p;
    else
        return query select false, null::text, null::bigint;
    end if;
end $$;

-- A page of the caller's conversations, those with the latest messages first: at most max_rows whose last
-- messages are before this one, and a megabyte. Those without messages are not there.
create function chatd_api.conversation_list(caller_id bigint, mode text, before bigint, max_rows int,
    careful boolean default false) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    most constant int := 1048576; -- bytes
    room constant int := 1500; -- for a conversation, beside the content of its last message
    conversations bigint[];
    lasts bigint[];
    some_left boolean;
begin
    select array_agg(s.conversation_id order by s.last desc) filter (where s.fits),
           array_agg(s.last order by s.last desc) filter (where s.fits), not bool_and(s.fits)
      into conversations, lasts, some_left
      from (select l.conversation_id, l.last,
                   row_number() over w <= max_rows
                   and (row_number() over w = 1
                        -- JSON may write a byte as \u00XX.
                        or sum(6 * octet_length(m.content) + room) over w <= most) as fits
              from (select c.conversation_id, c.last
                      from (select s.conversation_id,
                                   -- The fewer entries of the index may fit, the fewer are looked at.
                                   coalesce((select m.id from messages m
                                              where m.conversation_id = s.conversation_id
                                                and m.id >= s.delivered_upto
                                              order by m.conversation_id desc, m.id desc
                                              limit 1),
                                            message_upto(s.conversation_id, s.delivered_upto)) as last
                              from members s
                             where s.user_id = caller_id
                            offset 0) c -- asks for each once
                     where c.last < conversation_list.before
                     order by c.last desc
                     limit max_rows + 1) l
              join messages m on m.id = l.last
            window w as (order by l.last desc)) s;
    return (
        select '{"conversations":[' || coalesce(string_agg(c.line, ',' order by c.last desc), '') || '],"next":'
               || case when some_left then '"' || min(c.last) || '"' else 'null' end || '}'
          from conversations_seen(caller_id, mode, conversations, lasts, careful) c);
end $$;

-- Null: the caller is no member.
create function chatd_api.conversation_show(caller_id bigint, conversation_id bigint, mode text,
    careful boolean default false) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
begin
    return (select c.line
              from conversations_seen(caller_id, mode, array[conversation_id],
                                      array[message_upto(conversation_id, 9223372036854775807)], careful) c);
end $$;

-- Null: the caller is no member.
create function chatd_api.member_list(caller_id bigint, conversation_id bigint, mode text) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
begin
    if not conversation_seen(conversation_id, caller_id) then
        return null;
    end if;
    return (
        select '[' || string_agg('{"user_id":' || m.user_id || ',' || name_json(u.username, u.display_name)
                                 || ',"role":"member","since":' || json_time(c.created_at)
                                 || ',"online":'
                                 || case when (mode <> 'off' or m.user_id = caller_id)
                                              and exists (select from sessions s where s.user_id = m.user_id)
                                         then 'true' else 'false' end
                                 || ',"read_upto":' || m.read_upto || ',"delivered_upto":' || m.delivered_upto
                                 || '}', ',' order by m.user_id) || ']'
          from members m
         cross join lateral (select * from conversations c where c.id = m.conversation_id offset 0) c
         cross join lateral (select * from users u where u.id = m.user_id offset 0) u
         where m.conversation_id = member_list.conversation_id);
end $$;

-- Moves watermarks: these users have got these messages of these conversations, and read them where read is
-- true. An id beyond the last message stands for that one. Nothing moves back.
--
-- For each input whose user is no member of its conversation the answer has a row with its place in the
-- input, and nothing else. Of each
-- watermark that moved it has a row for each member connected to this host, the one who moved it included.
-- Each other host where a member is connected gets bells that say the same: receiver, conversation, user and
-- both watermarks.
create function chatd_api.receipt_put(host_id bigint, user_ids bigint[], conversation_ids bigint[],
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
         where m.conversation_id = asked.conversation_id and m.user_id = asked.user_id
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
                  cross join lateral (select m.user_id from members m
                                       where m.conversation_id = r.conversation_id offset 0) t
                  where h.id <> receipt_put.host_id
                    and (select true from sessions s
                          where s.user_id = t.user_id and s.host_id = h.id limit 1)) b
          group by b.id, b.part;
    end if;
    return query
        select null::int, t.user_id, r.conversation_id, r.user_id, r.read_upto, r.delivered_upto
          from unnest(conversations, users, reads, delivereds)
               r (conversation_id, user_id, read_upto, delivered_upto)
         cross join lateral (select m.user_id from members m
                              where m.conversation_id = r.conversation_id offset 0) t
         where (select true from sessions s
                 where s.user_id = t.user_id and s.host_id = receipt_put.host_id limit 1);
end $$;
