-- Every two users who exchange messages have a conversation, and its number stands in each message.
-- One index by conversation serves the history and who resumes, where there were three: by receiver,
-- by sender and by pair. That is most of what it costs to store a message.
--
-- This writes the table of messages anew, once, and makes its indexes: chatd is stopped meanwhile, nobody
-- reads messages, and the disk holds the table twice. Ten million messages of sixty bytes between 100,000
-- pairs of users took three minutes on two busy processors; their indexes had 2,436 MB before, and have 1,162.

create sequence chatd.conversation_seq;

alter table chatd.contacts add column conversation_id bigint;

with pair as materialized (
    select user_id, contact_id, nextval('chatd.conversation_seq') as id
      from chatd.contacts
     where user_id <= contact_id
)
update chatd.contacts c
   set conversation_id = p.id
  from pair p
 where p.user_id = least(c.user_id, c.contact_id)
   and p.contact_id = greatest(c.user_id, c.contact_id);

alter table chatd.contacts alter column conversation_id set not null;

-- The conversation of two users; null: they have exchanged nothing yet.
create function chatd.conversation_of(user_id bigint, other_id bigint) returns bigint
language plpgsql stable
as $$
begin
    return (select c.conversation_id from chatd.contacts c
             where c.user_id = conversation_of.user_id
               and c.contact_id = conversation_of.other_id);
end $$;

drop index chatd.messages_receiver, chatd.messages_sender, chatd.messages_pair;

alter table chatd.messages add column conversation_id bigint;
alter table chatd.messages
    alter column conversation_id type bigint using chatd.conversation_of(sender_id, receiver_id),
    alter column conversation_id set not null;

create index messages_conversation on chatd.messages (conversation_id, id);

-- Gives two users a conversation, and says which. The row of one side may be there, if that of the other
-- was removed by hand.
create function chatd.contact_make(user_id bigint, other_id bigint) returns bigint
language plpgsql set search_path = chatd, pg_temp
as $$
declare
    conversation constant bigint := coalesce(conversation_of(user_id, other_id),
        conversation_of(other_id, user_id), nextval('conversation_seq'));
begin
    insert into contacts (user_id, contact_id, conversation_id)
    values (contact_make.user_id, other_id, conversation), (other_id, contact_make.user_id, conversation)
    on conflict do nothing;
    return conversation;
end $$;

-- The conversations of those messages of a batch that will be stored and are the first between their
-- users. Of two with the same client id only the first is stored, and makes a conversation. known: the
-- conversations that there are; null: none. Says whether there are more now.
create function chatd.conversations_make(known bigint[], sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], contents text[]) returns boolean
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    -- Messages to users who do not exist must not make the batch of others wait.
    if not exists (select from unnest(known, sender_ids, receiver_ids) i (known, sender_id, receiver_id)
                    where i.known is null
                      and (select true from users u where u.id = i.sender_id)
                      and (select true from users u where u.id = i.receiver_id)) then
        return false;
    end if;
    perform contact_make(p.low, p.high)
       from (select distinct least(s.sender_id, s.receiver_id) as low,
                    greatest(s.sender_id, s.receiver_id) as high
               from (select distinct on (i.sender_id, i.client_id) i.sender_id, i.receiver_id
                       from unnest(sender_ids, receiver_ids, client_ids, contents)
                            with ordinality i (sender_id, receiver_id, client_id, content, n)
                      where octet_length(i.content) between 1 and 65536
                        and char_length(i.client_id) between 1 and 64
                        and exists (select from users u where u.id = i.sender_id)
                        and exists (select from users u where u.id = i.receiver_id)
                        and not exists (select from messages m
                                         where m.sender_id = i.sender_id and m.client_id = i.client_id)
                      order by i.sender_id, i.client_id, i.n) s
              where conversation_of(s.sender_id, s.receiver_id) is null) p;
    return found;
end $$;

-- A message that names no conversation, as one that is typed into psql, gets that of its two users.
create function chatd.message_addressed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    new.conversation_id := coalesce(conversation_of(new.sender_id, new.receiver_id),
                                    contact_make(new.sender_id, new.receiver_id));
    return new;
