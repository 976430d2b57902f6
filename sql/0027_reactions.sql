-- Replies, reactions and mentions.
--
-- No row is written anew. The new columns are null for plain messages, which cost what they did: what is said of
-- such a column is null without one, and the planner writes that into the text of a message as an expression.

alter table chatd.messages
    add column reply_to bigint, -- a message of the same conversation, which may be gone
    -- [{"emoji":…,"count":…}], the first to come first: what chatd.reactions amounts to; null: none.
    add column reactions json,
    add column mentions bigint[]; -- members of the group that its text names; null: none

-- Replies --------------------------------------------------------------------------------------

-- Is this a message of this conversation that this user may see?
create function chatd.reply_fits(answered bigint, conversation bigint, who bigint) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.messages m
                    where m.id = answered and m.conversation_id = conversation and chatd.message_seen(m, who));
end $$;

create function chatd.message_replying() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if not reply_fits(new.reply_to, new.conversation_id, new.sender_id) then
        raise exception 'user % sees no message % in conversation %', new.sender_id, new.reply_to,
            new.conversation_id using errcode = 'check_violation';
    end if;
    return new;
end $$;

-- Triggers go by their names: this one comes when the conversation is known.
create trigger messages_replying before insert on chatd.messages
    for each row when (new.reply_to is not null) execute function chatd.message_replying();

-- Reactions ------------------------------------------------------------------------------------

create table chatd.reactions (
    message_id bigint not null references chatd.messages on delete cascade,
    user_id bigint not null references chatd.users on delete cascade,
    emoji text not null check (octet_length(emoji) between 1 and 32
        and emoji collate "C" !~ '[\u0001- \u007F-\u009F\u2028-\u202E\u2066-\u2069]'),
    primary key (message_id, user_id, emoji)
);

create index reactions_user on chatd.reactions (user_id); -- for the removal of an account

-- Why this user may not react to a message, or take a reaction back, which is always possible where one sees it;
-- null: there is no reason.
create function chatd.reaction_refusal(who bigint, m chatd.messages, removes boolean) returns text
language plpgsql stable
as $$
begin
    return case when m.id is null or not chatd.message_seen(m, who)
                     or not chatd.conversation_seen(m.conversation_id, who) then 'unknown_message'
                when removes then null
                when m.deleted then 'gone'
                when m.receiver_id is not null and chatd.is_blocked(m.sender_id, m.receiver_id) then 'refused' end;
end $$;

create function chatd.reaction_coming() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    refused constant text := reaction_refusal(new.user_id, (select m from messages m where m.id = new.message_id), false);
begin
    if refused is not null then
        raise exception 'user % may not react to message %: %', new.user_id, new.message_id, refused
            using errcode = 'check_violation';
    end if;
    return new;
end $$;

-- What these reactions become with those that have come, or gone. A kind that nobody has is left out.
create function chatd.reactions_sum(reactions json, emojis text[], changes int[]) returns json
language sql immutable
as $$
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

-- How many kinds of reactions a message may have.
create function chatd.reaction_kinds() returns int
language sql immutable
as $$ select 20 $$;

-- A reaction changes its message, in the order in which they came.
create function chatd.reactions_changed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
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

-- Its place in the order is new; its text, and when that was edited, is not.
create function chatd.message_reacted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    new.changed := nextval('change_seq');
    return new;
end $$;

create function chatd.message_deleted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    delete from reactions r where r.message_id = new.id;
    return null;
end $$;

create trigger reactions_lock before insert or delete on chatd.reactions
    for each statement execute function chatd.change_lock();
create trigger messages_reactions_lock before update of reactions on chatd.messages
    for each statement execute function chatd.change_lock();
create trigger reaction_coming before insert on chatd.reactions
    for each row execute function chatd.reaction_coming();
create trigger reactions_came after insert on chatd.reactions referencing new table as touched
    for each statement execute function chatd.reactions_changed();
