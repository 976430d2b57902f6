-- Retention: messages that are older than an operator wants to keep are removed.
--
-- Additive: chatd of the version before runs on. Columns that are null or constant, a table of one row and an index of
-- the rooms with a time of their own, which there are none of, are made at once, whatever the size of the tables.
--
-- One host at a time does it, in steps of so many messages. Only a step's deletion holds the change lock.

-- How long all messages are kept, and how far their removal is.
create table chatd.retention (
    one boolean primary key default true check (one),
    days int check (days between 1 and 36500), -- null: for ever
    swept bigint not null default 0,   -- up to this message all was looked at
    room bigint not null default 0,    -- the last conversation with days of its own that was looked at
    horizon bigint not null default 0, -- the last change of any message that was removed
    last bigint not null default 0,    -- the last message that was removed,
    stamp int not null default 0       -- and its stamp
);
insert into chatd.retention default values;

alter table chatd.conversations
    add column days int check (days between 0 and 36500), -- 0: for ever; null: as all
    add column horizon bigint not null default 0; -- the last change of any of its messages that was removed
create index conversations_days on chatd.conversations (id) where days > 0;

-- The sequence does not go back, nor does a cursor become another one, because its message is too old.
create or replace function chatd.change_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off
as $$
begin
    return greatest((select max(id) from messages), (select max(changed) from messages),
                    -- Not max(): a plan from when there were none would read them all.
                    (select change from group_changes order by change desc limit 1),
                    (select r.horizon from retention r), 0);
end $$;

create or replace function chatd.stamp_at(change bigint) returns int
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off set enable_bitmapscan = off
    set enable_sort = off
as $$
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

-- May this user's client go on from there? Not if it was not told of a change of a message, in a conversation of
-- the user, that is removed.
create function chatd.cursor_honoured(change bigint, stamp int, user_id bigint) returns boolean
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
begin
    return cursor_honoured(change, stamp)
           and (change >= (select r.horizon from retention r)
                or not exists (select from members m
                                 join conversations c on c.id = m.conversation_id
                                where m.user_id = cursor_honoured.user_id and c.horizon > change));
end $$;

create function chatd_api.cursor_honoured(change bigint, stamp int, user_id bigint) returns boolean
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
begin
    return chatd.cursor_honoured(change, stamp, user_id);
end $$;

-- As before.
create or replace function chatd_api.session_open(host_id bigint, session_ids bigint[],
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
               case when i.change >= 0 then cursor_honoured(i.change, i.stamp::int, i.user_id) else false end,
               exists (select from members m
                        where m.user_id = i.user_id and m.role is not null and m.until is null)
          from unnest(session_ids, user_ids, changes, stamps)
               with ordinality i (session_id, user_id, change, stamp, n)
         order by i.n;
end $$;
-- A conversation that takes part in the common time again has messages that were passed over.
create function chatd.retention_shared() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    update retention set swept = 0;
    return null;
end $$;
create trigger retention_shared after update of days on chatd.conversations
    for each row when (old.days is not null and new.days is null) execute function chatd.retention_shared();

-- Whoever says how long a conversation keeps its messages waits for a step that is under way, before the
-- conversation's row is locked: a step locks rows in that order.
create function chatd.retention_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform from retention for update;
    return null;
end $$;
create trigger retention_changing before update of days on chatd.conversations
    for each statement execute function chatd.retention_changing();

-- Is a message of this time to go? What claims to come from the future is kept.
create function chatd.is_over(created_at timestamptz, days int) returns boolean
language sql stable
as $$
    select created_at < now() - make_interval(days => days)
$$;

-- Of the next messages, which go; the last one that was looked at; whether there may be more that are over.
create function chatd.retention_common(max_rows int) returns table (ids bigint[], upto bigint, more boolean)
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
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

-- The same of the conversations with days of their own; room: the last of them that is done with.
create function chatd.retention_own(max_rows int) returns table (ids bigint[], room bigint, more boolean)
language plpgsql stable set search_path = chatd, pg_temp set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
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

-- Removes at most so many messages. host_id: null, or one that does nothing unless it is the first of the hosts.
create function chatd_api.retention_step(host_id bigint, max_rows int) returns table (removed int, some_left boolean)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    common record;
    own record;
    ids bigint[];
    newest record;
begin
    if host_id is distinct from coalesce((select min(h.id) from hosts h where host_id is not null), host_id) then
        return query select 0, false;
        return;
    end if;
    if not exists (select from retention r where r.days is not null)
       and not exists (select from conversations c where c.days > 0) then
        return query select 0, false;
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
    return query select coalesce(removed, 0), coalesce(common.more, false) or own.more;
end $$;