end $$;

create trigger message_addressed before insert on chatd.messages
    for each row when (new.conversation_id is null) execute function chatd.message_addressed();

-- Rings the hosts where a sender or a receiver is connected. The bell carries a number, never
-- content: a lost one loses nothing, the next one makes up for it. A commit that rings somebody
-- waits for all others that do; so a host that stores messages and hands them out itself
-- (chatd.host, see message_send) is not rung for them, nor for what else is stored in that
-- transaction.
--
-- Subqueries in place of joins, which would read whole tables.
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
        perform pg_notify('chatd_' || h.id, 'e ' || (select max(id) from inserted))
           from hosts h
          where h.id is distinct from storing
            and exists (select from inserted m
                         where (select true from sessions s
                                 where s.user_id = m.sender_id and s.host_id = h.id limit 1)
                            or (select true from sessions s
                                 where s.user_id = m.receiver_id and s.host_id = h.id limit 1));
    end if;
    return null;
end $$;

drop function chatd.message_frame(text, bigint, bigint, text, bigint, text, timestamptz);
drop function chatd.message_json(bigint, bigint, bigint, text, timestamptz);

-- The text that a client gets for a message. The planner puts the expression in place of the call:
-- concatenation costs a fraction of json_build_object, and a call for each row would cost more than
-- both. A username needs no escaping, see its check.
create function chatd.message_frame(tag text, id bigint, conversation_id bigint, sender_id bigint,
    sender text, receiver_id bigint, content text, created_at timestamptz) returns text
language sql stable
as $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || '","receiver_id":' || receiver_id
        || ',"created_at":' || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || ',"cursor":"' || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

create function chatd.message_json(id bigint, conversation_id bigint, sender_id bigint,
    receiver_id bigint, content text, created_at timestamptz) returns text
language sql stable
as $$
    select '{"id":' || id || ',"conversation_id":' || conversation_id || ',"sender_id":' || sender_id
        || ',"receiver_id":' || receiver_id || ',"content":' || to_json(content)::text
        || ',"created_at":' || json_time(created_at) || '}'
$$;

-- As before. A message that gets here with a conversation has two users: those of its contacts.
create or replace function chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[], framed boolean[],
    max_messages bigint default null, max_bytes bigint default null)
returns table (ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
    own boolean, frame text)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- Read by messages_inserted().
    storing constant text := set_config('chatd.host', host_id::text, true);
    told int;
    over int[] := '{}'; -- those beyond the quota, by their place
    place int;
    conversations bigint[]; -- of each message; null: there is none yet, or it will not be stored
