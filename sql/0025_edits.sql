-- Whoever sent a message may change its text, or delete it. The text that was there is gone, unless the
-- operator wants to keep it.
--
-- A change of a message has a number of the one sequence of changes, as a message has. `changed` is that
-- of the change by which the message got its present state; null: it is as it was sent. So whoever resumes
-- gets each changed message once, in its latest state, and never a text that was there before.
--
-- No row is written anew; the table is read three times, once for the constraint and once for each index.
-- chatd is stopped meanwhile, and nobody reads messages. Each message that comes takes 8 bytes more.

alter table chatd.messages
    add column changed bigint,
    add column edited_at timestamptz, -- when it was last changed or deleted
    add column deleted boolean,
    drop constraint messages_content_created_at_check,
    add constraint messages_content_created_at_check
        check (octet_length(content) >= case when deleted then 0 else 1 end
               and octet_length(content) <= 65536 and isfinite(created_at));

create index messages_changed on chatd.messages (changed) where changed is not null;
create index messages_conversation_changed on chatd.messages (conversation_id, changed)
    include (id, deleted) where changed is not null;

-- What was replaced or deleted, if the operator keeps it (audit in chatd.conf). Only the owner of the
-- database reads it, and nothing here removes it.
create table chatd.earlier_texts (
    message_id bigint not null,
    replaced_at timestamptz not null default clock_timestamp(),
    content text not null
);

create index earlier_texts_message on chatd.earlier_texts (message_id, replaced_at);

create or replace function chatd.change_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off
as $$
begin
    return greatest((select max(id) from messages), (select max(changed) from messages), 0);
end $$;

-- Changes --------------------------------------------------------------------------------------

-- Any update of a text is a change, also one that is typed into psql. Of the text of a
-- deleted message nothing is left.
create function chatd.message_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if new.deleted then
        new.content := '';
    end if;
    new.changed := nextval('change_seq');
    new.edited_at := clock_timestamp();
    return new;
end $$;

create trigger messages_update_lock before update of content, deleted on chatd.messages
    for each statement execute function chatd.change_lock();

create trigger message_changing before update of content, deleted on chatd.messages
    for each row when (old.content is distinct from new.content or old.deleted is distinct from new.deleted)
    execute function chatd.message_changing();

-- As before, for changes of messages, too.
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
                         where (select true from sessions s
                                 where s.user_id = m.sender_id and s.host_id = h.id limit 1)
                            or (select true from sessions s
                                 where s.user_id = m.receiver_id and s.host_id = h.id limit 1));
    end if;
    return null;
end $$;

create trigger messages_updated after update on chatd.messages referencing new table as inserted
    for each statement execute function chatd.messages_inserted();

-- What is counted for quotas. Days are those of UTC.
create function chatd.sent_add(user_ids bigint[], messages bigint[], bytes bigint[]) returns void
language sql
as $$
    insert into chatd.sent as s (user_id, day, messages, bytes)
    select i.user_id, chatd.today(), i.messages, i.bytes
      from unnest(user_ids, messages, bytes) i (user_id, messages, bytes)
     order by i.user_id
    on conflict (user_id) do update
       set day = excluded.day,
           messages = excluded.messages + case when s.day = excluded.day then s.messages else 0 end,
           bytes = excluded.bytes + case when s.day = excluded.day then s.bytes else 0 end
$$;

create or replace function chatd.messages_count(sender_ids bigint[], client_ids text[]) returns void
language sql
as $$
    select chatd.sent_add(array_agg(c.sender_id), array_agg(c.messages), array_agg(c.bytes))
      from (select m.sender_id, count(*) as messages, sum(octet_length(m.content)) as bytes
              from (select distinct u.sender_id, u.client_id
                      from unnest(sender_ids, client_ids) u (sender_id, client_id)) i
              join chatd.messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
             where m.xmin = pg_current_xact_id()::xid
             group by m.sender_id) c
$$;

-- May these users change these messages so? A content that is null deletes. bytes: what counts for the
-- quota, which is only text that is new. Whoever is not of the conversation learns of no message there.
create function chatd.changes_judged(user_ids bigint[], conversation_ids bigint[], message_ids bigint[],
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
                                        when m.sender_id <> i.user_id then 'not_sender'
                                        when i.content is null then 'ok'
                                        when m.deleted
                                             or bool_or(i.content is null and m.sender_id = i.user_id)
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
                              left join chatd.messages m
                                on m.id = i.message_id and m.conversation_id = i.conversation_id
                                   and i.user_id in (m.sender_id, m.receiver_id)) c) r
              left join chatd.sent s on s.user_id = r.user_id and s.day = chatd.today()) j
