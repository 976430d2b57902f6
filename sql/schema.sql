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

CREATE FUNCTION chatd.caller_refusal(conversation bigint, caller_id bigint, doing text, other_id bigint DEFAULT NULL::bigint, wanted text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return case when group_role(conversation, caller_id) is null and conversation_seen(conversation, caller_id)
                then 'role'
                else group_refusal(group_role(conversation, caller_id), doing, group_role(conversation, other_id),
                                   wanted) end;
end $$;

CREATE FUNCTION chatd.change_frame(tag text, change bigint, stamp integer, id bigint, conversation_id bigint, content text, edited_at timestamp with time zone, deleted boolean, more text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"message_changed","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"edited_at":' || coalesce(json_time(edited_at), 'null')
        || ',"deleted":' || case when deleted then 'true' else 'false' end
        || (more || ',"cursor":"') || tag || '-' || change || '-' || stamp || '"}}'
$$;

CREATE FUNCTION chatd.change_last() RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
begin
    return greatest((select max(id) from messages), (select max(changed) from messages),
                    -- Not max(): a plan from when there were none would read them all.
                    (select change from group_changes order by change desc limit 1),
                    (select r.horizon from retention r), 0);
end $$;

CREATE FUNCTION chatd.change_lock() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
    lock table chatd.change_lock in share update exclusive mode;
    return null;
end $$;

CREATE FUNCTION chatd.change_seen(conversation bigint, who bigint, change bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return exists (select from chatd.members m
                    where m.conversation_id = conversation and m.user_id = who
                      and change > m.since and change <= coalesce(m.until, 9223372036854775807));
end $$;

CREATE FUNCTION chatd.change_stamp(moment timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    AS $$ select date_part('microseconds', moment)::int $$;

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

CREATE FUNCTION chatd.conversation_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform group_changed(new.id, null, null, new.changed, tg_op = 'INSERT');
    return null;
end $$;

CREATE FUNCTION chatd.conversation_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    new.changed := nextval('change_seq');
    return new;
end $$;

CREATE FUNCTION chatd.conversation_frame(tag text, change bigint, conversation bigint) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"conversation","data":{"conversation_id":' || c.id || ',"kind":"' || c.kind || '","name":'
        || to_json(c.name)::text || ',"created_at":' || json_time(c.created_at)
        || ',"member_count":' || c.member_count
        || ',"cursor":"' || tag || '-' || change || '-' || stamp_at(change) || '"}}'
      from conversations c where c.id = conversation
$$;

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
                    where m.conversation_id = conversation and m.user_id = who and m.until is null);
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

CREATE FUNCTION chatd.conversations_seen(caller_id bigint, mode text, conversations bigint[], lasts bigint[], places bigint[], careful boolean) RETURNS TABLE(place bigint, line text)
    LANGUAGE sql STABLE
    AS $$
    select l.place,
           '{"id":' || c.id || ',"kind":"' || c.kind || '","name":' || coalesce(to_json(c.name)::text, 'null')
           || ',"created_at":' || json_time(c.created_at)
           || case when me.role is null then p.peer
                   else ',"role":"' || me.role || '","member_count":' || c.member_count
                        || ',"history":"' || case when c.full_history then 'all' else 'joined' end || '"' end
           || ',"unread":' || n.unread || ',"read_upto":' || me.read_upto
           || ',"delivered_upto":' || me.delivered_upto || ',"last_message":'
           || coalesce(case when not careful or is_readable(m.id, m.content)
                            then message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                              m.created_at, m.edited_at, m.deleted,
                                              more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, caller_id) end)) end, 'null') || '}'
      from unnest(conversations, lasts, places) l (conversation_id, last, place)
     -- Not joins, which might begin with whole tables.
     cross join lateral (select * from conversations c where c.id = l.conversation_id offset 0) c
     cross join lateral (select * from members m
                          where m.conversation_id = c.id and m.user_id = caller_id and m.until is null offset 0) me
      left join lateral (
           select ',"peer":{"id":' || p.user_id || ',' || name_json(u.username, u.display_name)
                  || ',"online":'
                  || case when (mode <> 'off' or p.user_id = caller_id)
                               and exists (select from sessions s where s.user_id = p.user_id)
                               and not b.blocked
                          then 'true' else 'false' end
                  || ',"read_upto":' || case when b.blocked then 0 else p.read_upto end
                  || ',"delivered_upto":' || case when b.blocked then 0 else p.delivered_upto end || '}' as peer
             from (select * from members m
                    where m.conversation_id = c.id and me.role is null
                    order by m.user_id = caller_id limit 1) p
            cross join lateral (select exists (select from contacts k
                                                where k.user_id = caller_id and k.contact_id = p.user_id
                                                  and k.blocked) as blocked) b
            cross join lateral (select * from users u where u.id = p.user_id offset 0) u) p on true
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
     where me.role is not null or p.peer is not null
$$;

CREATE FUNCTION chatd.crowd() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 50 $$;

CREATE FUNCTION chatd.cursor_honoured(change bigint, stamp integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return coalesce(change between 0 and change_last() and stamp_at(change) = stamp, false);
end $$;

CREATE FUNCTION chatd.cursor_honoured(change bigint, stamp integer, user_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
begin
    return cursor_honoured(change, stamp)
           and (change >= (select r.horizon from retention r)
                or not exists (select from members m
                                 join conversations c on c.id = m.conversation_id
                                where m.user_id = cursor_honoured.user_id and c.horizon > change));
end $$;

CREATE FUNCTION chatd.event_frame(tag text, place bigint, id bigint, conversation_id bigint, sender_id bigint, sender text, receiver_id bigint, content text, created_at timestamp with time zone, edited_at timestamp with time zone, deleted boolean, reply_to bigint, mentions bigint[], reactions text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select case when place = id
                then message_frame(tag, id, conversation_id, sender_id, sender, receiver_id, content, created_at,
                                   changed_json(edited_at, deleted) || more_json(reply_to, mentions, reactions))
                else change_frame(tag, place, stamp_at(place), id, conversation_id, content, edited_at, deleted,
                                  more_json(null, mentions, reactions))
                end
$$;

CREATE FUNCTION chatd.event_read_changed(here text, host_id bigint, after bigint, upto bigint, max_rows integer, careful boolean) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text, group_id bigint, subject bigint, membership bigint)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame, group_id, subject, membership in
        select e.place,
               case when e.place = m.id then change_stamp(m.created_at) else stamp_at(e.place) end,
               case when m.id is null then g.user_ids
                    when m.receiver_id is null then '{}'
                    when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id is distinct from m.receiver_id and e.place = m.id then m.origin end,
               case when m.id is null then g.frame
                    when not careful or is_readable(m.id, m.content)
                    then event_frame(here, e.place, m.id, m.conversation_id, m.sender_id,
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, m.content, m.created_at, m.edited_at, m.deleted,
                                     m.reply_to, m.mentions, m.reactions::text) end,
               case when m.id is null then g.conversation_id
                    when m.receiver_id is null then m.conversation_id end,
               coalesce(m.id, e.place), g.membership
          from (select p.place, p.message_id
                  from ((select c.id as place, c.id as message_id
                           from messages c
                          where c.id > after and c.id <= upto
                            and case when c.receiver_id is null
                                     then group_is_here(c.conversation_id, event_read_changed.host_id, c.id)
                                     else (select true from sessions s
                                            where s.user_id = c.receiver_id
                                              and s.host_id = event_read_changed.host_id limit 1)
                                          or (select true from sessions s
                                               where s.user_id = c.sender_id
                                                 and s.host_id = event_read_changed.host_id limit 1) end
                          order by c.id
                          limit max_rows)
                        union all
                        (select c.changed, c.id
                           from messages c
                          where c.changed > after and c.changed <= upto
                            and case when c.receiver_id is null
                                     then group_is_here(c.conversation_id, event_read_changed.host_id, c.id)
                                     else (select true from sessions s
                                            where s.user_id = c.receiver_id
                                              and s.host_id = event_read_changed.host_id limit 1)
                                          or (select true from sessions s
                                               where s.user_id = c.sender_id
                                                 and s.host_id = event_read_changed.host_id limit 1) end
                          order by c.changed
                          limit max_rows)
                        union all
                        (select g.change, null
                           from group_changes g
                          where g.change > after and g.change <= upto
                          order by g.change
                          limit max_rows)) p
                 order by p.place
                 limit max_rows) e
          left join lateral (select * from messages m where m.id = e.message_id offset 0) m on true
          left join lateral (select * from group_event(here, event_read_changed.host_id, e.place)
                              where e.message_id is null offset 0) g on true
         order by e.place
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text, null::bigint,
                            null::bigint, null::bigint;
    end if;
end $$;

CREATE FUNCTION chatd.group_changed(conversation bigint, who bigint, role text, change bigint, made boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    insert into group_changes (change, conversation_id, user_id, role, made)
    values (group_changed.change, conversation, who, group_changed.role, group_changed.made);
    perform pg_notify('chatd_' || h.id, 'e ' || group_changed.change) from hosts h;
end $$;

CREATE FUNCTION chatd.group_changes_thin(max_rows integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
    newest constant bigint := (select g.change from group_changes g order by g.change desc limit 1);
    looked_at record;
begin
    with old as (
        select g.change, g.conversation_id
          from (select * from group_changes g
                 where g.change > (select r.thinned from retention r) and g.change < newest
                 order by g.change
                 limit max_rows) g
         where g.changed_at < now() - interval '1 day'
    ), superseded as (
        delete from group_changes g
         using (select o.conversation_id, max(o.change) as upto from old o group by 1) o
         where g.conversation_id = o.conversation_id and g.change <= o.upto
           and g.change is distinct from
               case when g.user_id is null
                    then (select k.changed from conversations k where k.id = g.conversation_id)
                    else (select m.changed from members m
                           where m.conversation_id = g.conversation_id and m.user_id = g.user_id) end
    )
    select count(*) as count, max(o.change) as last into looked_at from old o;
    update retention set thinned = looked_at.last where looked_at.last is not null;
    return looked_at.count = max_rows;
end $$;

CREATE FUNCTION chatd.group_event(here text, host_id bigint, change bigint) RETURNS TABLE(conversation_id bigint, user_ids bigint[], frame text, membership bigint)
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION chatd.group_heir(conversation bigint, leaver bigint DEFAULT 0) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return (select s.user_id from members s
             where s.conversation_id = conversation and s.until is null and s.user_id <> leaver
             order by s.role = 'admin' desc, s.joined, s.user_id limit 1);
end $$;

CREATE FUNCTION chatd.group_is_here(conversation bigint, host bigint, message bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return (select c.member_count > 10 from chatd.conversations c where c.id = conversation)
        or exists (select from chatd.members m
                    where m.conversation_id = conversation and (m.until is null or m.until > message)
                      and (select true from chatd.sessions s
                            where s.user_id = m.user_id and s.host_id = host limit 1));
end $$;

CREATE FUNCTION chatd.group_make(name text, owner_id bigint, user_ids bigint[] DEFAULT '{}'::bigint[], full_history boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.group_pass_on(conversation bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    update members m set role = 'owner'
     where m.conversation_id = conversation and m.user_id = group_heir(conversation);
end $$;

CREATE FUNCTION chatd.group_refusal(caller text, doing text, other text DEFAULT NULL::text, wanted text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case when caller is null then 'unknown_conversation'
                when doing = 'role' and caller = 'owner' and other = 'owner' then 'owner'
                when caller = 'owner' then null
                when caller = 'admin' and (doing in ('name', 'delete') or doing = 'add' and wanted = 'member'
                                           or doing = 'remove' and other = 'member') then null
                else 'role' end
$$;

CREATE FUNCTION chatd.group_role(conversation bigint, who bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return (select m.role from chatd.members m
             where m.conversation_id = conversation and m.user_id = who and m.until is null);
end $$;

CREATE FUNCTION chatd.groups_shown(who bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return query
        select m.conversation_id
          from chatd.members m
         where m.user_id = who and m.role is not null and m.until is null
           and (select c.member_count <= chatd.crowd() from chatd.conversations c where c.id = m.conversation_id)
         order by m.conversation_id desc
         limit 100;
end $$;

CREATE FUNCTION chatd.is_acquainted(who bigint, other_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return exists (select from chatd.contacts c where c.user_id = who and c.contact_id = other_id)
        or exists (select from chatd.groups_shown(who) g (id)
                    where (select true from chatd.members b
                            where b.conversation_id = g.id and b.user_id = other_id and b.until is null));
end $$;

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

CREATE FUNCTION chatd.is_over(created_at timestamp with time zone, days integer) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select created_at < now() - make_interval(days => days)
$$;

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

CREATE FUNCTION chatd.member_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.member_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE TABLE chatd.members (
    conversation_id bigint NOT NULL,
    user_id bigint NOT NULL,
    read_upto bigint DEFAULT 0 NOT NULL,
    delivered_upto bigint DEFAULT 0 NOT NULL,
    role text,
    joined bigint DEFAULT 0 NOT NULL,
    joined_at timestamp with time zone,
    since bigint DEFAULT 0 NOT NULL,
    until bigint,
    changed bigint,
    CONSTRAINT members_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'member'::text])))
)
WITH (fillfactor='80');

CREATE FUNCTION chatd.member_come(m chatd.members) RETURNS chatd.members
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.member_coming() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return member_come(new);
end $$;

CREATE FUNCTION chatd.member_frame(tag text, change bigint, conversation_id bigint, user_id bigint, role text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"member","data":{"conversation_id":' || conversation_id || ',"user_id":' || user_id || ','
        || coalesce((select name_json(u.username, u.display_name) from users u where u.id = user_id),
                    '"username":null')
        || ',"role":' || coalesce('"' || role || '"', 'null')
        || ',"cursor":"' || tag || '-' || change || '-' || stamp_at(change) || '"}}'
$$;

CREATE FUNCTION chatd.member_json(caller_id bigint, mode text, conversation bigint, who bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return (select m.line from members_seen(caller_id, mode, conversation, who, who, 1) m);
end $$;

CREATE FUNCTION chatd.member_refusal(caller_id bigint, conversation bigint, who bigint, most integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION chatd.member_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.member_removing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if not exists (select from users u where u.id = old.user_id)
       or not exists (select from conversations c where c.id = old.conversation_id) then
        return old;
    end if;
    update members m set until = 0
     where m.conversation_id = old.conversation_id and m.user_id = old.user_id and m.until is null;
    return null;
end $$;

CREATE FUNCTION chatd.members_came() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.members_lock(conversation bigint, one_id bigint, other_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform from members m
      where m.conversation_id = conversation and m.user_id in (one_id, other_id)
      order by m.user_id
        for no key update;
end $$;

CREATE FUNCTION chatd.members_seen(caller_id bigint, mode text, conversation bigint, low bigint, high bigint, max_rows integer) RETURNS TABLE(user_id bigint, line text)
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.mentions_in(conversation bigint, content text) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
    return (
        select array_agg(f.user_id order by f.n)
          from (select d.user_id, min(d.n) as n
                  from (select r.n, left(r.found[1], 33) as word
                          from regexp_matches(content, '(?<![A-Za-z0-9._-])@([A-Za-z0-9._-]+)', 'g')
                               with ordinality r (found, n)
                         limit 50) w
                 cross join lateral (
                       select w.n, m.user_id
                         from generate_series(least(length(w.word), 32), 1, -1) s (size)
                        cross join lateral (select u.id from users u
                                             where lower(u.username collate "C")
                                                   = lower(left(w.word, s.size) collate "C") offset 0) u
                         join members m on m.conversation_id = conversation and m.user_id = u.id
                                       and m.until is null
                        where substr(w.word, s.size + 1, 1) in ('', '.', '_', '-')
                        order by s.size desc
                        limit 1) d
                 group by d.user_id
                 order by min(d.n)
                 limit 20) f);
end $$;

CREATE FUNCTION chatd.message_addressed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if new.receiver_id is null then
        raise exception 'a message needs a receiver_id or a conversation_id' using errcode = 'not_null_violation';
    end if;
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
        new.reactions := null;
    end if;
    new.mentions := case when new.receiver_id is null and position('@' in new.content) > 0
                         then mentions_in(new.conversation_id, new.content) end;
    new.changed := nextval('change_seq');
    new.edited_at := clock_timestamp();
    return new;
end $$;

CREATE FUNCTION chatd.message_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    delete from reactions r where r.message_id = new.id;
    return null;
end $$;

CREATE FUNCTION chatd.message_frame(tag text, id bigint, conversation_id bigint, sender_id bigint, sender text, receiver_id bigint, content text, created_at timestamp with time zone, more text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || (coalesce('","receiver_id":' || receiver_id, '"') || ',"created_at":')
        || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || (more || ',"cursor":"') || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

CREATE FUNCTION chatd.message_json(id bigint, conversation_id bigint, sender_id bigint, receiver_id bigint, content text, created_at timestamp with time zone, edited_at timestamp with time zone, deleted boolean, more text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '{"id":' || id || ',"conversation_id":' || conversation_id || ',"sender_id":' || sender_id
        || coalesce(',"receiver_id":' || receiver_id, '') || ',"content":' || to_json(content)::text
        || ',"created_at":' || json_time(created_at) || changed_json(edited_at, deleted) || (more || '}')
$$;

CREATE FUNCTION chatd.message_mentioning() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    new.mentions := mentions_in(new.conversation_id, new.content);
    return new;
end $$;

CREATE FUNCTION chatd.message_page(caller_id bigint, conversation bigint, since bigint, until bigint, before bigint, after bigint, max_rows integer, careful boolean, OUT page text, OUT next bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    found int;
    upto bigint; -- bytes that the page has at most
begin
    select count(*), coalesce(sum(octet_length(m.content)), 0) * 6 + 250 * count(*)
           + coalesce(sum(2 * octet_length(m.reactions::text)), 0) + coalesce(sum(20 * cardinality(m.mentions)), 0)
      into found, upto
      from messages_shown(conversation, since, until, before, after, max_rows + 1) m;
    if upto <= most then
        select string_agg(message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                       m.created_at, m.edited_at, m.deleted,
                                       more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, caller_id) end)),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content)),
               case when found > max_rows then
                    case when forward then max(m.id) else min(m.id) end end
          into page, next
          from messages_shown(conversation, since, until, before, after, max_rows) m;
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
                                                      r.content, r.created_at, r.edited_at, r.deleted,
                                       more_json(r.reply_to, r.mentions, case when r.reactions is not null then reactions_seen(r.id, r.reactions, caller_id) end)) end as text
                          from (select m.*, row_number() over w as n,
                                       row_number() over w <= max_rows
                                       and sum(octet_length(m.content)) over w <= most as wanted
                                  from messages_shown(conversation, since, until, before, after, max_rows + 1) m
                                window w as (order by case when forward then m.id else -m.id end)) r) s) t;
    end if;
    page := '[' || coalesce(page, '') || ']';
end $$;

CREATE FUNCTION chatd.message_reacted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    new.changed := nextval('change_seq');
    return new;
end $$;

CREATE FUNCTION chatd.message_replying() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if not reply_fits(new.reply_to, new.conversation_id, new.sender_id) then
        raise exception 'user % sees no message % in conversation %', new.sender_id, new.reply_to,
            new.conversation_id using errcode = 'check_violation';
    end if;
    return new;
end $$;

CREATE TABLE chatd.messages (
    id bigint NOT NULL,
    sender_id bigint NOT NULL,
    receiver_id bigint,
    client_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    origin bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content text NOT NULL,
    conversation_id bigint NOT NULL,
    changed bigint,
    edited_at timestamp with time zone,
    deleted boolean,
    reply_to bigint,
    reactions json,
    mentions bigint[],
    CONSTRAINT messages_client_id_check CHECK (((char_length(client_id) >= 1) AND (char_length(client_id) <= 64))),
    CONSTRAINT messages_content_created_at_check CHECK (((octet_length(content) >=
CASE
    WHEN deleted THEN 0
    ELSE 1
END) AND (octet_length(content) <= 65536) AND isfinite(created_at)))
);

CREATE FUNCTION chatd.message_seen(m chatd.messages, who bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return case when m.receiver_id is null then chatd.change_seen(m.conversation_id, who, m.id)
                else who in (m.sender_id, m.receiver_id) end;
end $$;

CREATE FUNCTION chatd.message_to_conversation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
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

CREATE FUNCTION chatd.messages_between(conversation bigint, since bigint, until bigint, before bigint, after bigint, max_rows integer) RETURNS SETOF chatd.messages
    LANGUAGE sql STABLE
    AS $$
    select m.id, m.sender_id, m.receiver_id, m.client_id, m.origin, m.created_at,
           case when l.is_later then '' else m.content end, m.conversation_id, m.changed,
           case when l.is_later then null else m.edited_at end, m.deleted or l.is_later,
           case when l.is_later then null else m.reply_to end,
           case when m.changed > until then null else m.reactions end,
           case when l.is_later then null else m.mentions end
      from ((select * from messages
              where after is not null and before is null
                and (conversation_id, id) > (conversation, greatest(after, since))
                and (conversation_id, id) <= (conversation, coalesce(until, 9223372036854775807))
              order by conversation_id, id
              limit max_rows)
            union all
            (select * from messages
              where not (after is not null and before is null)
                and (conversation_id, id) < (conversation, least(coalesce(before, 9223372036854775807), until + 1))
                and conversation_id >= conversation
              order by conversation_id desc, id desc
              limit max_rows)) m
     cross join lateral (select m.changed > until and m.edited_at is not null as is_later) l
     where m.id > greatest(coalesce(after, 0), since)
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
                         where case when m.receiver_id is null
                                    then group_is_here(m.conversation_id, h.id, m.id)
                                    else (select true from sessions s
                                           where s.user_id = m.sender_id and s.host_id = h.id limit 1)
                                         or (select true from sessions s
                                              where s.user_id = m.receiver_id and s.host_id = h.id limit 1) end);
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

CREATE FUNCTION chatd.messages_shown(conversation bigint, since bigint, until bigint, before bigint, after bigint, max_rows integer) RETURNS TABLE(id bigint, sender_id bigint, receiver_id bigint, client_id text, origin bigint, created_at timestamp with time zone, content text, conversation_id bigint, changed bigint, edited_at timestamp with time zone, deleted boolean, reply_to bigint, reactions json, mentions bigint[])
    LANGUAGE sql STABLE
    AS $$
    select m.id, m.sender_id, m.receiver_id, m.client_id, m.origin, m.created_at,
           case when l.is_later then '' else m.content end, m.conversation_id, m.changed,
           case when l.is_later then null else m.edited_at end, m.deleted or l.is_later,
           case when l.is_later then null else m.reply_to end,
           case when m.changed > until then null else m.reactions end,
           case when l.is_later then null else m.mentions end
      from ((select * from messages
              where after is not null and before is null
                and (conversation_id, id) > (conversation, greatest(after, since))
                and (conversation_id, id) <= (conversation, coalesce(until, 9223372036854775807))
              order by conversation_id, id
              limit max_rows)
            union all
            (select * from messages
              where not (after is not null and before is null)
                and (conversation_id, id) < (conversation, least(coalesce(before, 9223372036854775807), until + 1))
                and conversation_id >= conversation
              order by conversation_id desc, id desc
              limit max_rows)) m
     cross join lateral (select m.changed > until and m.edited_at is not null as is_later) l
     where m.id > greatest(coalesce(after, 0), since)
$$;

CREATE FUNCTION chatd.more_json(reply_to bigint, mentions bigint[], reactions text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select coalesce(',"reply_to":' || reply_to, '')
        || coalesce(',"mentions":[' || array_to_string(mentions, ',') || ']', '')
        || coalesce(',"reactions":' || reactions, '')
$$;

CREATE FUNCTION chatd.must_wait() RETURNS void
    LANGUAGE sql
    AS $$ select pg_logical_emit_message(true, 'chatd', '') $$;

CREATE FUNCTION chatd.name_json(username text, display_name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    select '"username":"' || username || '"' || coalesce(',"display_name":' || to_json(display_name)::text, '')
$$;

CREATE FUNCTION chatd.page_bytes() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 262144 $$;

CREATE FUNCTION chatd.places_by_change(user_id bigint, after bigint, upto bigint, max_rows integer, changes boolean) RETURNS TABLE(place bigint, message_id bigint, group_id bigint, member_id bigint, until bigint)
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.places_by_conversation(user_id bigint, after bigint, upto bigint, max_rows integer, changes boolean) RETURNS TABLE(place bigint, message_id bigint, group_id bigint, member_id bigint, until bigint)
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION chatd.presence_audience(who bigint, host bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET enable_sort TO 'on'
    AS $$
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

CREATE FUNCTION chatd.reaction_coming() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
declare
    refused constant text := reaction_refusal(new.user_id, (select m from messages m where m.id = new.message_id), false);
begin
    if refused is not null then
        raise exception 'user % may not react to message %: %', new.user_id, new.message_id, refused
            using errcode = 'check_violation';
    end if;
    return new;
end $$;

CREATE FUNCTION chatd.reaction_kinds() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 20 $$;

CREATE FUNCTION chatd.reaction_refusal(who bigint, m chatd.messages, removes boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return case when m.id is null or not chatd.message_seen(m, who)
                     or not chatd.conversation_seen(m.conversation_id, who) then 'unknown_message'
                when removes then null
                when m.deleted then 'gone'
                when m.receiver_id is not null and chatd.is_blocked(m.sender_id, m.receiver_id) then 'refused' end;
end $$;

CREATE FUNCTION chatd.reactions_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
    step constant int := case tg_op when 'INSERT' then 1 else -1 end;
    changed record;
begin
    for changed in
        with summed as (
            select r.message_id, array_agg(r.emoji order by r.n) as emojis, array_agg(step) as steps, min(r.n) as n
              from (select t.*, row_number() over () as n from touched t) r
             group by r.message_id
             order by n
        )
        update messages m set reactions = reactions_sum(m.reactions, s.emojis, s.steps)
          from summed s
         where m.id = s.message_id and m.deleted is not true
        returning m.id, json_array_length(m.reactions) as kinds
    loop
        if changed.kinds > reaction_kinds() then
            raise exception 'message % would have % kinds of reactions, and may have %', changed.id, changed.kinds,
                reaction_kinds() using errcode = 'check_violation';
        end if;
    end loop;
    return null;
end $$;

CREATE FUNCTION chatd.reactions_judged(user_ids bigint[], conversation_ids bigint[], message_ids bigint[], contents text[], emojis text[]) RETURNS TABLE(n bigint, status text)
    LANGUAGE sql STABLE
    AS $$
    select k.n,
           case when k.refused is not null then k.refused
                when k.is_new and k.kinds + k.nth > chatd.reaction_kinds() then 'too_many_kinds'
                else 'ok' end
      from (select f.*, dense_rank() over (partition by f.message_id, f.is_new order by f.first) as nth
              from (select j.*, min(j.n) over (partition by j.message_id, j.emoji, j.is_new) as first
                      from (select i.n, i.message_id, i.emoji, r.refused,
                                   coalesce(json_array_length(m.reactions), 0) as kinds,
                                   r.refused is null and i.content is not null
                                   and not exists (select from json_array_elements(m.reactions) o
                                                    where o ->> 'emoji' = i.emoji) as is_new
                              from unnest(user_ids, conversation_ids, message_ids, contents, emojis) with ordinality
                                   i (user_id, conversation_id, message_id, content, emoji, n)
                              left join chatd.messages m
                                on m.id = i.message_id and m.conversation_id = i.conversation_id
                             cross join lateral (select chatd.reaction_refusal(i.user_id, m, i.content is null)
                                                            as refused) r
                             where i.emoji is not null) j) f) k
$$;

CREATE FUNCTION chatd.reactions_last(user_ids bigint[], message_ids bigint[], contents text[], emojis text[], statuses text[]) RETURNS TABLE(message_id bigint, user_id bigint, emoji text, removes boolean)
    LANGUAGE sql STABLE
    AS $$
    select l.message_id, l.user_id, l.emoji, l.content is null
      from (select distinct on (i.message_id, i.user_id, i.emoji) i.*
              from unnest(user_ids, message_ids, contents, emojis, statuses) with ordinality
                   i (user_id, message_id, content, emoji, status, n)
             where i.emoji is not null and i.status = 'ok'
             order by i.message_id, i.user_id, i.emoji, i.n desc) l
     order by l.n
$$;

CREATE FUNCTION chatd.reactions_seen(message bigint, reactions json, who bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return (select '[' || string_agg('{"emoji":' || to_json(o.value ->> 'emoji')::text || ',"count":' || (o.value ->> 'count')
                                     || ',"mine":' || case when exists (
                                            select from reactions r
                                             where r.message_id = message and r.user_id = who
                                               and r.emoji = o.value ->> 'emoji') then 'true' else 'false' end || '}',
                                     ',' order by o.place) || ']'
              from json_array_elements(reactions) with ordinality o (value, place));
end $$;

CREATE FUNCTION chatd.reactions_sum(reactions json, emojis text[], changes integer[]) RETURNS json
    LANGUAGE sql IMMUTABLE
    AS $$
    select ('[' || string_agg('{"emoji":' || to_json(s.emoji)::text || ',"count":' || s.count || '}', ','
                              order by s.place) || ']')::json
      from (select c.emoji, sum(c.count) as count, min(c.place) as place
              from (select o.value ->> 'emoji' as emoji, (o.value ->> 'count')::bigint as count, o.place
                      from json_array_elements(reactions) with ordinality o (value, place)
                     union all
                    select n.emoji, n.change, 1000 + n.place
                      from unnest(emojis, changes) with ordinality n (emoji, change, place)) c
             group by c.emoji
            having sum(c.count) > 0) s
$$;

CREATE FUNCTION chatd.receipt_audience(conversation bigint, of_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if (select c.member_count > crowd() from conversations c where c.id = conversation) then
        return array[of_id];
    end if;
    return array(select m.user_id from members m
                  where m.conversation_id = conversation and m.until is null
                    and receipt_shown(conversation, of_id, m.user_id));
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

CREATE FUNCTION chatd.refusal(sender_id bigint, receiver_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return case when not exists (select from chatd.users u where u.id = sender_id) then 'unknown_sender'
                when not exists (select from chatd.users u where u.id = receiver_id) then 'unknown_receiver'
                when chatd.is_blocked(sender_id, receiver_id) then 'refused' end;
end $$;

CREATE FUNCTION chatd.reply_fits(answered bigint, conversation bigint, who bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
    return exists (select from chatd.messages m
                    where m.id = answered and m.conversation_id = conversation and chatd.message_seen(m, who));
end $$;

CREATE FUNCTION chatd.retention_changing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    perform from retention for update;
    return null;
end $$;

CREATE FUNCTION chatd.retention_common(max_rows integer) RETURNS TABLE(ids bigint[], upto bigint, more boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
        select array_agg(w.id) filter (where w.shared and w.over), max(w.id), count(*) = max_rows
          from (select m.id, c.days is null as shared, is_over(m.created_at, m.days) as over,
                       -- Ids are in the order of time but for what was inserted with a time of its own.
                       bool_and(is_over(m.created_at, m.days) or m.created_at > now()) over (order by m.id) as goes_on
                  from (select m.id, m.conversation_id, m.created_at, r.days
                          from retention r
                         cross join lateral (select m.id, m.conversation_id, m.created_at from messages m
                                              where m.id > r.swept order by m.id limit max_rows) m
                         where r.days is not null) m
                  join conversations c on c.id = m.conversation_id) w
         where w.goes_on;
end $$;

CREATE FUNCTION chatd.retention_own(max_rows integer) RETURNS TABLE(ids bigint[], room bigint, more boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    at_once constant int := 100;
    seen int := 0;
    found bigint[];
    c record;
begin
    ids := '{}';
    room := (select r.room from retention r);
    for c in select c.id, c.days from conversations c where c.days > 0 and c.id > room order by c.id limit at_once
    loop
        found := array(select w.id
                         from (select m.id, is_over(m.created_at, c.days) as over,
                                      bool_and(is_over(m.created_at, c.days) or m.created_at > now())
                                          over (order by m.conversation_id, m.id) as goes_on
                                 from (select m.id, m.conversation_id, m.created_at from messages m
                                        where m.conversation_id = c.id
                                        order by m.conversation_id, m.id
                                        limit max_rows - cardinality(ids)) m) w
                        where w.over and w.goes_on);
        ids := ids || found;
        if cardinality(ids) >= max_rows then
            more := true;
            return next;
            return;
        end if;
        seen := seen + 1;
        room := c.id;
    end loop;
    more := seen = at_once;
    if not more then
        room := 0; -- the next round begins
    end if;
    return next;
end $$;

CREATE FUNCTION chatd.retention_shared() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    update retention set swept = 0;
    return null;
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
declare
    newest record;
    gone record;
begin
    select m.id, m.created_at into newest from messages m where m.id <= change order by m.id desc limit 1;
    select r.last, r.stamp into gone from retention r;
    return case when gone.last <= change and gone.last > coalesce(newest.id, 0) then gone.stamp
                when newest.id is null then 0
                else change_stamp(newest.created_at) end;
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

CREATE FUNCTION chatd.typing_audience(conversation bigint, of_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if group_role(conversation, of_id) is null
       or (select c.member_count > crowd() from conversations c where c.id = conversation) then
        return '{}';
    end if;
    return array(select m.user_id from members m
                  where m.conversation_id = conversation and m.until is null and m.user_id <> of_id);
end $$;

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

CREATE FUNCTION chatd.user_removing() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    if exists (select from messages m where m.sender_id = old.id) then
        raise exception 'user % has sent messages: remove those first', old.id using errcode = 'foreign_key_violation';
    end if;
    return old;
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
declare
    me constant members := (select m from members m
                             where m.conversation_id = conversation_history.conversation_id
                               and m.user_id = caller_id);
begin
    if me.user_id is not null then
        return query select true, p.* from message_page(caller_id, conversation_id, me.since, me.until, before, after,
                                                        max_rows, careful) p;
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
    room constant int := 4000; -- for a conversation, beside the content of its last message
    conversations bigint[];
    lasts bigint[];
    places bigint[];
    some_left boolean;
begin
    select array_agg(s.conversation_id order by s.place desc) filter (where s.fits),
           array_agg(s.id order by s.place desc) filter (where s.fits),
           array_agg(s.place order by s.place desc) filter (where s.fits), not bool_and(s.fits)
      into conversations, lasts, places, some_left
      from (select l.conversation_id, l.place, m.id,
                   row_number() over w <= max_rows
                   and (row_number() over w = 1
                        -- JSON may write a byte as \u00XX.
                        or sum(6 * coalesce(octet_length(m.content), 0) + room) over w <= most) as fits
              from (select c.conversation_id, c.last, greatest(c.last, nullif(c.joined, 0)) as place
                      from (select s.conversation_id, s.joined, s.since,
                                   -- The fewer entries of the index may fit, the fewer are looked at.
                                   coalesce((select m.id from messages m
                                              where m.conversation_id = s.conversation_id
                                                and m.id >= s.delivered_upto
                                              order by m.conversation_id desc, m.id desc
                                              limit 1),
                                            message_upto(s.conversation_id, s.delivered_upto)) as last
                              from members s
                             where s.user_id = caller_id and s.until is null
                            offset 0) c -- asks for each once
                     where greatest(c.last, nullif(c.joined, 0)) < conversation_list.before
                     order by greatest(c.last, nullif(c.joined, 0)) desc
                     limit max_rows + 1) l
              left join messages m on m.id = l.last and message_seen(m, caller_id)
            window w as (order by l.place desc)) s;
    return (
        select '{"conversations":[' || coalesce(string_agg(c.line, ',' order by c.place desc), '') || '],"next":'
               || case when some_left then '"' || min(c.place) || '"' else 'null' end || '}'
          from conversations_seen(caller_id, mode, conversations, lasts, places, careful) c);
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
declare
    last bigint := message_upto(conversation_id, 9223372036854775807);
begin
    return (select c.line
              from conversations_seen(caller_id, mode, array[conversation_id],
                                      array[case when change_seen(conversation_id, caller_id, last) then last end],
                                      array[last], careful) c);
end $$;

CREATE FUNCTION chatd_api.cursor_honoured(change bigint, stamp integer) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return chatd.cursor_honoured(change, stamp);
end $$;

CREATE FUNCTION chatd_api.cursor_honoured(change bigint, stamp integer, user_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return chatd.cursor_honoured(change, stamp, user_id);
end $$;

CREATE FUNCTION chatd_api.direct_make(caller_id bigint, other_id bigint, mode text) RETURNS TABLE(status text, line text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.event_read(host_id bigint, after bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text, group_id bigint, subject bigint, membership bigint)
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
    last_change constant bigint := greatest((select max(m.changed) from messages m),
                                            (select max(g.change) from group_changes g));
    upto constant bigint := least(greatest((select max(m.id) from messages m), last_change, 0), after + 50000);
    here constant text := (select i.tag from instance i
                            where exists (select from hosts h where h.id = event_read.host_id));
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    if here is null then
        raise exception 'host % is not attached', event_read.host_id using errcode = 'CH001';
    end if;
    if last_change > after then
        return query select * from event_read_changed(here, event_read.host_id, after, upto, max_rows, careful);
        return;
    end if;
    for cursor, stamp, user_ids, origin, frame, group_id, subject in
        select m.id, change_stamp(m.created_at),
               case when m.receiver_id is null then '{}'
                    when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id is distinct from m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.conversation_id, m.sender_id, u.username,
                                       m.receiver_id, m.content, m.created_at,
                                       more_json(m.reply_to, m.mentions, null)) end,
               case when m.receiver_id is null then m.conversation_id end, m.id
          from messages m
          join users u on u.id = m.sender_id
         where m.id > after and m.id <= upto
           and case when m.receiver_id is null then group_is_here(m.conversation_id, event_read.host_id, m.id)
                    else (select true from sessions s
                           where s.user_id = m.receiver_id and s.host_id = event_read.host_id limit 1)
                         or (select true from sessions s
                              where s.user_id = m.sender_id and s.host_id = event_read.host_id limit 1) end
         order by m.id
         limit max_rows
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text, null::bigint,
                            null::bigint, null::bigint;
    end if;
end $$;

CREATE FUNCTION chatd_api.event_read_user(user_id bigint, after bigint, upto bigint, max_rows integer, careful boolean DEFAULT false) RETURNS TABLE(cursor bigint, stamp integer, user_ids bigint[], origin bigint, frame text, group_id bigint, subject bigint, membership bigint)
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
                               from (select from members c
                                      where c.user_id = event_read_user.user_id
                                        and (c.until is null or c.until > after) limit 1001) c);
    looked constant bigint := case when few then upto else least(upto, after + 20000) end;
    changes constant boolean := (select max(m.changed) from messages m) > after
                                or (select max(g.change) from group_changes g) > after;
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame, group_id, subject in
        select p.place,
               case when p.place = m.id then change_stamp(m.created_at) else stamp_at(p.place) end,
               array[event_read_user.user_id],
               case when m.sender_id is distinct from m.receiver_id and p.place = m.id then m.origin end,
               case when p.member_id is not null
                    then (select member_frame(here, p.place, p.group_id, p.member_id,
                                              case when o.until is null then o.role end)
                            from members o
                           where o.conversation_id = p.group_id and o.user_id = p.member_id)
                    when m.id is null then conversation_frame(here, p.place, p.group_id)
                    when not careful or is_readable(m.id, m.content)
                    then event_frame(here, p.place, m.id, m.conversation_id, m.sender_id,
                                     -- Not a join, which might begin with all users.
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, case when l.is_later then '' else m.content end,
                                     m.created_at, case when l.is_later then null else m.edited_at end,
                                     m.deleted or l.is_later, case when l.is_later then null else m.reply_to end,
                                     case when l.is_later then null else m.mentions end,
                                     case when m.changed > p.until then null else m.reactions::text end) end,
               p.group_id, coalesce(m.id, p.place)
          from ((select * from places_by_conversation(event_read_user.user_id, after, looked, max_rows,
                                                      coalesce(changes, false))
                  where few)
                union all
                (select * from places_by_change(event_read_user.user_id, after, looked, max_rows,
                                                coalesce(changes, false))
                  where not few)) p
          left join lateral (select * from messages m where m.id = p.message_id offset 0) m on true
         -- See messages_between().
         cross join lateral (select m.changed > p.until and m.edited_at is not null as is_later) l
         order by p.place
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 then
        return query
            select looked, case when looked < upto then stamp_at(looked) end,
                   case when looked < upto then '{}'::bigint[] end, null::bigint, null::text, null::bigint,
                   null::bigint, null::bigint;
    end if;
end $$;

CREATE FUNCTION chatd_api.group_change(caller_id bigint, conversation_id bigint, name text, full_history boolean, mode text) RETURNS TABLE(status text, line text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.group_list(user_ids bigint[], after bigint) RETURNS TABLE(user_id bigint, group_id bigint, since bigint, until bigint, joined bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
    return query
        select i.id, m.conversation_id, m.since, m.until, m.joined
          from unnest(group_list.user_ids) i (id)
          left join lateral (select * from members m
                              where m.user_id = i.id and m.role is not null
                                and (m.until is null or m.until > group_list.after) offset 0) m on true;
end $$;

CREATE FUNCTION chatd_api.group_make(caller_id bigint, name text, user_ids bigint[], full_history boolean, most integer, mode text) RETURNS TABLE(status text, line text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.member_add(caller_id bigint, conversation_id bigint, other_id bigint, role text, most integer, mode text) RETURNS TABLE(status text, line text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.member_change(caller_id bigint, conversation_id bigint, other_id bigint, role text, mode text) RETURNS TABLE(status text, line text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.member_list(caller_id bigint, conversation_id bigint, mode text, after_id bigint, max_rows integer) RETURNS TABLE(members text, next bigint)
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

CREATE FUNCTION chatd_api.member_remove(caller_id bigint, conversation_id bigint, other_id bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
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

CREATE FUNCTION chatd_api.message_change(host_id bigint, user_ids bigint[], conversation_ids bigint[], message_ids bigint[], contents text[], edit_time bigint DEFAULT NULL::bigint, max_bytes bigint DEFAULT NULL::bigint, audit boolean DEFAULT false, max_messages bigint DEFAULT NULL::bigint, emojis text[] DEFAULT NULL::text[]) RETURNS TABLE(ordinal integer, status text, change bigint, stamp integer, size integer)
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
    edited bigint[] := message_ids; -- null: that is a reaction
begin
    lock table change_lock in share update exclusive mode;
    perform must_wait();
    if emojis is not null then
        edited := array(select case when i.emoji is null then i.message_id end
                          from unnest(message_ids, emojis) with ordinality i (message_id, emoji, n)
                         order by i.n);
    end if;
    select array_agg(j.status order by j.n), array_agg(j.bytes order by j.n)
      into statuses, sizes
      from changes_judged(user_ids, conversation_ids, edited, contents, edit_time, max_bytes,
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
          from changes_last(edited, contents, statuses) c
          join messages m on m.id = c.message_id
         where m.content <> coalesce(c.content, '');
    end if;
    update messages m
       set content = coalesce(c.content, ''), deleted = case when c.content is null then true else m.deleted end
      from changes_last(edited, contents, statuses) c
     where m.id = c.message_id and m.content <> coalesce(c.content, '');
    if emojis is not null then
        statuses := array(select coalesce(r.status, i.status)
                            from unnest(statuses) with ordinality i (status, n)
                            left join reactions_judged(user_ids, conversation_ids, message_ids, contents,
                                                       emojis) r on r.n = i.n
                           order by i.n);
        delete from reactions r
         using reactions_last(user_ids, message_ids, contents, emojis, statuses) l
         where l.removes and r.message_id = l.message_id and r.user_id = l.user_id and r.emoji = l.emoji;
        insert into reactions (message_id, user_id, emoji)
        select l.message_id, l.user_id, l.emoji
          from reactions_last(user_ids, message_ids, contents, emojis, statuses) l
         where not l.removes
            on conflict do nothing;
    end if;
    return query
        select i.n::int, i.status, case when i.status = 'ok' then coalesce(m.changed, m.id) end,
               case when i.status = 'ok' then stamp_at(coalesce(m.changed, m.id)) end,
               octet_length(m.content)
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
        return query select true, p.* from message_page(user_id, conversation, 0, null, before, after, max_rows, careful) p;
    end if;
end $$;

CREATE FUNCTION chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[], client_ids text[], origins bigint[], contents text[], framed boolean[], max_messages bigint DEFAULT NULL::bigint, max_bytes bigint DEFAULT NULL::bigint, conversation_ids bigint[] DEFAULT NULL::bigint[], reply_tos bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(ordinal integer, status text, message_id bigint, stamp integer, duplicate boolean, own boolean, frame text, receiver_id bigint)
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
    lost int[] := '{}'; -- those that answer what their sender does not see there
    texts text[]; -- with lost ones: the contents, with theirs
    groups bigint[]; -- of those that name a group of the sender's
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
        groups := array(select case when i.receiver_id is null
                                         and group_role(i.conversation_id, i.sender_id) is not null
                                    then i.conversation_id end
                          from unnest(sender_ids, receiver_ids, conversation_ids)
                               with ordinality i (sender_id, receiver_id, conversation_id, n)
                         order by i.n);
    end if;
    if reply_tos is not null then
        reply_tos := array(select nullif(i.reply_to, 0)
                             from unnest(reply_tos) with ordinality i (reply_to, n) order by i.n);
        lost := array(select i.n
                        from unnest(sender_ids, receiver_ids, groups, reply_tos)
                             with ordinality i (sender_id, receiver_id, group_id, reply_to, n)
                       where i.reply_to is not null
                         and not reply_fits(i.reply_to,
                                            coalesce(i.group_id, conversation_of(i.sender_id, i.receiver_id)),
                                            i.sender_id));
        texts := contents;
        foreach place in array lost loop
            contents[place] := null;
        end loop;
    end if;
    loop
        conversations := array(select coalesce(i.group_id,
                                               (select c.conversation_id from contacts c
                                                 where c.user_id = i.sender_id and c.contact_id = i.receiver_id
                                                   and not c.blocked))
                                 from unnest(sender_ids, receiver_ids, groups)
                                      with ordinality i (sender_id, receiver_id, group_id, n)
                                order by i.n);
        exit when array_position(conversations, null) is null
                  or not conversations_make(conversations, sender_ids, receiver_ids, client_ids,
                                            contents);
    end loop;
    if cardinality(sender_ids) = 1 then
        -- Nobody else waits, and there is no order to keep: this plan costs less than the other.
        return query
            insert into messages as m (conversation_id, sender_id, receiver_id, client_id, origin,
                content, reply_to)
            select conversations[1], sender_ids[1], receiver_ids[1], client_ids[1], origins[1],
                   contents[1], reply_tos[1]
             where octet_length(contents[1]) between 1 and 65536
               and char_length(client_ids[1]) between 1 and 64
               and conversations[1] is not null
            on conflict (sender_id, client_id) do nothing
            returning 1, 'ok', m.id, change_stamp(m.created_at), false, true,
                      case when framed[1] then
                          message_frame((select tag from instance), m.id, m.conversation_id,
                                        m.sender_id,
                                        (select u.username from users u where u.id = m.sender_id),
                                        m.receiver_id, m.content, m.created_at,
                                        more_json(m.reply_to, m.mentions, null)) end,
                      m.receiver_id;
    else
        -- The ids are drawn in the order of the input, so sorted they are in that order again.
        return query
            with put as (
                insert into messages (conversation_id, sender_id, receiver_id, client_id, origin,
                    content, reply_to)
                select i.conversation_id, i.sender_id, i.receiver_id, i.client_id, i.origin,
                       i.content, i.reply_to
                  from unnest(conversations, sender_ids, receiver_ids, client_ids, origins,
                              contents, reply_tos) with ordinality
                       i (conversation_id, sender_id, receiver_id, client_id, origin, content, reply_to, n)
                 where octet_length(i.content) between 1 and 65536
                   and char_length(i.client_id) between 1 and 64
                   and i.conversation_id is not null
                 order by i.n
                on conflict (sender_id, client_id) do nothing
                returning id, conversation_id, sender_id, receiver_id, content, created_at, reply_to, mentions
            ), numbered as (
                select put.*, (row_number() over (order by id))::int as n from put
            )
            select m.n, 'ok', m.id, change_stamp(m.created_at), false, true,
                   case when framed[m.n] then
                       message_frame((select tag from instance), m.id, m.conversation_id,
                                     m.sender_id,
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, m.content, m.created_at,
                                     more_json(m.reply_to, m.mentions, null)) end,
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
    perform must_wait();
    return query
        with judged as (
            select i.n, i.receiver_id, m.id, change_stamp(m.created_at) as stamp,
                   coalesce(m.origin = i.origin, false) as own,
                   case when i.n = any (over) then 'quota'
                        when (octet_length(i.content) between 1 and 65536
                              and char_length(i.client_id) between 1 and 64) is not true then 'invalid'
                        when m.same then 'ok'
                        when i.receiver_id is null and conversation_ids[i.n] > 0 and groups[i.n] is null
                            then 'unknown_conversation'
                        else coalesce(case when groups[i.n] is null then refusal(i.sender_id, i.receiver_id) end,
                                      case when i.n = any (lost) then 'unknown_reply' end, 'conflict') end
                       as status,
                   m.xmin = pg_current_xact_id()::xid
                   and row_number() over (partition by m.id, m.same order by i.n) = 1 as new
              from unnest(sender_ids, receiver_ids, client_ids, origins, coalesce(texts, contents), reply_tos)
                   with ordinality i (sender_id, receiver_id, client_id, origin, content, reply_to, n)
              left join lateral (
                   select m.id, m.created_at, m.origin, m.xmin,
                          (m.receiver_id = i.receiver_id
                           or m.receiver_id is null and m.conversation_id = conversation_ids[i.n])
                          and (m.content = i.content or m.edited_at is not null)
                          and m.reply_to is not distinct from i.reply_to as same
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
                                m.created_at, m.edited_at, m.deleted, more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, message_show.user_id) end))
              from messages m
             where m.id = message_show.message_id and m.conversation_id = message_show.conversation_id
               and message_seen(m, message_show.user_id));
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
                    then case when is_acquainted(c.user_id, reader_id)
                              then array[reader_id] else '{}' end
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

CREATE FUNCTION chatd_api.retention_step(host_id bigint, max_rows integer) RETURNS TABLE(removed integer, some_left boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    thinnable boolean;
    common record;
    own record;
    ids bigint[];
    newest record;
begin
    if host_id is distinct from coalesce((select min(h.id) from hosts h where host_id is not null), host_id) then
        return query select 0, false;
        return;
    end if;
    -- What a crash brings back is removed again: nobody has to wait for the disk with the change lock held.
    perform set_config('synchronous_commit', 'off', true);
    thinnable := group_changes_thin(max_rows);
    if not exists (select from retention r where r.days is not null)
       and not exists (select from conversations c where c.days > 0) then
        return query select 0, thinnable;
        return;
    end if;
    perform from retention r for update; -- so that nobody sets "swept" back meanwhile
    select * into common from retention_common(max_rows);
    select * into own from retention_own(greatest(1, max_rows - coalesce(cardinality(common.ids), 0)));
    ids := coalesce(common.ids, '{}') || own.ids;
    if cardinality(ids) > 0 then
        lock table change_lock in share update exclusive mode; -- before rows, as everybody does
        delete from earlier_texts e where e.message_id = any (ids);
        with gone as (
            delete from messages m where m.id = any (ids)
            returning m.id, m.conversation_id, m.created_at, greatest(m.id, m.changed) as change
        ), told as (
            update conversations c set horizon = greatest(c.horizon, g.change)
              from (select g.conversation_id, max(g.change) as change from gone g group by 1) g
             where c.id = g.conversation_id
        )
        select count(*) as count, max(g.change) as change, max(g.id) as id,
               (array_agg(change_stamp(g.created_at) order by g.id desc))[1] as stamp
          into newest from gone g;
        removed := newest.count;
        update retention r
           set horizon = greatest(r.horizon, newest.change),
               stamp = case when newest.id > r.last then newest.stamp else r.stamp end,
               last = greatest(r.last, newest.id)
         where newest.count > 0;
    end if;
    update retention r
       set swept = greatest(r.swept, coalesce(common.upto, 0)), room = own.room
     where coalesce(common.upto, 0) > r.swept or own.room <> r.room;
    return query select coalesce(removed, 0), coalesce(common.more, false) or own.more or thinnable;
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

CREATE FUNCTION chatd_api.schema_range() RETURNS TABLE(oldest integer, newest integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return query select max(v.compatible_from), max(v.number) from schema_version v;
end $$;

CREATE FUNCTION chatd_api.schema_version() RETURNS integer
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'chatd', 'pg_temp'
    AS $$
begin
    return (select case when max(v.compatible_from) <= 28 then 28 else max(v.number) end from schema_version v);
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

CREATE FUNCTION chatd_api.session_open(host_id bigint, session_ids bigint[], user_ids bigint[], changes bigint[], stamps bigint[]) RETURNS TABLE(session_id bigint, known boolean, cursor bigint, cursor_stamp integer, presence bigint, honoured boolean, grouped boolean)
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
               case when i.change >= 0 then cursor_honoured(i.change, i.stamp::int, i.user_id) else false end,
               exists (select from members m
                        where m.user_id = i.user_id and m.role is not null and m.until is null)
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
    id bigint DEFAULT nextval('chatd.conversation_seq'::regclass) NOT NULL,
    kind text DEFAULT 'direct'::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    name text,
    changed bigint,
    member_count integer DEFAULT 0 NOT NULL,
    full_history boolean DEFAULT false NOT NULL,
    days integer,
    horizon bigint DEFAULT 0 NOT NULL,
    CONSTRAINT conversations_days_check CHECK (((days >= 0) AND (days <= 36500))),
    CONSTRAINT conversations_kind_check CHECK ((((kind = 'direct'::text) AND (name IS NULL)) OR ((kind = 'group'::text) AND ((char_length(name) >= 1) AND (char_length(name) <= 64)) AND ((name COLLATE "C") !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]|^ | $'::text))))
);

CREATE TABLE chatd.earlier_texts (
    message_id bigint NOT NULL,
    replaced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content text NOT NULL
);

CREATE TABLE chatd.group_changes (
    change bigint NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    conversation_id bigint NOT NULL,
    user_id bigint,
    role text,
    made boolean NOT NULL
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

CREATE TABLE chatd.reactions (
    message_id bigint NOT NULL,
    user_id bigint NOT NULL,
    emoji text NOT NULL,
    CONSTRAINT reactions_emoji_check CHECK ((((octet_length(emoji) >= 1) AND (octet_length(emoji) <= 32)) AND ((emoji COLLATE "C") !~ '[\u0001- \u007F-\u009F\u2028-\u202E\u2066-\u2069]'::text)))
);

CREATE TABLE chatd.removed_users (
    id bigint NOT NULL,
    revocation bigint NOT NULL,
    generation bigint NOT NULL
);

CREATE TABLE chatd.retention (
    one boolean DEFAULT true NOT NULL,
    days integer,
    swept bigint DEFAULT 0 NOT NULL,
    room bigint DEFAULT 0 NOT NULL,
    horizon bigint DEFAULT 0 NOT NULL,
    last bigint DEFAULT 0 NOT NULL,
    stamp integer DEFAULT 0 NOT NULL,
    thinned bigint DEFAULT 0 NOT NULL,
    CONSTRAINT retention_days_check CHECK (((days >= 1) AND (days <= 36500))),
    CONSTRAINT retention_one_check CHECK (one)
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
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    compatible_from integer NOT NULL,
    CONSTRAINT schema_version_check CHECK (((compatible_from >= 1) AND (compatible_from <= number)))
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

ALTER TABLE ONLY chatd.group_changes
    ADD CONSTRAINT group_changes_pkey PRIMARY KEY (change);

ALTER TABLE ONLY chatd.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (conversation_id, user_id);

ALTER TABLE ONLY chatd.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.presence
    ADD CONSTRAINT presence_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY chatd.reactions
    ADD CONSTRAINT reactions_pkey PRIMARY KEY (message_id, user_id, emoji);

ALTER TABLE ONLY chatd.removed_users
    ADD CONSTRAINT removed_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY chatd.removed_users
    ADD CONSTRAINT removed_users_revocation_key UNIQUE (revocation);

ALTER TABLE ONLY chatd.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (one);

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

CREATE INDEX conversations_days ON chatd.conversations USING btree (id) WHERE (days > 0);

CREATE INDEX earlier_texts_message ON chatd.earlier_texts USING btree (message_id, replaced_at);

CREATE INDEX group_changes_conversation ON chatd.group_changes USING btree (conversation_id, change);

CREATE UNIQUE INDEX instance_only_one ON chatd.instance USING btree ((true));

CREATE INDEX members_changed ON chatd.members USING btree (conversation_id, changed) WHERE (changed IS NOT NULL);

CREATE INDEX members_groups ON chatd.members USING btree (user_id, conversation_id) WHERE ((role IS NOT NULL) AND (until IS NULL));

CREATE UNIQUE INDEX members_owner ON chatd.members USING btree (conversation_id) WHERE ((role = 'owner'::text) AND (until IS NULL));

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

CREATE INDEX reactions_user ON chatd.reactions USING btree (user_id);

CREATE INDEX sessions_user_id ON chatd.sessions USING btree (user_id, host_id);

CREATE INDEX users_bcrypt_cost ON chatd.users USING btree (chatd.bcrypt_cost(password_hash));

CREATE UNIQUE INDEX users_email_key ON chatd.users USING btree (lower((email COLLATE "C")));

CREATE UNIQUE INDEX users_revocation ON chatd.users USING btree (revocation) WHERE (revocation IS NOT NULL);

CREATE UNIQUE INDEX users_username_key ON chatd.users USING btree (lower((username COLLATE "C")));

CREATE TRIGGER blocks_changed AFTER INSERT OR DELETE OR UPDATE ON chatd.blocks FOR EACH ROW EXECUTE FUNCTION chatd.blocks_changed();

CREATE TRIGGER blocks_changing BEFORE INSERT OR UPDATE ON chatd.blocks FOR EACH ROW EXECUTE FUNCTION chatd.blocks_changing();

CREATE TRIGGER blocks_lock BEFORE INSERT OR DELETE OR UPDATE ON chatd.blocks FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER conversation_changed AFTER UPDATE OF name ON chatd.conversations FOR EACH ROW WHEN ((old.changed IS DISTINCT FROM new.changed)) EXECUTE FUNCTION chatd.conversation_changed();

CREATE TRIGGER conversation_changing BEFORE UPDATE OF name ON chatd.conversations FOR EACH ROW WHEN ((old.name IS DISTINCT FROM new.name)) EXECUTE FUNCTION chatd.conversation_changing();

CREATE TRIGGER conversations_lock BEFORE INSERT OR UPDATE OF name ON chatd.conversations FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER group_made AFTER INSERT ON chatd.conversations FOR EACH ROW WHEN ((new.kind = 'group'::text)) EXECUTE FUNCTION chatd.conversation_changed();

CREATE TRIGGER group_making BEFORE INSERT ON chatd.conversations FOR EACH ROW WHEN ((new.kind = 'group'::text)) EXECUTE FUNCTION chatd.conversation_changing();

CREATE TRIGGER member_changed AFTER UPDATE OF role, until ON chatd.members FOR EACH ROW WHEN ((old.changed IS DISTINCT FROM new.changed)) EXECUTE FUNCTION chatd.member_changed();

CREATE TRIGGER member_changing BEFORE UPDATE OF role, until ON chatd.members FOR EACH ROW WHEN ((old.role IS NOT NULL)) EXECUTE FUNCTION chatd.member_changing();

CREATE TRIGGER member_coming BEFORE INSERT ON chatd.members FOR EACH ROW WHEN ((new.role IS NOT NULL)) EXECUTE FUNCTION chatd.member_coming();

CREATE TRIGGER member_removed AFTER DELETE ON chatd.members FOR EACH ROW WHEN (((old.role IS NOT NULL) AND (old.until IS NULL))) EXECUTE FUNCTION chatd.member_removed();

CREATE TRIGGER member_removing BEFORE DELETE ON chatd.members FOR EACH ROW WHEN (((old.role IS NOT NULL) AND (old.until IS NULL))) EXECUTE FUNCTION chatd.member_removing();

CREATE TRIGGER members_came AFTER INSERT ON chatd.members REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.members_came();

CREATE TRIGGER members_come_lock BEFORE INSERT ON chatd.members FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER members_lock BEFORE DELETE OR UPDATE OF role, until ON chatd.members FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER message_addressed BEFORE INSERT ON chatd.messages FOR EACH ROW WHEN ((new.conversation_id IS NULL)) EXECUTE FUNCTION chatd.message_addressed();

CREATE TRIGGER message_changing BEFORE UPDATE OF content, deleted ON chatd.messages FOR EACH ROW WHEN (((old.content IS DISTINCT FROM new.content) OR (old.deleted IS DISTINCT FROM new.deleted))) EXECUTE FUNCTION chatd.message_changing();

CREATE TRIGGER message_deleted AFTER UPDATE OF deleted ON chatd.messages FOR EACH ROW WHEN ((new.deleted AND (old.reactions IS NOT NULL))) EXECUTE FUNCTION chatd.message_deleted();

CREATE TRIGGER message_reacted BEFORE UPDATE OF reactions ON chatd.messages FOR EACH ROW WHEN ((((old.reactions)::text IS DISTINCT FROM (new.reactions)::text) AND (new.deleted IS NOT TRUE))) EXECUTE FUNCTION chatd.message_reacted();

CREATE TRIGGER message_to_conversation BEFORE INSERT ON chatd.messages FOR EACH ROW WHEN (((new.receiver_id IS NULL) AND (new.conversation_id IS NOT NULL))) EXECUTE FUNCTION chatd.message_to_conversation();

CREATE TRIGGER messages_inserted AFTER INSERT ON chatd.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.messages_inserted();

CREATE TRIGGER messages_lock BEFORE INSERT ON chatd.messages FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER messages_mentioning BEFORE INSERT ON chatd.messages FOR EACH ROW WHEN (((new.receiver_id IS NULL) AND (POSITION(('@'::text) IN (new.content)) > 0))) EXECUTE FUNCTION chatd.message_mentioning();

CREATE TRIGGER messages_reactions_lock BEFORE UPDATE OF reactions ON chatd.messages FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER messages_replying BEFORE INSERT ON chatd.messages FOR EACH ROW WHEN ((new.reply_to IS NOT NULL)) EXECUTE FUNCTION chatd.message_replying();

CREATE TRIGGER messages_update_lock BEFORE UPDATE OF content, deleted ON chatd.messages FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER messages_updated AFTER UPDATE ON chatd.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.messages_inserted();

CREATE TRIGGER reaction_coming BEFORE INSERT ON chatd.reactions FOR EACH ROW EXECUTE FUNCTION chatd.reaction_coming();

CREATE TRIGGER reactions_came AFTER INSERT ON chatd.reactions REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION chatd.reactions_changed();

CREATE TRIGGER reactions_gone AFTER DELETE ON chatd.reactions REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION chatd.reactions_changed();

CREATE TRIGGER reactions_lock BEFORE INSERT OR DELETE ON chatd.reactions FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER retention_changing BEFORE UPDATE OF days ON chatd.conversations FOR EACH STATEMENT EXECUTE FUNCTION chatd.retention_changing();

CREATE TRIGGER retention_shared AFTER UPDATE OF days ON chatd.conversations FOR EACH ROW WHEN (((old.days IS NOT NULL) AND (new.days IS NULL))) EXECUTE FUNCTION chatd.retention_shared();

CREATE TRIGGER sessions_deleted AFTER DELETE ON chatd.sessions REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION chatd.sessions_deleted();

CREATE TRIGGER sessions_inserted AFTER INSERT ON chatd.sessions REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION chatd.sessions_inserted();

CREATE TRIGGER sessions_lock BEFORE INSERT OR DELETE ON chatd.sessions FOR EACH STATEMENT EXECUTE FUNCTION chatd.change_lock();

CREATE TRIGGER user_removing BEFORE DELETE ON chatd.users FOR EACH ROW EXECUTE FUNCTION chatd.user_removing();

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
    ADD CONSTRAINT members_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES chatd.conversations(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.members
    ADD CONSTRAINT members_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.presence
    ADD CONSTRAINT presence_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.reactions
    ADD CONSTRAINT reactions_message_id_fkey FOREIGN KEY (message_id) REFERENCES chatd.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.reactions
    ADD CONSTRAINT reactions_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.sent
    ADD CONSTRAINT sent_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY chatd.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES chatd.users(id) ON DELETE CASCADE;