begin
    lock table change_lock in share update exclusive mode;
    if max_messages is not null or max_bytes is not null then
        over := messages_over(sender_ids, client_ids, contents, max_messages, max_bytes);
        foreach place in array over loop
            contents[place] := null;
        end loop;
    end if;
    loop
        conversations := array(select (select c.conversation_id from contacts c
                                        where c.user_id = i.sender_id and c.contact_id = i.receiver_id)
                                 from unnest(sender_ids, receiver_ids)
                                      with ordinality i (sender_id, receiver_id, n)
                                order by i.n);
        exit when array_position(conversations, null) is null
                  or not conversations_make(conversations, sender_ids, receiver_ids, client_ids,
                                            contents);
    end loop;
    if cardinality(sender_ids) = 1 then
        -- Nobody else waits, and there is no order to keep: this plan costs less than the other.
        return query
            insert into messages as m (conversation_id, sender_id, receiver_id, client_id, origin,
                content)
            select conversations[1], sender_ids[1], receiver_ids[1], client_ids[1], origins[1],
                   contents[1]
             where octet_length(contents[1]) between 1 and 65536
               and char_length(client_ids[1]) between 1 and 64
               and conversations[1] is not null
            on conflict (sender_id, client_id) do nothing
            returning 1, 'ok', m.id, change_stamp(m.created_at), false, true,
                      case when framed[1] then
                          message_frame((select tag from instance), m.id, m.conversation_id,
                                        m.sender_id,
                                        (select u.username from users u where u.id = m.sender_id),
                                        m.receiver_id, m.content, m.created_at) end;
    else
        -- The ids are drawn in the order of the input, so sorted they are in that order again.
        return query
            with put as (
                insert into messages (conversation_id, sender_id, receiver_id, client_id, origin,
                    content)
                select i.conversation_id, i.sender_id, i.receiver_id, i.client_id, i.origin,
                       i.content
                  from unnest(conversations, sender_ids, receiver_ids, client_ids, origins,
                              contents) with ordinality
                       i (conversation_id, sender_id, receiver_id, client_id, origin, content, n)
                 where octet_length(i.content) between 1 and 65536
                   and char_length(i.client_id) between 1 and 64
                   and i.conversation_id is not null
                 order by i.n
                on conflict (sender_id, client_id) do nothing
                returning id, conversation_id, sender_id, receiver_id, content, created_at
            ), numbered as (
                select put.*, (row_number() over (order by id))::int as n from put
            )
            select m.n, 'ok', m.id, change_stamp(m.created_at), false, true,
                   case when framed[m.n] then
                       message_frame((select tag from instance), m.id, m.conversation_id,
                                     m.sender_id,
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, m.content, m.created_at) end
              from numbered m
             where (select count(*) from put) = cardinality(sender_ids)
             order by m.id;
    end if;
    get diagnostics told = row_count;
    if max_messages is not null or max_bytes is not null then
        perform messages_count(sender_ids, client_ids);
    end if;
    if told = cardinality(sender_ids) then
        return;
    end if;
    -- Something is not plainly new. Now the stored rows tell which is which.
    --
    -- A transaction that writes nothing does not wait for a synchronous standby. This one answers
    -- for messages that an earlier one stored, perhaps one that was cut off while it waited: with
    -- a number of its own it is committed, and waits, behind that. The rows that it wrote carry
    -- that number.
    perform pg_current_xact_id();
    return query
        with item as (
            select i.*, coalesce(octet_length(i.content) between 1 and 65536
                                 and char_length(i.client_id) between 1 and 64, false) as valid,
                   (select true from users u where u.id = i.sender_id) is not null as from_known,
                   (select true from users u where u.id = i.receiver_id) is not null as to_known
              from unnest(sender_ids, receiver_ids, client_ids, origins, contents)
                   with ordinality i (sender_id, receiver_id, client_id, origin, content, n)
        ), judged as (
            select i.n, m.id, change_stamp(m.created_at) as stamp,
                   coalesce(m.origin = i.origin, false) as own,
                   case when i.n = any (over) then 'quota'
                        when not i.valid then 'invalid'
                        when not i.from_known then 'unknown_sender'
                        when not i.to_known then 'unknown_receiver'
                        when m.receiver_id = i.receiver_id and m.content = i.content then 'ok'
                        else 'conflict' end as status,
                   m.xmin = pg_current_xact_id()::xid
                   and row_number() over (partition by m.id, i.valid and i.to_known
                                          order by i.n) = 1 as new
              from item i
              left join messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
        )
        select j.n::int, j.status, case when j.status = 'ok' then j.id end,
               case when j.status = 'ok' then j.stamp end, j.status = 'ok' and not j.new,
               j.status = 'ok' and j.own, null
          from judged j
         order by j.n;
end $$;

drop function chatd.messages_between(bigint, bigint, bigint, bigint, int);