create trigger reactions_gone after delete on chatd.reactions referencing old table as touched
    for each statement execute function chatd.reactions_changed();
create trigger message_reacted before update of reactions on chatd.messages
    for each row when (old.reactions::text is distinct from new.reactions::text and new.deleted is not true)
    execute function chatd.message_reacted();
create trigger message_deleted after update of deleted on chatd.messages
    for each row when (new.deleted and old.reactions is not null) execute function chatd.message_deleted();

-- The reactions of a message as this user sees them, which is with the own ones told apart.
create function chatd.reactions_seen(message bigint, reactions json, who bigint) returns text
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return (select '[' || string_agg('{"emoji":' || to_json(o.value ->> 'emoji')::text || ',"count":' || (o.value ->> 'count')
                                     || ',"mine":' || case when exists (
                                            select from reactions r
                                             where r.message_id = message and r.user_id = who
                                               and r.emoji = o.value ->> 'emoji') then 'true' else 'false' end || '}',
                                     ',' order by o.place) || ']'
              from json_array_elements(reactions) with ordinality o (value, place));
end $$;

-- As before; nothing is left of the reactions either.
create or replace function chatd.message_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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

-- Mentions -------------------------------------------------------------------------------------

-- The members of a group whom a text names, in the order in which it does, at most 20: of @ and the name characters
-- behind it (src/ipc/username.h) the longest part that is somebody's name, and that ends where they end, or before
-- a '.', '_' or '-'. An @ behind a name character is that of an address. Of a text with more names the first 50 are
-- looked up, which bounds what it costs. Null: there are none.
create function chatd.mentions_in(conversation bigint, content text) returns bigint[]
language plpgsql stable set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
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

create function chatd.message_mentioning() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    new.mentions := mentions_in(new.conversation_id, new.content);
    return new;
end $$;

-- A message of two users costs no more than a look at its receiver.
create trigger messages_mentioning before insert on chatd.messages
    for each row when (new.receiver_id is null and position('@' in new.content) > 0)
    execute function chatd.message_mentioning();

-- What clients are told -------------------------------------------------------------------------

-- What some messages have, behind what all have.
create function chatd.more_json(reply_to bigint, mentions bigint[], reactions text) returns text
language sql stable
as $$
    select coalesce(',"reply_to":' || reply_to, '')
        || coalesce(',"mentions":[' || array_to_string(mentions, ',') || ']', '')
        || coalesce(',"reactions":' || reactions, '')
$$;

drop function chatd.message_json(bigint, bigint, bigint, bigint, text, timestamptz, timestamptz, boolean);

-- As before. more: see more_json().
create function chatd.message_json(id bigint, conversation_id bigint, sender_id bigint,
    receiver_id bigint, content text, created_at timestamptz, edited_at timestamptz, deleted boolean,
    more text) returns text
language sql stable
as $$
    select '{"id":' || id || ',"conversation_id":' || conversation_id || ',"sender_id":' || sender_id
        || coalesce(',"receiver_id":' || receiver_id, '') || ',"content":' || to_json(content)::text
        || ',"created_at":' || json_time(created_at) || changed_json(edited_at, deleted) || (more || '}')
$$;

drop function chatd.event_frame(text, bigint, bigint, bigint, bigint, text, bigint, text, timestamptz, timestamptz,
    boolean);
drop function chatd.change_frame(text, bigint, int, bigint, bigint, text, timestamptz, boolean);

create function chatd.change_frame(tag text, change bigint, stamp int, id bigint, conversation_id bigint,
    content text, edited_at timestamptz, deleted boolean, more text) returns text
language sql stable
as $$
    select '{"type":"message_changed","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id || ',"conversation_id":' || conversation_id
        || ',"edited_at":' || coalesce(json_time(edited_at), 'null')
        || ',"deleted":' || case when deleted then 'true' else 'false' end
        || (more || ',"cursor":"') || tag || '-' || change || '-' || stamp || '"}}'