$$;

-- What the messages of such a batch are to be in the end, in the order of the input, in which their changes
-- are numbered.
create function chatd.changes_last(message_ids bigint[], contents text[], statuses text[])
returns table (message_id bigint, content text)
language sql stable
as $$
    select l.message_id, l.content
      from (select distinct on (i.message_id) i.message_id, i.content, i.n
              from unnest(message_ids, contents, statuses) with ordinality i (message_id, content, status, n)
             where i.status = 'ok'
             order by i.message_id, i.n desc) l
     order by l.n
$$;

-- Changes messages of a conversation, or deletes them, where the content is null: each for a user, who
-- must have sent it. They count in the order of the input; where a batch changes a message several times
-- only the last text is ever stored. Each gets its own result: `change` is the one by which the message
-- got its present state, which is an earlier one if it was so already. Hence a repeat does no harm.
--
-- edit_time: so many milliseconds after it was sent the text of a message may still be changed; max_bytes and
-- max_messages: the quota, for which a new text counts as a message does; null: no bound. audit: keep the texts that were there.
create function chatd_api.message_change(host_id bigint, user_ids bigint[], conversation_ids bigint[],
    message_ids bigint[], contents text[], edit_time bigint default null,
    max_bytes bigint default null, audit boolean default false, max_messages bigint default null)
returns table (ordinal int, status text, change bigint, stamp int)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- Read by messages_inserted().
    storing constant text := set_config('chatd.host', host_id::text, true);
    statuses text[];
    sizes bigint[];
begin
    lock table change_lock in share update exclusive mode;
    -- A transaction that writes nothing does not wait for a synchronous standby, see message_send().
    perform pg_current_xact_id();
    select array_agg(j.status order by j.n), array_agg(j.bytes order by j.n)
      into statuses, sizes
      from changes_judged(user_ids, conversation_ids, message_ids, contents, edit_time, max_bytes,
                          max_messages) j;
    if max_bytes is not null or max_messages is not null then
        perform sent_add(array_agg(c.user_id), array_agg(c.texts), array_agg(c.bytes))
           from (select i.user_id, count(*) as texts, sum(i.bytes)::bigint as bytes
                   from unnest(user_ids, statuses, sizes) i (user_id, status, bytes)
                  where i.status = 'ok' and i.bytes > 0
                  group by i.user_id) c;
    end if;
    if audit then
        insert into earlier_texts (message_id, content)
        select m.id, m.content
          from changes_last(message_ids, contents, statuses) c
          join messages m on m.id = c.message_id
         where m.content <> coalesce(c.content, '');
    end if;
    update messages m
       set content = coalesce(c.content, ''), deleted = case when c.content is null then true else m.deleted end
      from changes_last(message_ids, contents, statuses) c
     where m.id = c.message_id and m.content <> coalesce(c.content, '');
    return query
        select i.n::int, i.status, case when i.status = 'ok' then coalesce(m.changed, m.id) end,
               case when i.status = 'ok' then stamp_at(coalesce(m.changed, m.id)) end
          from unnest(message_ids, statuses) with ordinality i (message_id, status, n)
          left join messages m on m.id = i.message_id
         order by i.n;
end $$;

-- One message as a history shows it; null: there is none that this user may see.
create function chatd_api.message_show(user_id bigint, conversation_id bigint, message_id bigint)
returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off
as $$
begin
    return (select message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                m.created_at, m.edited_at, m.deleted)
              from messages m
             where m.id = message_show.message_id and m.conversation_id = message_show.conversation_id
               and message_show.user_id in (m.sender_id, m.receiver_id));
end $$;

-- What clients are told -------------------------------------------------------------------------

-- What there is to say of a message that was changed, behind what there is to say of any.
create function chatd.changed_json(edited_at timestamptz, deleted boolean) returns text
language sql stable
as $$
    select coalesce(',"edited_at":' || json_time(edited_at), '')
        || case when deleted then ',"deleted":true' else '' end
$$;

drop function chatd.message_frame(text, bigint, bigint, bigint, text, bigint, text, timestamptz);