-- Of the messages of a conversation at most max_rows, the newest between the bounds, or the oldest if
-- only after is given. Expanded where it is called. The index is named by the order: where the
-- planner thinks of a table that is smaller than it is, it would go through all messages by id.
create function chatd.messages_between(conversation bigint, before bigint, after bigint, max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select m.*
      from ((select * from messages
              where after is not null and before is null
                and (conversation_id, id) > (conversation, after)
                and conversation_id <= conversation
              order by conversation_id, id
              limit max_rows)
            union all
            (select * from messages
              where not (after is not null and before is null)
                and (conversation_id, id) < (conversation, coalesce(before, 9223372036854775807))
                and conversation_id >= conversation
              order by conversation_id desc, id desc
              limit max_rows)) m
     where m.id > coalesce(after, 0)
$$;

create or replace function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    conversation constant bigint := conversation_of(user_id, other_id);
    found int;
    upto bigint; -- bytes that the page has at most
    page text;
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
    known := true; -- whoever has messages
    if page is null then
        known := exists (select from users u where u.id = other_id);
    end if;
    history := case when known then '[' || coalesce(page, '') || ']' end;
    return next;
end $$;

-- As before, with the conversation in the frame.
create or replace function chatd_api.event_read(host_id bigint, after bigint, max_rows int,
    careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- However many changes concern other hosts only, one call is short; the caller goes on from
    -- the last row's cursor.
    upto constant bigint := least(change_last(), after + 50000);
    here constant text := (select i.tag from instance i
                            where exists (select from hosts h where h.id = event_read.host_id));
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    if here is null then
        raise exception 'host % is not attached', event_read.host_id using errcode = 'CH001';
    end if;
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.conversation_id, m.sender_id, u.username,
                                       m.receiver_id, m.content, m.created_at) end
          from messages m
          join users u on u.id = m.sender_id
         where m.id > after and m.id <= upto
           and ((select true from sessions s
                  where s.user_id = m.receiver_id and s.host_id = event_read.host_id limit 1)
                or (select true from sessions s
                     where s.user_id = m.sender_id and s.host_id = event_read.host_id limit 1))
         order by m.id
         limit max_rows
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text;
    end if;
end $$;

-- Of what a user sent or received at most max_rows messages, the first after a change. They are in
-- those conversations only whose own first ones are the first so many. Expanded where it is called.
create function chatd.messages_by_conversation(user_id bigint, after bigint, upto bigint, max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select m.*
      from (select f.conversation_id
              from (select c.conversation_id,
                           (select m.id from messages m
                             where (m.conversation_id, m.id) > (c.conversation_id, after)
                               and m.conversation_id <= c.conversation_id
                             order by m.conversation_id, m.id
                             limit 1) as first
                      from contacts c
                     where c.user_id = messages_by_conversation.user_id) f
             where f.first <= upto
             order by f.first
             limit max_rows) c
     cross join lateral (select * from messages m
                          where (m.conversation_id, m.id) > (c.conversation_id, after)
                            and m.conversation_id <= c.conversation_id
                          order by m.conversation_id, m.id
                          limit max_rows) m
     where m.id <= upto
     order by m.id
     limit max_rows
$$;

-- The same, looked for among all changes. Expanded where it is called.
create function chatd.messages_by_change(user_id bigint, after bigint, upto bigint, max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select *
      from messages
     where id > after and id <= upto and user_id in (sender_id, receiver_id)
     order by id
     limit max_rows
$$;

-- As before. One call is short, however many conversations a user has: beyond a thousand it is cheaper
-- to look through all changes, so many at a time. Where there are more, a last row with an empty array
-- of users says how far this one looked.
create or replace function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint,
    max_rows int, careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    here constant text := (select i.tag from instance i);
    few constant boolean := (select count(*) <= 1000
                               from (select from contacts c
                                      where c.user_id = event_read_user.user_id limit 1001) c);
    looked constant bigint := case when few then upto else least(upto, after + 20000) end;
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.conversation_id, m.sender_id,
                                       -- Not a join, which might begin with all users.
                                       (select u.username from users u where u.id = m.sender_id),
                                       m.receiver_id, m.content, m.created_at) end
          from ((select * from messages_by_conversation(event_read_user.user_id, after, looked, max_rows)
                  where few)
                union all
                (select * from messages_by_change(event_read_user.user_id, after, looked, max_rows)
                  where not few)) m
         order by m.id
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 then
        return query
            select looked, case when looked < upto then stamp_at(looked) end,
                   case when looked < upto then '{}'::bigint[] end, null::bigint, null::text;
    end if;
end $$;