$$;

-- Each column by itself: an expression that is used twice would keep the planner from writing this in place.
create function chatd.event_frame(tag text, place bigint, id bigint, conversation_id bigint, sender_id bigint,
    sender text, receiver_id bigint, content text, created_at timestamptz, edited_at timestamptz,
    deleted boolean, reply_to bigint, mentions bigint[], reactions text) returns text
language sql stable
as $$
    select case when place = id
                then message_frame(tag, id, conversation_id, sender_id, sender, receiver_id, content, created_at,
                                   changed_json(edited_at, deleted) || more_json(reply_to, mentions, reactions))
                else change_frame(tag, place, stamp_at(place), id, conversation_id, content, edited_at, deleted,
                                  more_json(null, mentions, reactions))
                end
$$;

-- Conversations as this user, who is in them, sees them. lasts: the last message of each that the user may see;
-- places: what the list is ordered by.
drop function chatd.conversations_seen(bigint, text, bigint[], bigint[], boolean);
create function chatd.conversations_seen(caller_id bigint, mode text, conversations bigint[], lasts bigint[],
    places bigint[], careful boolean) returns table (place bigint, line text)
language sql stable
as $$
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

-- As before, with groups. One without a message that the user may see stands where the user came.
create or replace function chatd_api.conversation_list(caller_id bigint, mode text, before bigint, max_rows int,
    careful boolean default false) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
    set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan
as $$
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

create or replace function chatd_api.message_show(user_id bigint, conversation_id bigint, message_id bigint)
returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off
as $$
begin
    return (select message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                m.created_at, m.edited_at, m.deleted, more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, message_show.user_id) end))
              from messages m
             where m.id = message_show.message_id and m.conversation_id = message_show.conversation_id
               and message_seen(m, message_show.user_id));
end $$;

drop function chatd.messages_between(bigint, bigint, bigint, int);

-- As before, of what came after the change since and up to the change until; null: there is no end.
-- What became of a message after one left is not shown, nor are reactions if one came later. Where the
-- text was changed before and a reaction came later, which of them was last is not known: it is not shown, either.
create function chatd.messages_between(conversation bigint, since bigint, until bigint, before bigint, after bigint,
    max_rows int) returns setof chatd.messages
language sql stable
as $$
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

drop function chatd.message_page(bigint, bigint, bigint, int, boolean);

-- As before, within those bounds.
create function chatd.message_page(caller_id bigint, conversation bigint, since bigint, until bigint, before bigint, after bigint, max_rows int,
    careful boolean, out page text, out next bigint)
language plpgsql stable set search_path = chatd, pg_temp
as $$
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    found int;
    upto bigint; -- bytes that the page has at most
begin
    select count(*), coalesce(sum(octet_length(m.content)), 0) * 6 + 250 * count(*)
           + coalesce(sum(2 * octet_length(m.reactions::text)), 0) + coalesce(sum(20 * cardinality(m.mentions)), 0)
      into found, upto
      from messages_between(conversation, since, until, before, after, max_rows + 1) m;
    if upto <= most then
        select string_agg(message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                       m.created_at, m.edited_at, m.deleted,
                                       more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, caller_id) end)),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content)),
               case when found > max_rows then
                    case when forward then max(m.id) else min(m.id) end end
          into page, next
          from messages_between(conversation, since, until, before, after, max_rows) m;
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
                                  from messages_between(conversation, since, until, before, after, max_rows + 1) m
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
        return query select true, p.* from message_page(user_id, conversation, 0, null, before, after, max_rows, careful) p;
    end if;
end $$;

