-- Users who block others: between two of whom one has blocked the other no message goes, and neither
-- sees whether the other is online or writing. What they have exchanged stays, and stays readable.
-- What sends messages and lists conversations obeys from 0025 on, which makes these functions anew.

-- A row stays when the block is lifted: whoever reads presence later learns there what has changed.
create table chatd.blocks (
    user_id bigint not null references chatd.users on delete cascade,
    blocked_id bigint not null references chatd.users on delete cascade,
    blocked_at timestamptz default clock_timestamp(), -- null: lifted
    -- Of presence: since then they see nothing of each other, or see each other again.
    change bigint not null,
    -- Each is told what it sees of the other under that change and the one before. Not where the other
    -- has blocked first, and its change counts.
    told boolean not null,
    primary key (user_id, blocked_id),
    check (user_id <> blocked_id)
);
create index blocks_blocked on chatd.blocks (blocked_id, user_id);
create unique index blocks_told on chatd.blocks (change) where told;

-- Who sends messages looks here anyway.
alter table chatd.contacts add column blocked boolean not null default false;

-- Has one of them blocked the other, by a change below this one?
create function chatd.is_blocked(one_id bigint, other_id bigint, below bigint default 9223372036854775807)
returns boolean
language plpgsql stable
as $$
begin
    return exists (select from chatd.blocks b
                    where b.user_id = one_id and b.blocked_id = other_id and b.blocked_at is not null
                      and b.change < below)
        or exists (select from chatd.blocks b
                    where b.user_id = other_id and b.blocked_id = one_id and b.blocked_at is not null
                      and b.change < below);
end $$;

-- Nobody has ever blocked this user, nor this user anybody.
create function chatd.is_free(id bigint) returns boolean
language plpgsql stable
as $$
begin
    return not exists (select from chatd.blocks b where b.user_id = id)
        and not exists (select from chatd.blocks b where b.blocked_id = id);
end $$;

-- Why the one may not write to the other; null: there is no reason. The same both ways, so that nobody
-- learns who has blocked whom.
create function chatd.refusal(sender_id bigint, receiver_id bigint) returns text
language plpgsql stable
as $$
begin
    return case when not exists (select from chatd.users u where u.id = sender_id) then 'unknown_sender'
                when not exists (select from chatd.users u where u.id = receiver_id) then 'unknown_receiver'
                when chatd.is_blocked(sender_id, receiver_id) then 'refused' end;
end $$;

-- Numbers a change of what two users see of each other. Where both have blocked, the change of the
-- first counts until both have lifted.
create function chatd.blocks_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
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

create function chatd.blocks_changed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
as $$
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

create trigger blocks_lock before insert or update or delete on chatd.blocks
    for each statement execute function chatd.change_lock();
create trigger blocks_changing before insert or update on chatd.blocks
    for each row execute function chatd.blocks_changing();
create trigger blocks_changed after insert or update or delete on chatd.blocks
    for each row execute function chatd.blocks_changed();

-- Blocks a user, or lifts that. So many rows of one user are kept; the oldest that was lifted makes room.
create function chatd_api.user_block(user_id bigint, other_id bigint, blocking boolean) returns text
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

-- Whom a user blocks, by id, as JSON, and where the next page begins; null: there is none.
create function chatd_api.user_blocks(user_id bigint, after_id bigint, max_rows int)
returns table (blocks text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
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

-- As before; and a conversation that begins between two of whom one has blocked the other, as by psql,
-- is blocked as well.
create or replace function chatd.contact_make(user_id bigint, other_id bigint) returns bigint
language plpgsql set search_path = chatd, pg_temp
as $$
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

-- As before, where nothing is against the message.
create or replace function chatd.conversations_make(known bigint[], sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], contents text[]) returns boolean
language plpgsql set search_path = chatd, pg_temp
as $$
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

-- Who gets a message, or is written to, where a conversation is named by its number: the other member, or
-- the sender of a note to oneself; null: the sender may not see that conversation. 0 names none, and the
-- receiver counts.
create function chatd.receivers_named(sender_ids bigint[], receiver_ids bigint[], conversation_ids bigint[])
returns bigint[]
language plpgsql stable set search_path = chatd, pg_temp
as $$
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

drop function chatd_api.typing_tell(bigint, bigint[], bigint[]);

-- As before, without those of whom one has blocked the other. Conversations may be named in place of receivers.
create function chatd_api.typing_tell(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    conversation_ids bigint[] default null)
returns table (receiver_id bigint, conversation_id bigint, user_id bigint, username text)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
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

-- As before; those of whom one has blocked the other are not shown to each other.
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

-- The last change that somebody who reads presence can have seen.
create or replace function chatd.presence_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
begin
    return greatest((select p.change from presence p order by p.change desc limit 1),
                    (select b.change from blocks b where b.told order by b.change desc limit 1), 0);
end $$;

-- Those on a host who must not hear of a change of a user's presence: a block came before it. Null:
-- nobody. Of one whom very many have blocked it goes through the host's users instead.
create function chatd.presence_hidden(who bigint, host bigint, change bigint) returns bigint[]
language plpgsql stable set enable_sort = on
as $$
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

-- What blocks have changed after a change, as if somebody had gone, or come. For that it takes somebody
-- who is there: or who was, of which the other may not have heard, since it came after the block.
create function chatd.presence_views(after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, online boolean, audience bigint[])
language plpgsql stable
as $$
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

-- What has changed in presence, by blocks or otherwise, at most max_rows. view: only what the audience sees
-- of the user has. Expanded where it is called.
create function chatd.presence_changes(after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[], view boolean)
language sql stable
as $$
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

drop function chatd_api.presence_read(bigint, bigint, int, text);
drop function chatd_api.presence_read_user(bigint, bigint, int, text);

-- As before, with those whom a block hides it from, though they are in the audience.
create function chatd_api.presence_read(host_id bigint, after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[],
    hidden bigint[], view boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
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

-- As before, in the same way.
create function chatd_api.presence_read_user(reader_id bigint, after bigint, max_rows int, mode text)
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
                    then array(select k.contact_id from contacts k
                                where k.user_id = c.user_id and k.contact_id = reader_id)
                    else c.audience end,
               case when not (free or c.view) and is_blocked(c.user_id, reader_id, c.change)
                    then array[reader_id] end,
               c.view
          from presence_changes(after, max_rows, mode) c;
end $$;

-- As before, in the same way.
create or replace function chatd_api.member_list(caller_id bigint, conversation_id bigint, mode text) returns text
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

-- Does the one hear how far the other has got in this conversation? In one of two, not if one has blocked
-- the other.
create function chatd.receipt_shown(conversation bigint, of_id bigint, viewer_id bigint) returns boolean
language plpgsql stable
as $$
begin
    return not exists (select from chatd.contacts c
                        where c.user_id = of_id and c.contact_id = viewer_id
                          and c.conversation_id = conversation and c.blocked);
end $$;

-- As before, to those who may hear of it.
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