-- As before. more: members of the data, each behind a comma. With a constant the planner puts it together
-- with what follows, so that a plain message costs what it did.
create function chatd.message_frame(tag text, id bigint, conversation_id bigint, sender_id bigint,
    sender text, receiver_id bigint, content text, created_at timestamptz, more text) returns text
language sql stable
as $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || '","receiver_id":' || receiver_id
        || ',"created_at":' || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || (more || ',"cursor":"') || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

-- The text for a change of a message, with the stamp of the change.
create function chatd.change_frame(tag text, change bigint, stamp int, id bigint, conversation_id bigint,
    content text, edited_at timestamptz, deleted boolean) returns text
language sql stable
as $$
    select '{"type":"message_changed","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"edited_at":' || coalesce(json_time(edited_at), 'null')
        || ',"deleted":' || case when deleted then 'true' else 'false' end
        || ',"cursor":"' || tag || '-' || change || '-' || stamp || '"}}'
$$;

drop function chatd.message_json(bigint, bigint, bigint, bigint, text, timestamptz);

create function chatd.message_json(id bigint, conversation_id bigint, sender_id bigint,
    receiver_id bigint, content text, created_at timestamptz, edited_at timestamptz, deleted boolean)
returns text
language sql stable
as $$
    select '{"id":' || id || ',"conversation_id":' || conversation_id || ',"sender_id":' || sender_id
        || ',"receiver_id":' || receiver_id || ',"content":' || to_json(content)::text
        || ',"created_at":' || json_time(created_at) || (changed_json(edited_at, deleted) || '}')
$$;

-- As before, with what was changed.
create or replace function chatd.message_page(conversation bigint, before bigint, after bigint, max_rows int,
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
                                       m.created_at, m.edited_at, m.deleted),
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
                                                      r.content, r.created_at, r.edited_at, r.deleted) end as text
                          from (select m.*, row_number() over w as n,
                                       row_number() over w <= max_rows
                                       and sum(octet_length(m.content)) over w <= most as wanted
                                  from messages_between(conversation, before, after, max_rows + 1) m
                                window w as (order by case when forward then m.id else -m.id end)) r) s) t;
    end if;
    page := '[' || coalesce(page, '') || ']';
end $$;

create or replace function chatd.conversations_seen(caller_id bigint, mode text, conversations bigint[], lasts bigint[],
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
                        and not b.blocked
                   then 'true' else 'false' end
           || ',"read_upto":' || case when b.blocked then 0 else p.read_upto end
           || ',"delivered_upto":' || case when b.blocked then 0 else p.delivered_upto end
           || '},"unread":' || n.unread || ',"read_upto":' || me.read_upto
           || ',"delivered_upto":' || me.delivered_upto || ',"last_message":'
           || coalesce(case when not careful or is_readable(m.id, m.content)
                            then message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                              m.created_at, m.edited_at, m.deleted) end, 'null') || '}'
      from unnest(conversations, lasts) l (conversation_id, last)
     -- Not joins, which might begin with whole tables.
     cross join lateral (select * from conversations c where c.id = l.conversation_id offset 0) c
     cross join lateral (select * from members m
                          where m.conversation_id = c.id and m.user_id = caller_id offset 0) me
     cross join lateral (select * from members m
                          where m.conversation_id = c.id
                          order by m.user_id = caller_id limit 1) p
     cross join lateral (select exists (select from contacts k
                                         where k.user_id = caller_id and k.contact_id = p.user_id
                                           and k.blocked) as blocked) b
     cross join lateral (select * from users u where u.id = p.user_id offset 0) u
      left join lateral (select * from messages m where m.id = l.last offset 0) m on true
     -- Of the last thousand changes, what was deleted.
     cross join lateral (select coalesce(array_agg(r.id) filter (where r.deleted), '{}') as ids
                           from (select r.id, r.deleted from messages r
                                  where r.conversation_id = c.id and r.changed > me.read_upto
                                    and r.changed is not null
                                  order by r.conversation_id desc, r.changed desc
                                  limit 1000) r) gone
     cross join lateral (select greatest(me.read_upto, max(r.id)) as id
                           from (select r.id, r.sender_id from messages r
                                  where r.conversation_id = c.id and r.id > me.read_upto
                                  order by r.conversation_id desc, r.id desc
                                  limit 100 + cardinality(gone.ids)) r
                          where r.sender_id = caller_id) since
     cross join lateral (select least(100, count(*) - (select count(*) from unnest(gone.ids) g (id)
                                                        where g.id > since.id)) as unread
                           from (select from messages r
                                  where r.conversation_id = c.id and r.id > since.id
                                  order by r.conversation_id desc, r.id desc
                                  limit 100 + cardinality(gone.ids)) r) n