-- As before; whoever has left a group sees what there was until then.
create or replace function chatd_api.conversation_history(caller_id bigint, conversation_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
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

drop function chatd_api.event_read(bigint, bigint, int, boolean);
drop function chatd_api.event_read_user(bigint, bigint, bigint, int, boolean);
drop function chatd.event_read_edited(text, bigint, bigint, bigint, int, boolean);
drop function chatd.event_read_user_edited(text, bigint, bigint, bigint, boolean, bigint, int, boolean);
drop function chatd.messages_by_conversation(bigint, bigint, bigint, int);
drop function chatd.messages_by_change(bigint, bigint, bigint, int);
drop function chatd.changed_by_conversation(bigint, bigint, bigint, int);
drop function chatd.changed_by_change(bigint, bigint, bigint, int);
drop function chatd.event_stamp(bigint, bigint, timestamptz);

-- What event_read() answers with where more than messages has come: changes of messages and of groups
-- among the messages. Those of messages go to all connections of the users, so they have no origin.
-- It has the settings of its caller.
create function chatd.event_read_changed(here text, host_id bigint, after bigint, upto bigint, max_rows int,
    careful boolean) returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text,
    group_id bigint, subject bigint, membership bigint)
language plpgsql stable
as $$
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

-- As before, with the groups of the user.
create function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint, max_rows int,
    careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text,
    group_id bigint, subject bigint, membership bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
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

-- As before. user_ids: of a direct message, or those whose membership changes; group_id: the group that a change
-- concerns, all of whose members get it who may see its subject: the message that it is or changes, or the
-- change itself. membership: see group_event(). Where only messages have come, that is all that it costs.
create function chatd_api.event_read(host_id bigint, after bigint, max_rows int, careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text,
    group_id bigint, subject bigint, membership bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan
as $$
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

-- Messages -------------------------------------------------------------------------------------

drop function chatd_api.message_send(bigint, bigint[], bigint[], text[], bigint[], text[], boolean[], bigint,
    bigint, bigint[]);

-- As before, for messages to groups, too: those name their conversation, and have no receiver. reply_tos: of each message the one that it answers; 0: it answers none; null: none of them does.
create function chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[], framed boolean[],
    max_messages bigint default null, max_bytes bigint default null, conversation_ids bigint[] default null,
    reply_tos bigint[] default null)
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

-- Changes of messages --------------------------------------------------------------------------

-- May these users react so? Where the content is null the reaction is taken back; without an emoji it is none.
-- Kinds that are new to a message are counted as if none of the batch were taken back.
create function chatd.reactions_judged(user_ids bigint[], conversation_ids bigint[], message_ids bigint[],
    contents text[], emojis text[]) returns table (n bigint, status text)
language sql stable
as $$
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

-- Of such a batch: what each user has of each kind in the end.
create function chatd.reactions_last(user_ids bigint[], message_ids bigint[], contents text[], emojis text[],
    statuses text[]) returns table (message_id bigint, user_id bigint, emoji text, removes boolean)
language sql stable
as $$
    select l.message_id, l.user_id, l.emoji, l.content is null
      from (select distinct on (i.message_id, i.user_id, i.emoji) i.*
              from unnest(user_ids, message_ids, contents, emojis, statuses) with ordinality
                   i (user_id, message_id, content, emoji, status, n)
             where i.emoji is not null and i.status = 'ok'
             order by i.message_id, i.user_id, i.emoji, i.n desc) l
     order by l.n
$$;

drop function chatd_api.message_change(bigint, bigint[], bigint[], bigint[], text[], bigint, bigint, boolean,
    bigint);

-- As before, but that it waits for a standby in any case; and reactions: where there is an emoji, the user gets or, if the content is null, loses that. They
-- count behind the texts of the batch. emojis: null: there are none. size: bytes of the content that goes to
-- everybody once more.
create function chatd_api.message_change(host_id bigint, user_ids bigint[], conversation_ids bigint[],
    message_ids bigint[], contents text[], edit_time bigint default null,
    max_bytes bigint default null, audit boolean default false, max_messages bigint default null,
    emojis text[] default null)
returns table (ordinal int, status text, change bigint, stamp int, size int)
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
