CREATE SCHEMA chatd;

CREATE SCHEMA chatd_api;

CREATE FUNCTION chatd.bcrypt_cost(hash text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $_$ select case when hash ~ '^\$2[aby]\$[0-9]{2}\$.{53}$' then substr(hash, 5, 2)::int end $_$;

CREATE FUNCTION chatd.blocks_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    pair constant blocks := coalesce(new, old);
begin
    update contacts c set blocked = not c.blocked
     where (c.user_id, c.contact_id) in ((pair.user_id, pair.blocked_id), (pair.blocked_id, pair.user_id))
       and c.blocked <> is_blocked(pair.user_id, pair.blocked_id);
    if tg_op <> 'DELETE' and pair.told and pair.change is distinct from old.change then
        perform pg_notify('chatd_' || h.id, 'p ' || pair.change) from hosts h;
    end if;
    return null;
end $$;

CREATE FUNCTION chatd.blocks_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    other constant bigint := (select b.change from blocks b
                               where b.user_id = new.blocked_id and b.blocked_id = new.user_id
                                 and b.blocked_at is not null);
begin
    if other is not null then
        if tg_op = 'INSERT' or old.change < other then
            new.change := other;
            new.told := false;
        end if;
    elsif tg_op = 'INSERT' or (old.blocked_at is null) <> (new.blocked_at is null) then
        perform nextval('presence_seq');
        new.change := nextval('presence_seq');
        new.told := true;
    end if;
    return new;
end $$;

CREATE FUNCTION chatd.change_frame(tag text, change bigint, stamp integer, id bigint, conversation_id bigint, content text, edited_at timestamp with time zone, deleted boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"message_changed","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"edited_at":' || coalesce(json_time(edited_at), 'null')
        || ',"deleted":' || case when deleted then 'true' else 'false' end
        || ',"cursor":"' || tag || '-' || change || '-' || stamp || '"}}'
$$;

CREATE FUNCTION chatd.change_last() RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
begin
    return greatest((select max(id) from messages), (select max(changed) from messages), 0);
end $$;

CREATE FUNCTION chatd.change_lock() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
    lock table chatd.change_lock in share update exclusive mode;
    return null;
end $$;

CREATE FUNCTION chatd.change_stamp(moment timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    AS $$ select date_part('microseconds', moment)::int $$;

CREATE TABLE chatd.messages (
    id bigint NOT NULL,
    sender_id bigint NOT NULL,
    receiver_id bigint NOT NULL,
    client_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    origin bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content text NOT NULL,
    conversation_id bigint NOT NULL,
    changed bigint,
    edited_at timestamp with time zone,
    deleted boolean,
    CONSTRAINT messages_client_id_check CHECK (((char_length(client_id) >= 1) AND (char_length(client_id) <= 64))),
    CONSTRAINT messages_content_created_at_check CHECK (((octet_length(content) >=
CASE
    WHEN deleted THEN 0
    ELSE 1
END) AND (octet_length(content) <= 65536) AND isfinite(created_at)))
);

CREATE FUNCTION chatd.changed_by_change(user_id bigint, after bigint, upto bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
    select *
      from messages
     where changed > after and changed <= upto and user_id in (sender_id, receiver_id)
     order by changed
     limit max_rows
$$;

CREATE FUNCTION chatd.changed_by_conversation(user_id bigint, after bigint, upto bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.changed_json(edited_at timestamp with time zone, deleted boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select coalesce(',"edited_at":' || json_time(edited_at), '')
        || case when deleted then ',"deleted":true' else '' end
$$;

CREATE FUNCTION chatd.changes_judged(user_ids bigint[], conversation_ids bigint[], message_ids bigint[], contents text[], edit_time bigint, max_bytes bigint, max_messages bigint) RETURNS TABLE(n bigint, user_id bigint, status text, bytes bigint)
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.changes_last(message_ids bigint[], contents text[], statuses text[]) RETURNS TABLE(message_id bigint, content text)
    LANGUAGE sql STABLE
    AS $$
    select l.message_id, l.content
      from (select distinct on (i.message_id) i.message_id, i.content, i.n
              from unnest(message_ids, contents, statuses) with ordinality i (message_id, content, status, n)
             where i.status = 'ok'
             order by i.message_id, i.n desc) l
     order by l.n
$$;

CREATE FUNCTION chatd.contact_make(user_id bigint, other_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    conversation constant bigint := coalesce(conversation_of(user_id, other_id),
        conversation_of(other_id, user_id), nextval('conversation_seq'));
    blocked constant boolean := is_blocked(user_id, other_id);
begin
    insert into conversations (id) values (conversation) on conflict do nothing;
    insert into members (conversation_id, user_id)
    select distinct conversation, m.id
      from unnest(array[contact_make.user_id, other_id]) m (id)
        on conflict do nothing;
    insert into contacts (user_id, contact_id, conversation_id, blocked)
    values (contact_make.user_id, other_id, conversation, blocked),
           (other_id, contact_make.user_id, conversation, blocked)
    on conflict do nothing;
    return conversation;
end $$;

CREATE FUNCTION chatd.conversation_of(user_id bigint, other_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return (select c.conversation_id from chatd.contacts c
             where c.user_id = conversation_of.user_id
               and c.contact_id = conversation_of.other_id);
end $$;

CREATE FUNCTION chatd.conversation_seen(conversation bigint, who bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return exists (select from chatd.members m
                    where m.conversation_id = conversation and m.user_id = who);
end $$;

CREATE FUNCTION chatd.conversations_make(known bigint[], sender_ids bigint[], receiver_ids bigint[], client_ids text[], contents text[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    -- Messages that are refused must not make the batch of others wait.
    if not exists (select from unnest(known, sender_ids, receiver_ids) i (known, sender_id, receiver_id)
                    where i.known is null and refusal(i.sender_id, i.receiver_id) is null) then
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
                        and refusal(i.sender_id, i.receiver_id) is null
                        and not exists (select from messages m
                                         where m.sender_id = i.sender_id and m.client_id = i.client_id)
                      order by i.sender_id, i.client_id, i.n) s
              where conversation_of(s.sender_id, s.receiver_id) is null) p;
    return found;
end $$;

CREATE FUNCTION chatd.conversations_seen(caller_id bigint, mode text, conversations bigint[], lasts bigint[], careful boolean) RETURNS TABLE(last bigint, line text)
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.cursor_honoured(change bigint, stamp integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return coalesce(change between 0 and change_last() and stamp_at(change) = stamp, false);
end $$;

CREATE FUNCTION chatd.event_frame(tag text, place bigint, id bigint, conversation_id bigint, sender_id bigint, sender text, receiver_id bigint, content text, created_at timestamp with time zone, edited_at timestamp with time zone, deleted boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select case when place = id
                then message_frame(tag, id, conversation_id, sender_id, sender, receiver_id, content, created_at,
                                   changed_json(edited_at, deleted))
                else change_frame(tag, place, stamp_at(place), id, conversation_id, content, edited_at, deleted)
                end
$$;

CREATE FUNCTION chatd.event_read_edited(here text, host_id bigint, after bigint, upto bigint, max_rows integer, careful boolean) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text)
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION chatd.event_read_user_edited(here text, user_id bigint, after bigint, upto bigint, few boolean, looked bigint, max_rows integer, careful boolean) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text)
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION chatd.event_stamp(place bigint, id bigint, created_at timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    select case when place = id then change_stamp(created_at) else stamp_at(place) end
$$;

CREATE FUNCTION chatd.is_blocked(one_id bigint, other_id bigint, below bigint DEFAULT '9223372036854775807'::bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return exists (select from chatd.blocks b
                    where b.user_id = one_id and b.blocked_id = other_id and b.blocked_at is not null
                      and b.change < below)
        or exists (select from chatd.blocks b
                    where b.user_id = other_id and b.blocked_id = one_id and b.blocked_at is not null
                      and b.change < below);
end $$;

CREATE FUNCTION chatd.is_free(id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return not exists (select from chatd.blocks b where b.user_id = id)
        and not exists (select from chatd.blocks b where b.blocked_id = id);
end $$;

CREATE FUNCTION chatd.is_readable(id bigint, content text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return to_json(content) is not null;
exception when data_exception or data_corrupted or index_corrupted then
    raise warning 'message % cannot be read and is left out: %', id, sqlerrm
        using errcode = 'CH002', detail = id;
    return false;
end $$;

CREATE FUNCTION chatd.json_time(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$ select to_char(moment at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""') $$;

CREATE FUNCTION chatd.me_json(id bigint, username text, display_name text, email text, created_at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"id":' || id || ',"username":"' || username || '","display_name":'
        || coalesce(to_json(display_name)::text, 'null') || ',"email":' || to_json(email)::text
        || ',"created_at":' || json_time(created_at) || '}'
$$;

CREATE FUNCTION chatd.message_addressed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    new.conversation_id := coalesce(conversation_of(new.sender_id, new.receiver_id),
                                    contact_make(new.sender_id, new.receiver_id));
    return new;
end $$;

CREATE FUNCTION chatd.message_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if new.deleted then
        new.content := '';
    end if;
    new.changed := nextval('change_seq');
    new.edited_at := clock_timestamp();
    return new;
end $$;

CREATE FUNCTION chatd.message_frame(tag text, id bigint, conversation_id bigint, sender_id bigint, sender text, receiver_id bigint, content text, created_at timestamp with time zone, more text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || '","receiver_id":' || receiver_id
        || ',"created_at":' || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || (more || ',"cursor":"') || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

CREATE FUNCTION chatd.message_json(id bigint, conversation_id bigint, sender_id bigint, receiver_id bigint, content text, created_at timestamp with time zone, edited_at timestamp with time zone, deleted boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"id":' || id || ',"conversation_id":' || conversation_id || ',"sender_id":' || sender_id
        || ',"receiver_id":' || receiver_id || ',"content":' || to_json(content)::text
        || ',"created_at":' || json_time(created_at) || (changed_json(edited_at, deleted) || '}')
$$;

CREATE FUNCTION chatd.message_page(conversation bigint, before bigint, after bigint, max_rows integer, careful boolean, OUT page text, OUT next bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.message_upto(conversation bigint, upto bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return (select m.id from chatd.messages m
             where (m.conversation_id, m.id) <= (conversation, upto)
               and m.conversation_id >= conversation
             order by m.conversation_id desc, m.id desc
             limit 1);
end $$;

CREATE FUNCTION chatd.messages_between(conversation bigint, before bigint, after bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.messages_by_change(user_id bigint, after bigint, upto bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
    select *
      from messages
     where id > after and id <= upto and user_id in (sender_id, receiver_id)
     order by id
     limit max_rows
$$;

CREATE FUNCTION chatd.messages_by_conversation(user_id bigint, after bigint, upto bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.messages_count(sender_ids bigint[], client_ids text[]) RETURNS void
    LANGUAGE sql
    AS $$
    select chatd.sent_add(array_agg(c.sender_id), array_agg(c.messages), array_agg(c.bytes))
      from (select m.sender_id, count(*) as messages, sum(octet_length(m.content)) as bytes
              from (select distinct u.sender_id, u.client_id
                      from unnest(sender_ids, client_ids) u (sender_id, client_id)) i
              join chatd.messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
             where m.xmin = pg_current_xact_id()::xid
             group by m.sender_id) c
$$;

CREATE FUNCTION chatd.messages_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd.messages_over(sender_ids bigint[], client_ids text[], contents text[], max_messages bigint, max_bytes bigint) RETURNS integer[]
    LANGUAGE sql STABLE
    AS $$
    select coalesce(array_agg(c.n::int), '{}')
      from (select i.n, coalesce(s.messages, 0) + count(*) over sender as messages,
                   coalesce(s.bytes, 0) + sum(octet_length(i.content)) over sender as bytes
              from unnest(sender_ids, client_ids, contents)
                   with ordinality i (sender_id, client_id, content, n)
              left join chatd.sent s on s.user_id = i.sender_id and s.day = chatd.today()
             where not exists (select from chatd.messages m
                                where m.sender_id = i.sender_id and m.client_id = i.client_id)
            window sender as (partition by i.sender_id order by i.n)) c
     where c.messages > max_messages or c.bytes > max_bytes
$$;

CREATE FUNCTION chatd.name_json(username text, display_name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '"username":"' || username || '"' || coalesce(',"display_name":' || to_json(display_name)::text, '')
$$;

CREATE FUNCTION chatd.page_bytes() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 262144 $$;

CREATE FUNCTION chatd.presence_audience(who bigint, host bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET enable_sort TO 'on'
    AS $$
begin
    if (select count(*) from (select from contacts c where c.user_id = who limit 1001) few) <= 1000 then
        return array(select c.contact_id from contacts c
                      where c.user_id = who
                        and (select true from sessions s
                              where s.user_id = c.contact_id and s.host_id = host limit 1)
                      order by c.contact_id);
    end if;
    return array(select distinct s.user_id from sessions s
                  where s.host_id = host
                    and (select true from contacts c
                          where c.user_id = who and c.contact_id = s.user_id)
                  order by s.user_id);
end $$;

CREATE FUNCTION chatd.presence_changes(after bigint, max_rows integer, mode text) RETURNS TABLE(change bigint, user_id bigint, username text, online boolean, audience bigint[], view boolean)
    LANGUAGE sql STABLE
    AS $$
    select r.change, r.user_id, (select u.username from users u where u.id = r.user_id), r.online,
           r.audience, r.view
      from ((select p.change, p.user_id, p.online, null::bigint[] as audience, false as view
               from presence p
              where p.change > after
              order by p.change
              limit max_rows)
            union all
            (select v.change, v.user_id, v.online, v.audience, true
               from presence_views(after, max_rows, mode) v)
            order by change
            limit max_rows) r
     where mode in ('all', 'contacts')
     order by r.change
$$;

CREATE FUNCTION chatd.presence_hidden(who bigint, host bigint, change bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET enable_sort TO 'on'
    AS $$
#variable_conflict use_column
begin
    if is_free(who) then
        return null;
    elsif (select count(*) from (select from blocks b where b.blocked_id = who limit 1001) few) <= 1000 then
        return array(select distinct o.id
                       from (select b.blocked_id as id from blocks b where b.user_id = who
                             union all
                             select b.user_id from blocks b where b.blocked_id = who) o
                      where (select true from sessions s
                              where s.user_id = o.id and s.host_id = host limit 1)
                        and is_blocked(who, o.id, presence_hidden.change)
                      order by o.id);
    end if;
    return array(select distinct s.user_id from sessions s
                  where s.host_id = host and is_blocked(who, s.user_id, presence_hidden.change)
                  order by s.user_id);
end $$;

CREATE FUNCTION chatd.presence_last() RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    AS $$
begin
    return greatest((select p.change from presence p order by p.change desc limit 1),
                    (select b.change from blocks b where b.told order by b.change desc limit 1), 0);
end $$;

CREATE FUNCTION chatd.presence_update(changed bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    flipped bigint[];
    last bigint;
begin
    with put as (
        insert into presence (user_id, online, change)
        select f.user_id, f.online, nextval('presence_seq')
          from (select n.user_id, n.online
                  from (select u.id as user_id,
                               exists (select from sessions s where s.user_id = u.id) as online
                          from users u
                         where u.id = any (changed)) n
                 where n.online <> coalesce((select p.online from presence p
                                              where p.user_id = n.user_id), false)
                 order by n.user_id) f
        on conflict (user_id) do update set online = excluded.online, change = excluded.change
        returning user_id, change)
    select array_agg(put.user_id), max(put.change) into flipped, last from put;
    if last is null then
        return;
    end if;
    with ordered as (
        select id from users where id = any (flipped) order by id for no key update)
    update users set last_seen = now() from ordered where users.id = ordered.id;
    perform pg_notify('chatd_' || h.id, 'p ' || last) from hosts h;
end $$;

CREATE FUNCTION chatd.presence_views(after bigint, max_rows integer, mode text) RETURNS TABLE(change bigint, user_id bigint, online boolean, audience bigint[])
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
begin
    return query
        select v.change, v.user_id, coalesce(v.online and not v.hidden, false),
               case when (v.online or v.hidden and v.last > v.change)
                         and (mode = 'all'
                              or exists (select from contacts c
                                          where c.user_id = v.viewer_id and c.contact_id = v.user_id))
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

CREATE FUNCTION chatd.receipt_shown(conversation bigint, of_id bigint, viewer_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return not exists (select from chatd.contacts c
                        where c.user_id = of_id and c.contact_id = viewer_id
                          and c.conversation_id = conversation and c.blocked);
end $$;

CREATE FUNCTION chatd.receivers_named(sender_ids bigint[], receiver_ids bigint[], conversation_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return array(select case when i.conversation_id = 0 then i.receiver_id
                             when conversation_seen(i.conversation_id, i.sender_id) then
                                 (select m.user_id from members m
                                   where m.conversation_id = i.conversation_id
                                     and conversation_of(i.sender_id, m.user_id) = i.conversation_id
                                   limit 1) end
                   from unnest(sender_ids, receiver_ids, conversation_ids) with ordinality
                        i (sender_id, receiver_id, conversation_id, n)
                  order by i.n);
end $$;

CREATE FUNCTION chatd.refusal(sender_id bigint, receiver_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return case when not exists (select from chatd.users u where u.id = sender_id) then 'unknown_sender'
                when not exists (select from chatd.users u where u.id = receiver_id) then 'unknown_receiver'
                when chatd.is_blocked(sender_id, receiver_id) then 'refused' end;
end $$;

CREATE FUNCTION chatd.sent_add(user_ids bigint[], messages bigint[], bytes bigint[]) RETURNS void
    LANGUAGE sql
    AS $$
    insert into chatd.sent as s (user_id, day, messages, bytes)
    select i.user_id, chatd.today(), i.messages, i.bytes
      from unnest(user_ids, messages, bytes) i (user_id, messages, bytes)
     order by i.user_id
    on conflict (user_id) do update
       set day = excluded.day,
           messages = excluded.messages + case when s.day = excluded.day then s.messages else 0 end,
           bytes = excluded.bytes + case when s.day = excluded.day then s.bytes else 0 end
$$;

CREATE FUNCTION chatd.sessions_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform presence_update(array(select distinct user_id from deleted));
    return null;
end $$;

CREATE FUNCTION chatd.sessions_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform presence_update(array(select distinct user_id from inserted));
    return null;
end $$;

CREATE FUNCTION chatd.stamp_at(change bigint) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    AS $$
begin
    return coalesce((select change_stamp(m.created_at) from messages m
                      where m.id <= change order by m.id desc limit 1), 0);
end $$;

CREATE FUNCTION chatd.today() RETURNS date
    LANGUAGE sql STABLE
    AS $$ select (now() at time zone 'UTC')::date $$;

CREATE FUNCTION chatd.token_birth() RETURNS bigint
    LANGUAGE sql
    AS $$ select 1 + ('x' || right(gen_random_uuid()::text, 12))::bit(48)::bigint $$;

CREATE FUNCTION chatd.token_step() RETURNS bigint
    LANGUAGE sql
    AS $$ select 1 + ('x' || right(gen_random_uuid()::text, 8))::bit(32)::bigint $$;

CREATE FUNCTION chatd.unix_time(moment timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$ select coalesce(floor(extract(epoch from moment))::bigint, 0) $$;

CREATE FUNCTION chatd.user_disable(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    update users set disabled = true where id = user_named(name);
end $$;

CREATE FUNCTION chatd.user_enable(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    update users set disabled = false where id = user_named(name);
end $$;

CREATE FUNCTION chatd.user_json(id bigint, username text, email text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ select '{"id":' || id || ',"username":"' || username || '","email":' || to_json(email)::text || '}' $$;

CREATE FUNCTION chatd.user_logout(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    update users set token_generation = token_generation + 1 where id = user_named(name);
end $$;

CREATE FUNCTION chatd.user_named(name text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    found_id constant bigint := (select u.id from users u where lower(u.username collate "C") = lower(name collate "C"));
begin
    if found_id is null then
        raise exception 'there is no user "%"', name using errcode = 'no_data_found';
    end if;
    return found_id;
end $$;

CREATE FUNCTION chatd.users_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if (new.disabled, new.token_generation) is not distinct from (old.disabled, old.token_generation)
       and (new.password_hash is not distinct from old.password_hash
            or new.rehashes > old.rehashes) then
        return new;
    end if;
    -- Enabling counts too: of two states of a user the one with the higher generation is the later.
    new.token_generation := greatest(old.token_generation, new.token_generation) + token_step();
    new.revocation := nextval('revocation_seq');
    new.revoked_at := greatest(old.revoked_at, clock_timestamp());
    return new;
end $$;

CREATE FUNCTION chatd.users_inserting() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    before bigint;
begin
    if not new.disabled and not exists (select from removed_users r where r.id = new.id) then
        return new;
    end if;
    lock table change_lock in share update exclusive mode;
    delete from removed_users r where r.id = new.id returning r.generation into before;
    new.token_generation := greatest(before, new.token_generation) + token_step();
    new.revocation := nextval('revocation_seq');
    new.revoked_at := clock_timestamp();
    return new;
end $$;

CREATE FUNCTION chatd.users_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    insert into removed_users as r (id, revocation, generation)
    values (old.id, nextval('revocation_seq'), old.token_generation + token_step())
    on conflict on constraint removed_users_pkey do update
       set revocation = excluded.revocation, generation = greatest(r.generation, excluded.generation);
    return null;
end $$;

CREATE FUNCTION chatd.users_revoked() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform pg_notify('chatd_' || h.id, 'r') from hosts h;
    return null;
end $$;

CREATE FUNCTION chatd_api.conversation_history(caller_id bigint, conversation_id bigint, before bigint, after bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(known boolean, history text, next bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
    if conversation_seen(conversation_id, caller_id) then
        return query select true, p.* from message_page(conversation_id, before, after, max_rows, careful) p;
    else
        return query select false, null::text, null::bigint;
    end if;
end $$;

CREATE FUNCTION chatd_api.conversation_list(caller_id bigint, mode text, before bigint, max_rows integer, careful boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.conversation_show(caller_id bigint, conversation_id bigint, mode text, careful boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
    return (select c.line
              from conversations_seen(caller_id, mode, array[conversation_id],
                                      array[message_upto(conversation_id, 9223372036854775807)], careful) c);
end $$;

CREATE FUNCTION chatd_api.cursor_honoured(change bigint, stamp integer) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return chatd.cursor_honoured(change, stamp);
end $$;

CREATE FUNCTION chatd_api.event_read(host_id bigint, after bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.event_read_user(user_id bigint, after bigint, upto bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.host_attach(name text, change bigint, stamp integer) RETURNS TABLE(host_id bigint, tag text, honoured boolean, cursor bigint, cursor_stamp integer, presence bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    new_id bigint;
    last constant bigint := change_last();
begin
    new_id := nextval('host_seq');
    insert into hosts (id, name) values (new_id, host_attach.name);
    execute format('listen %I', 'chatd_' || new_id);
    return query
        select new_id, i.tag, cursor_honoured(host_attach.change, host_attach.stamp), last,
               stamp_at(last), presence_last()
          from instance i;
end $$;

CREATE FUNCTION chatd_api.host_beat(host_id bigint) RETURNS TABLE(other_id bigint, beat bigint, gone boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
    update hosts h set beat = h.beat + 1 where h.id = host_beat.host_id;
    if not found then
        raise exception 'host % is not attached', host_beat.host_id using errcode = 'CH001';
    end if;
    return query
        select h.id, h.beat, not exists (select from pg_stat_get_activity(h.backend))
          from hosts h
         where h.id <> host_beat.host_id;
end $$;

CREATE FUNCTION chatd_api.host_sweep(host_ids bigint[], beats bigint[], max_rows integer) RETURNS TABLE(removed integer, some_left boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    AS $$
#variable_conflict use_column
declare
    gone bigint := 0;
begin
    lock table change_lock in share update exclusive mode;
    delete from hosts h using unnest(host_ids, beats) d (id, beat)
     where h.id = d.id and h.beat = d.beat;
    get diagnostics removed = row_count;
    loop
        gone := (select s.host_id from sessions s where s.host_id > gone order by s.host_id limit 1);
        exit when gone is null or not exists (select from hosts h where h.id = gone);
    end loop;
    if gone is not null then
        delete from sessions s
         where s.host_id = gone
           and s.session_id in (select n.session_id from sessions n where n.host_id = gone
                                 order by n.session_id limit max_rows);
    end if;
    some_left := gone is not null;
    return next;
end $$;

CREATE FUNCTION chatd_api.member_list(caller_id bigint, conversation_id bigint, mode text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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
                                              and not b.blocked
                                         then 'true' else 'false' end
                                 || ',"read_upto":' || case when b.blocked then 0 else m.read_upto end
                                 || ',"delivered_upto":' || case when b.blocked then 0 else m.delivered_upto end
                                 || '}', ',' order by m.user_id) || ']'
          from members m
         cross join lateral (select * from conversations c where c.id = m.conversation_id offset 0) c
         cross join lateral (select exists (select from contacts k
                                             where k.user_id = caller_id and k.contact_id = m.user_id
                                               and k.blocked) as blocked) b
         cross join lateral (select * from users u where u.id = m.user_id offset 0) u
         where m.conversation_id = member_list.conversation_id);
end $$;

CREATE FUNCTION chatd_api.message_change(host_id bigint, user_ids bigint[], conversation_ids bigint[], message_ids bigint[], contents text[], edit_time bigint DEFAULT NULL::bigint, max_bytes bigint DEFAULT NULL::bigint, audit boolean DEFAULT false, max_messages bigint DEFAULT NULL::bigint) RETURNS TABLE(ordinal integer, status text, change bigint, stamp integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.message_history(user_id bigint, other_id bigint, before bigint, after bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(known boolean, history text, next bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[], client_ids text[], origins bigint[], contents text[], framed boolean[], max_messages bigint DEFAULT NULL::bigint, max_bytes bigint DEFAULT NULL::bigint, conversation_ids bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(ordinal integer, status text, message_id bigint, stamp integer, duplicate boolean, own boolean, frame text, receiver_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

CREATE FUNCTION chatd_api.message_show(user_id bigint, conversation_id bigint, message_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
begin
    return (select message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                m.created_at, m.edited_at, m.deleted)
              from messages m
             where m.id = message_show.message_id and m.conversation_id = message_show.conversation_id
               and message_show.user_id in (m.sender_id, m.receiver_id));
end $$;

CREATE FUNCTION chatd_api.presence_check(user_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    made int;
begin
    lock table change_lock in share update exclusive mode;
    insert into presence as p (user_id, online, change)
    select u.id, true, nextval('presence_seq') from users u where u.id = any (user_ids)
    on conflict (user_id) do update set online = true, change = excluded.change where not p.online;
    get diagnostics made = row_count;
    perform presence_update(user_ids);
    return made;
end $$;

CREATE FUNCTION chatd_api.presence_online(host_id bigint, after bigint, upto bigint, max_rows integer) RETURNS TABLE(change bigint, user_id bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
    if not exists (select from hosts h where h.id = presence_online.host_id) then
        raise exception 'host % is not attached', presence_online.host_id using errcode = 'CH001';
    end if;
    return query
        select p.change, p.user_id
          from presence p
         where p.online and case when p.online then p.change end > after
           and case when p.online then p.change end <= upto
         order by case when p.online then p.change end
         limit max_rows;
end $$;

CREATE FUNCTION chatd_api.presence_read(host_id bigint, after bigint, max_rows integer, mode text) RETURNS TABLE(change bigint, user_id bigint, username text, online boolean, audience bigint[], hidden bigint[], view boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
    if not exists (select from hosts h where h.id = presence_read.host_id) then
        raise exception 'host % is not attached', presence_read.host_id using errcode = 'CH001';
    end if;
    return query
        select c.change, c.user_id, c.username, c.online,
               case when mode = 'contacts' and not c.view
                    then presence_audience(c.user_id, presence_read.host_id) else c.audience end,
               case when not c.view then presence_hidden(c.user_id, presence_read.host_id, c.change) end,
               c.view
          from presence_changes(after, max_rows, mode) c;
end $$;

CREATE FUNCTION chatd_api.presence_read_user(reader_id bigint, after bigint, max_rows integer, mode text) RETURNS TABLE(change bigint, user_id bigint, username text, online boolean, audience bigint[], hidden bigint[], view boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
    free constant boolean := is_free(reader_id);
begin
    return query
        select c.change, c.user_id, c.username, c.online,
               case when mode = 'contacts' and not c.view
                    then array(select k.contact_id from contacts k
                                where k.user_id = c.user_id and k.contact_id = reader_id)
                    else c.audience end,
               case when not (free or c.view) and is_blocked(c.user_id, reader_id, c.change)
                    then array[reader_id] end,
               c.view
          from presence_changes(after, max_rows, mode) c;
end $$;

CREATE FUNCTION chatd_api.receipt_put(host_id bigint, user_ids bigint[], conversation_ids bigint[], message_ids bigint[], read boolean[]) RETURNS TABLE(ordinal integer, receiver_id bigint, conversation_id bigint, user_id bigint, read_upto bigint, delivered_upto bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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
                                       where m.conversation_id = r.conversation_id
                                         and receipt_shown(r.conversation_id, r.user_id, m.user_id) offset 0) t
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
                              where m.conversation_id = r.conversation_id
                                and receipt_shown(r.conversation_id, r.user_id, m.user_id) offset 0) t
         where (select true from sessions s
                 where s.user_id = t.user_id and s.host_id = receipt_put.host_id limit 1);
end $$;

CREATE FUNCTION chatd_api.revocation_read(after bigint, max_rows integer) RETURNS TABLE(revocation bigint, user_id bigint, generation bigint, disabled boolean, revoked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    AS $$
#variable_conflict use_column
begin
    if after = 0 then
        lock table change_lock in share update exclusive mode;
    end if;
    return query
        (select u.revocation, u.id, u.token_generation, u.disabled, unix_time(u.revoked_at)
           from users u
          where u.revocation > after
          order by u.revocation limit max_rows)
        union all
        (select r.revocation, r.id, r.generation, false, 9223372036854775807
           from removed_users r
          where r.revocation > after
          order by r.revocation limit max_rows)
        order by 1
        limit max_rows;
end $$;

CREATE FUNCTION chatd_api.schema_version() RETURNS integer
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return (select max(number) from schema_version);
end $$;

CREATE FUNCTION chatd_api.session_close(host_id bigint, session_ids bigint[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    closed int;
begin
    lock table change_lock in share update exclusive mode;
    if not exists (select from hosts h where h.id = session_close.host_id) then
        raise exception 'host % is not attached', session_close.host_id using errcode = 'CH001';
    end if;
    delete from sessions s
     where s.host_id = session_close.host_id and s.session_id = any (session_ids);
    get diagnostics closed = row_count;
    return closed;
end $$;

CREATE FUNCTION chatd_api.session_open(host_id bigint, session_ids bigint[], user_ids bigint[], changes bigint[], stamps bigint[]) RETURNS TABLE(session_id bigint, known boolean, cursor bigint, cursor_stamp integer, presence bigint, honoured boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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
               case when i.change >= 0 then cursor_honoured(i.change, i.stamp::int) else false end
          from unnest(session_ids, user_ids, changes, stamps)
               with ordinality i (session_id, user_id, change, stamp, n)
         order by i.n;
end $$;

CREATE FUNCTION chatd_api.typing_tell(host_id bigint, sender_ids bigint[], receiver_ids bigint[], conversation_ids bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(receiver_id bigint, conversation_id bigint, user_id bigint, username text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
    -- Without a conversation, or without a name, nobody is told of a pair.
    senders bigint[];
    receivers bigint[];
    conversations bigint[];
    names text[];
begin
    if conversation_ids is not null then
        receiver_ids := receivers_named(sender_ids, receiver_ids, conversation_ids);
    end if;
    select array_agg(p.sender_id order by p.n), array_agg(p.receiver_id order by p.n),
           array_agg((select c.conversation_id from contacts c
                       where c.user_id = p.sender_id and c.contact_id = p.receiver_id
                         and not c.blocked and c.contact_id <> c.user_id)
                     order by p.n),
           array_agg((select u.username from users u where u.id = p.sender_id and not u.disabled)
                     order by p.n)
      into senders, receivers, conversations, names
      from unnest(sender_ids, receiver_ids) with ordinality p (sender_id, receiver_id, n);
    if exists (select from hosts h where h.id <> typing_tell.host_id) then
        perform pg_notify('chatd_' || b.id, b.bell)
           from (select h.id,
                        't' || string_agg(' ' || t.receiver || ' ' || t.conversation || ' ' || t.sender
                                          || ' ' || t.name, '' order by t.n) as bell
                   from hosts h, unnest(receivers, conversations, senders, names) with ordinality
                                 t (receiver, conversation, sender, name, n)
                  where h.id <> typing_tell.host_id
                    and t.conversation is not null and t.name is not null
                    and (select true from sessions s
                          where s.user_id = t.receiver and s.host_id = h.id limit 1)
                  group by h.id) b;
        -- A crash may lose a bell: no need to wait for the disk.
        if found then
            perform set_config('synchronous_commit', 'off', true);
        end if;
    end if;
    return query
        select t.receiver, t.conversation, t.sender, t.name
          from unnest(receivers, conversations, senders, names) with ordinality
               t (receiver, conversation, sender, name, n)
         where t.conversation is not null and t.name is not null
           and (select true from sessions s
                 where s.user_id = t.receiver and s.host_id = typing_tell.host_id limit 1)
         order by t.n;
end $$;

CREATE FUNCTION chatd_api.user_available(username text, email text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $_$
begin
    return case
        when (username ~ '^[A-Za-z0-9_.-]{1,32}$' and octet_length(email) between 1 and 254) is not true
            then 'invalid'
        when exists (select from users u where lower(u.username collate "C") = lower(user_available.username collate "C"))
            then 'username_taken'
        when exists (select from users u where lower(u.email collate "C") = lower(user_available.email collate "C"))
            then 'email_taken'
        else 'ok' end;
end $_$;

CREATE FUNCTION chatd_api.user_block(user_id bigint, other_id bigint, blocking boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.user_blocks(user_id bigint, after_id bigint, max_rows integer) RETURNS TABLE(blocks text, next bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
    return query
        select '[' || coalesce(string_agg(
                   '{"id":' || u.id || ',"username":"' || u.username || '","display_name":'
                   || coalesce(to_json(u.display_name)::text, 'null')
                   || ',"blocked_at":' || json_time(p.blocked_at) || '}', ',' order by p.n)
                   filter (where p.n <= max_rows), '') || ']',
               case when count(*) > max_rows then max(u.id) filter (where p.n = max_rows) end
          from (select b.blocked_id, b.blocked_at, row_number() over (order by b.blocked_id) as n
                  from blocks b
                 where b.user_id = user_blocks.user_id and b.blocked_id > after_id
                   and b.blocked_at is not null
                 order by b.blocked_id limit max_rows + 1) p
          join users u on u.id = p.blocked_id;
end $$;

CREATE FUNCTION chatd_api.user_change(id bigint, display_name text, email text, compared bigint) RETURNS TABLE(status text, me text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    own users;
begin
    select * into own from users u where u.id = user_change.id and not u.disabled for no key update;
    if own.id is null then
        return query select 'gone', null::text;
        return;
    elsif user_change.email is not null and own.token_generation is distinct from compared then
        return query select 'stale', null::text;
        return;
    elsif exists (select from users u
                   where lower(u.email collate "C") = lower(user_change.email collate "C")
                     and u.id <> own.id) then
        return query select 'email_taken', null::text;
        return;
    end if;
    return query
        update users u
           set display_name = case when user_change.display_name is null then u.display_name
                                   else nullif(user_change.display_name, '') end,
               email = coalesce(user_change.email, u.email)
         where u.id = own.id
        returning 'ok', me_json(u.id, u.username, u.display_name, u.email, u.created_at);
exception
    when unique_violation then
        return query select 'email_taken', null::text;
    when check_violation then
        return query select 'invalid', null::text;
end $$;

CREATE FUNCTION chatd_api.user_credentials(id bigint) RETURNS TABLE(dearest integer, user_id bigint, username text, password_hash text, user_json text, generation bigint, disabled boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select 0, u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from users u
         where u.id = user_credentials.id;
end $$;

CREATE FUNCTION chatd_api.user_credentials(name text, most integer) RETURNS TABLE(dearest integer, user_id bigint, username text, password_hash text, user_json text, generation bigint, disabled boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select d.cost, u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from (select (select bcrypt_cost(c.password_hash) from users c
                         where bcrypt_cost(c.password_hash) <= most
                         order by bcrypt_cost(c.password_hash) desc limit 1) as cost) d
          left join users u on lower(u.username collate "C") = lower(user_credentials.name collate "C");
end $$;

CREATE FUNCTION chatd_api.user_list(caller_id bigint, mode text, after_id bigint, max_rows integer, prefix text) RETURNS TABLE(users text, next bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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
                                   and exists (select from contacts c
                                                where c.user_id = caller_id
                                                  and c.contact_id = u.id))
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

CREATE FUNCTION chatd_api.user_logout(id bigint) RETURNS TABLE(generation bigint, disabled boolean, revoked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        update users u set token_generation = u.token_generation + 1 where u.id = user_logout.id
        returning u.token_generation, u.disabled, unix_time(u.revoked_at);
end $$;

CREATE FUNCTION chatd_api.user_me(id bigint) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
begin
    return (select me_json(u.id, u.username, u.display_name, u.email, u.created_at)
              from users u where u.id = user_me.id);
end $$;

CREATE FUNCTION chatd_api.user_password(id bigint, compared bigint, new_hash text) RETURNS TABLE(generation bigint, disabled boolean, revoked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        update users u set password_hash = new_hash
         where u.id = user_password.id and u.token_generation = user_password.compared
           and not u.disabled
        returning u.token_generation, u.disabled, unix_time(u.revoked_at);
end $$;

CREATE FUNCTION chatd_api.user_register(username text, email text, password_hash text) RETURNS TABLE(status text, user_id bigint, user_json text, generation bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    available text := case when password_hash is null then 'invalid'
                           else chatd_api.user_available(username, email) end;
    taken text;
begin
    if available <> 'ok' then
        return query select available, null::bigint, null::text, null::bigint;
        return;
    end if;
    return query
        insert into users as u (username, email, password_hash)
        values (user_register.username, user_register.email, user_register.password_hash)
        returning 'ok', u.id, user_json(u.id, u.username, u.email), u.token_generation;
exception
    when unique_violation then
        get stacked diagnostics taken = constraint_name;
        return query select case taken when 'users_email_key' then 'email_taken'
                                       else 'username_taken' end, null::bigint, null::text,
                            null::bigint;
end $$;

CREATE FUNCTION chatd_api.user_rehash(id bigint, old_hash text, new_hash text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
begin
    update users u set password_hash = new_hash, rehashes = u.rehashes + 1
     where u.id = user_rehash.id and u.password_hash = old_hash;
end $$;

CREATE FUNCTION chatd_api.user_standing(id bigint) RETURNS TABLE(generation bigint, disabled boolean, revoked bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select u.token_generation, u.disabled,
               unix_time(coalesce(u.revoked_at, u.created_at - interval '1 minute'))
          from users u
         where u.id = user_standing.id;
end $$;

CREATE TABLE chatd.blocks (
    user_id bigint NOT NULL,
    blocked_id bigint NOT NULL,
    blocked_at timestamp with time zone DEFAULT clock_timestamp(),
    change bigint NOT NULL,
    told boolean NOT NULL,
    CONSTRAINT blocks_check CHECK ((user_id <> blocked_id))
);

CREATE TABLE chatd.change_lock (
);

ALTER TABLE chatd.messages ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME chatd.change_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE chatd.contacts (
    user_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    conversation_id bigint NOT NULL,
    blocked boolean DEFAULT false NOT NULL
);

CREATE SEQUENCE chatd.conversation_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE chatd.conversations (
    id bigint NOT NULL,
    kind text DEFAULT 'direct'::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT conversations_kind_check CHECK ((kind = 'direct'::text))
);

CREATE TABLE chatd.earlier_texts (
    message_id bigint NOT NULL,
    replaced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content text NOT NULL
);

CREATE SEQUENCE chatd.host_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE UNLOGGED TABLE chatd.hosts (
    id bigint DEFAULT nextval('chatd.host_seq'::regclass) NOT NULL,
    name text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    beat bigint DEFAULT 0 NOT NULL,
    backend integer DEFAULT pg_backend_pid() NOT NULL
);

CREATE TABLE chatd.instance (
    tag text NOT NULL,
    CONSTRAINT instance_tag_check CHECK ((tag ~ '^[0-9a-f]{12}$'::text))
);

CREATE TABLE chatd.members (
    conversation_id bigint NOT NULL,
    user_id bigint NOT NULL,
    read_upto bigint DEFAULT 0 NOT NULL,
    delivered_upto bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='80');

CREATE UNLOGGED TABLE chatd.presence (
    user_id bigint NOT NULL,
    online boolean NOT NULL,
    change bigint NOT NULL
);

CREATE SEQUENCE chatd.presence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE chatd.removed_users (
    id bigint NOT NULL,
    revocation bigint NOT NULL,
    generation bigint NOT NULL
);

CREATE SEQUENCE chatd.revocation_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE chatd.schema_version (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE chatd.sent (
    user_id bigint NOT NULL,
    day date NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL
)
WITH (fillfactor='50');

CREATE UNLOGGED TABLE chatd.sessions (
    host_id bigint NOT NULL,
    session_id bigint NOT NULL,
    user_id bigint NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE chatd.users (
    id bigint NOT NULL,
    username text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen timestamp with time zone,
    disabled boolean DEFAULT false NOT NULL,
    token_generation bigint DEFAULT chatd.token_birth() NOT NULL,
    revoked_at timestamp with time zone,
    revocation bigint,
    rehashes integer DEFAULT 0 NOT NULL,
    display_name text,
    CONSTRAINT users_created_at_check CHECK (isfinite(created_at)),
    CONSTRAINT users_display_name_check CHECK ((((char_length(display_name) >= 1) AND (char_length(display_name) <= 64)) AND ((display_name COLLATE "C") !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]|^ | $'::text))),
    CONSTRAINT users_email_check CHECK (((octet_length(email) >= 1) AND (octet_length(email) <= 254))),
    CONSTRAINT users_revoked_at_check CHECK (isfinite(revoked_at)),
    CONSTRAINT users_username_check CHECK ((username ~ '^[A-Za-z0-9_.-]{1,32}$'::text))
);

ALTER TABLE chatd.users ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME chatd.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY chatd.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (user_id, blocked_id);

ALTER TABLE ONLY chatd.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (user_id, contact_id);

ALTER TABLE ONLY chatd.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (conversation_id, user_id);

ALTER TABLE ONLY chatd.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.presence
    ADD CONSTRAINT presence_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY chatd.removed_users
    ADD CONSTRAINT removed_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.removed_users
    ADD CONSTRAINT removed_users_revocation_key UNIQUE (revocation);

ALTER TABLE ONLY chatd.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY chatd.sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY chatd.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (host_id, session_id);

ALTER TABLE ONLY chatd.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX blocks_blocked ON chatd.blocks USING btree (blocked_id, user_id);

CREATE UNIQUE INDEX blocks_told ON chatd.blocks USING btree (change) WHERE told;

CREATE INDEX earlier_texts_message ON chatd.earlier_texts USING btree (message_id, replaced_at);

CREATE UNIQUE INDEX instance_only_one ON chatd.instance USING btree ((true));

CREATE INDEX members_user ON chatd.members USING btree (user_id, conversation_id);

CREATE INDEX messages_changed ON chatd.messages USING btree (changed) WHERE (changed IS NOT NULL);

CREATE UNIQUE INDEX messages_client_id ON chatd.messages USING btree (sender_id, client_id);

CREATE INDEX messages_conversation ON chatd.messages USING btree (conversation_id, id) INCLUDE (sender_id);

CREATE INDEX messages_conversation_changed ON chatd.messages USING btree (conversation_id, changed) INCLUDE (id, deleted) WHERE (changed IS NOT NULL);

CREATE UNIQUE INDEX presence_change ON chatd.presence USING btree (change);

CREATE INDEX presence_online ON chatd.presence USING btree ((
CASE
    WHEN online THEN change
    ELSE NULL::bigint
END)) WHERE online;

CREATE INDEX sessions_user_id ON chatd.sessions USING btree (user_id, host_id);

CREATE INDEX users_bcrypt_cost ON chatd.users USING btree (chatd.bcrypt_cost(password_hash));

CREATE UNIQUE INDEX users_email_key ON chatd.users USING btree (lower((email COLLATE "C")));

CREATE UNIQUE INDEX users_revocation ON chatd.users USING btree (revocation) WHERE (revocation IS NOT NULL);

CREATE UNIQUE INDEX users_username_key ON chatd.users USING btree (lower((username COLLATE "C")));

CREATE TRIGGER blocks_changed AFTER INSERT OR DELETE OR UPDATE ON chatd.blocks FOR EACH ROW EXECUTE FUNCTION chatd.blocks_changed();

CREATE TRIGGER blocks_changing BEFORE INSERT OR UPDATE ON chatd.blocks FOR EACH ROW EXECUTE FUNCTION chatd.blocks_changing();

CREATE TRIGGER blocks_lock BEFORE INSERT OR DELETE OR UPDATE ON chatd.blocks FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER message_addressed BEFORE INSERT ON chatd.messages FOR EACH ROW WHEN ((new.conversation_id IS NULL)) EXECUTE FUNCTION chatd.message_addressed();

CREATE TRIGGER message_changing BEFORE UPDATE OF content, deleted ON chatd.messages FOR EACH ROW WHEN (((old.content IS DISTINCT FROM new.content) OR (old.deleted IS DISTINCT FROM new.deleted))) EXECUTE FUNCTION chatd.message_changing();

CREATE TRIGGER messages_inserted AFTER INSERT ON chatd.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.messages_inserted();

CREATE TRIGGER messages_lock BEFORE INSERT ON chatd.messages FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER messages_update_lock BEFORE UPDATE OF content, deleted ON chatd.messages FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER messages_updated AFTER UPDATE ON chatd.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.messages_inserted();

CREATE TRIGGER sessions_deleted AFTER DELETE ON chatd.sessions REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION chatd.sessions_deleted();

CREATE TRIGGER sessions_inserted AFTER INSERT ON chatd.sessions REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.sessions_inserted();

CREATE TRIGGER sessions_lock BEFORE INSERT OR DELETE ON chatd.sessions FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER users_changing BEFORE UPDATE OF disabled, token_generation, password_hash ON chatd.users FOR EACH ROW EXECUTE FUNCTION chatd.users_changing();

CREATE TRIGGER users_delete_lock BEFORE DELETE ON chatd.users FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER users_deleted AFTER DELETE ON chatd.users FOR EACH STATEMENT EXECUTE FUNCTION chatd.users_revoked();

CREATE TRIGGER users_inserted AFTER INSERT ON chatd.users FOR EACH ROW WHEN ((new.revocation IS NOT NULL)) EXECUTE FUNCTION chatd.users_revoked();

CREATE TRIGGER users_inserting BEFORE INSERT ON chatd.users FOR EACH ROW EXECUTE FUNCTION chatd.users_inserting();

CREATE TRIGGER users_removed AFTER DELETE ON chatd.users FOR EACH ROW EXECUTE FUNCTION chatd.users_removed();

CREATE TRIGGER users_update_lock BEFORE UPDATE OF disabled, token_generation, password_hash ON chatd.users FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER users_updated AFTER UPDATE OF disabled, token_generation, password_hash ON chatd.users FOR EACH STATEMENT EXECUTE FUNCTION chatd.users_revoked();

ALTER TABLE ONLY chatd.blocks
    ADD CONSTRAINT blocks_blocked_id_fkey FOREIGN KEY (blocked_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.blocks
    ADD CONSTRAINT blocks_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.contacts
    ADD CONSTRAINT contacts_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id);

ALTER TABLE ONLY chatd.members
    ADD CONSTRAINT members_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES chatd.conversations(id);

ALTER TABLE ONLY chatd.members
    ADD CONSTRAINT members_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.presence
    ADD CONSTRAINT presence_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.sent
    ADD CONSTRAINT sent_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