$$;


-- What a client gets at this place in the order: the message, or its latest change. `place` is the id of the
-- one or the number of the other. The stamp of a change is that of the last message before it: the row
-- itself may move on to another place, and a cursor that names this one is still good. So it does not tell
-- changes from others that have the same numbers in a database that lost them, until a message follows.
create function chatd.event_stamp(place bigint, id bigint, created_at timestamptz) returns int
language sql stable
as $$
    select case when place = id then change_stamp(created_at) else stamp_at(place) end
$$;

create function chatd.event_frame(tag text, place bigint, id bigint, conversation_id bigint, sender_id bigint,
    sender text, receiver_id bigint, content text, created_at timestamptz, edited_at timestamptz,
    deleted boolean) returns text
language sql stable
as $$
    select case when place = id
                then message_frame(tag, id, conversation_id, sender_id, sender, receiver_id, content, created_at,
                                   changed_json(edited_at, deleted))
                else change_frame(tag, place, stamp_at(place), id, conversation_id, content, edited_at, deleted)
                end
$$;

-- What event_read() answers with where something was changed since: changes of messages among the messages.
-- Those go to all connections of both users, so they have no origin. It has the settings of its caller.
create function chatd.event_read_edited(here text, host_id bigint, after bigint, upto bigint, max_rows int,
    careful boolean)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame in
        select m.place, event_stamp(m.place, m.id, m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id and m.place = m.id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then event_frame(here, m.place, m.id, m.conversation_id, m.sender_id, u.username,
                                     m.receiver_id, m.content, m.created_at, m.edited_at, m.deleted) end
          from ((select c.id as place, c.*
                   from messages c
                  where c.id > after and c.id <= upto
                    and ((select true from sessions s
                           where s.user_id = c.receiver_id and s.host_id = event_read_edited.host_id limit 1)
                         or (select true from sessions s
                              where s.user_id = c.sender_id and s.host_id = event_read_edited.host_id limit 1))
                  order by c.id
                  limit max_rows)
                union all
                (select c.changed, c.*
                   from messages c
                  where c.changed > after and c.changed <= upto
                    and ((select true from sessions s
                           where s.user_id = c.receiver_id and s.host_id = event_read_edited.host_id limit 1)
                         or (select true from sessions s
                              where s.user_id = c.sender_id and s.host_id = event_read_edited.host_id limit 1))
                  order by c.changed
                  limit max_rows)) m
          join users u on u.id = m.sender_id
         order by m.place
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

-- As before. Where nothing was changed since, that is all that it costs.
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
    last_edit constant bigint := (select max(m.changed) from messages m);
    upto constant bigint := least(greatest((select max(m.id) from messages m), last_edit, 0), after + 50000);
    here constant text := (select i.tag from instance i
                            where exists (select from hosts h where h.id = event_read.host_id));
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    if here is null then
        raise exception 'host % is not attached', event_read.host_id using errcode = 'CH001';
    end if;
    if last_edit > after then
        return query select * from event_read_edited(here, event_read.host_id, after, upto, max_rows, careful);
        return;
    end if;
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.conversation_id, m.sender_id, u.username,
                                       m.receiver_id, m.content, m.created_at, '') end
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

-- As messages_by_conversation() and messages_by_change(), of what was changed, by the changes.
create function chatd.changed_by_conversation(user_id bigint, after bigint, upto bigint, max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select m.*
      from (select f.conversation_id
              from (select c.conversation_id,
                           (select m.changed from messages m
                             where (m.conversation_id, m.changed) > (c.conversation_id, after)
                               and m.conversation_id <= c.conversation_id and m.changed is not null
                             order by m.conversation_id, m.changed
                             limit 1) as first
                      from contacts c
                     where c.user_id = changed_by_conversation.user_id) f
             where f.first <= upto
             order by f.first
             limit max_rows) c
     cross join lateral (select * from messages m
                          where (m.conversation_id, m.changed) > (c.conversation_id, after)
                            and m.conversation_id <= c.conversation_id and m.changed is not null
                          order by m.conversation_id, m.changed
                          limit max_rows) m
     where m.changed <= upto
     order by m.changed
     limit max_rows
$$;

create function chatd.changed_by_change(user_id bigint, after bigint, upto bigint, max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select *
      from messages
     where changed > after and changed <= upto and user_id in (sender_id, receiver_id)
     order by changed
     limit max_rows
$$;

-- As event_read_edited(), for event_read_user().
create function chatd.event_read_user_edited(here text, user_id bigint, after bigint, upto bigint, few boolean,
    looked bigint, max_rows int, careful boolean)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable
as $$
#variable_conflict use_column
declare
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame in
        select m.place, event_stamp(m.place, m.id, m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id and m.place = m.id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then event_frame(here, m.place, m.id, m.conversation_id, m.sender_id,
                                     -- Not a join, which might begin with all users.
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, m.content, m.created_at, m.edited_at, m.deleted) end
          from ((select c.id as place, c.*
                   from messages_by_conversation(event_read_user_edited.user_id, after, looked, max_rows) c
                  where few)
                union all
                (select c.id, c.*
                   from messages_by_change(event_read_user_edited.user_id, after, looked, max_rows) c
                  where not few)
                union all
                (select c.changed, c.*
                   from changed_by_conversation(event_read_user_edited.user_id, after, looked, max_rows) c
                  where few)
                union all
                (select c.changed, c.*
                   from changed_by_change(event_read_user_edited.user_id, after, looked, max_rows) c
                  where not few)) m
         order by m.place
         limit max_rows
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

-- As before.
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
    if (select max(m.changed) from messages m) > after then
        return query select * from event_read_user_edited(here, event_read_user.user_id, after, upto, few,
                                                          looked, max_rows, careful);
        return;
    end if;
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.conversation_id, m.sender_id,
                                       -- Not a join, which might begin with all users.
                                       (select u.username from users u where u.id = m.sender_id),
                                       m.receiver_id, m.content, m.created_at, '') end
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

drop function chatd_api.message_send(bigint, bigint[], bigint[], text[], bigint[], text[], boolean[], bigint, bigint);

-- As before; a message may name its conversation instead of its receiver, who is told in any case. What a
-- message was that has been changed since is not known: one that comes again with its id
-- is taken for it.
create function chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[], framed boolean[],
    max_messages bigint default null, max_bytes bigint default null, conversation_ids bigint[] default null)
returns table (ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
    own boolean, frame text, receiver_id bigint)
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
    if conversation_ids is not null then
        receiver_ids := receivers_named(sender_ids, receiver_ids, conversation_ids);
    end if;
    loop
        conversations := array(select (select c.conversation_id from contacts c
                                        where c.user_id = i.sender_id and c.contact_id = i.receiver_id
                                          and not c.blocked)
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
                                        m.receiver_id, m.content, m.created_at, '') end,
                      m.receiver_id;
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
                                     m.receiver_id, m.content, m.created_at, '') end,
                   m.receiver_id
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
        with judged as (
            select i.n, i.receiver_id, m.id, change_stamp(m.created_at) as stamp,
                   coalesce(m.origin = i.origin, false) as own,
                   case when i.n = any (over) then 'quota'
                        when (octet_length(i.content) between 1 and 65536
                              and char_length(i.client_id) between 1 and 64) is not true then 'invalid'
                        when m.same then 'ok'
                        when i.receiver_id is null and conversation_ids[i.n] > 0 then 'unknown_conversation'
                        else coalesce(refusal(i.sender_id, i.receiver_id), 'conflict') end as status,
                   m.xmin = pg_current_xact_id()::xid
                   and row_number() over (partition by m.id, m.same order by i.n) = 1 as new
              from unnest(sender_ids, receiver_ids, client_ids, origins, contents)
                   with ordinality i (sender_id, receiver_id, client_id, origin, content, n)
              left join lateral (
                   select m.id, m.created_at, m.origin, m.xmin,
                          m.receiver_id = i.receiver_id
                          and (m.content = i.content or m.changed is not null) as same
                     from messages m
                    where m.sender_id = i.sender_id and m.client_id = i.client_id) m on true
        )
        select j.n::int, j.status, case when j.status = 'ok' then j.id end,
               case when j.status = 'ok' then j.stamp end, j.status = 'ok' and not j.new,
               j.status = 'ok' and j.own, null, j.receiver_id
          from judged j
         order by j.n;
end $$;
