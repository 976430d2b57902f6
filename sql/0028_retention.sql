-- Retention: messages that are older than an operator wants to keep are removed.
--
-- Additive: chatd of the version before runs on. A column without a default, a table of one row and an index of the
-- rooms with a time of their own, which there are none of, are made at once, whatever the size of the tables.
--
-- One host at a time does it, in steps of so many messages. Only a step's deletion holds the change lock.

-- How long all messages are kept, and how far their removal is.
create table chatd.retention (
    one boolean primary key default true check (one),
    days int check (days between 1 and 36500), -- null: for ever
    swept bigint not null default 0,   -- up to this message all was looked at
    room bigint not null default 0,    -- the last conversation with days of its own that was looked at
    horizon bigint not null default 0  -- the last change of any message that was removed
);
insert into chatd.retention default values;

alter table chatd.conversations
    add column days int check (days between 0 and 36500); -- 0: for ever; null: as all
create index conversations_days on chatd.conversations (id) where days > 0;

-- Is this change one of this database, as whoever names it saw it?
create function chatd.cursor_stands(change bigint, stamp int) returns boolean
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return coalesce(change between 0 and change_last() and stamp_at(change) = stamp, false);
end $$;

-- May a client go on from there? Not if it was not told of a change of a message that is removed.
create or replace function chatd.cursor_honoured(change bigint, stamp int) returns boolean
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return cursor_stands(change, stamp) and change >= (select r.horizon from retention r);
end $$;

-- As before. A host that was away has nothing to forget because of what is too old.
create or replace function chatd_api.host_attach(name text, change bigint, stamp int)
returns table (host_id bigint, tag text, honoured boolean, cursor bigint, cursor_stamp int,
    presence bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    new_id bigint;
    last constant bigint := change_last();
begin
    new_id := nextval('host_seq');
    insert into hosts (id, name) values (new_id, host_attach.name);
    execute format('listen %I', 'chatd_' || new_id);
    return query
        select new_id, i.tag, cursor_stands(host_attach.change, host_attach.stamp), last,
               stamp_at(last), presence_last()
          from instance i;
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
    last bigint;
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
        with gone as (delete from messages m where m.id = any (ids) returning greatest(m.id, m.changed) as change)
        select count(*), max(g.change) into removed, last from gone g;
    end if;
    update retention r
       set swept = greatest(r.swept, coalesce(common.upto, 0)), room = own.room,
           horizon = greatest(r.horizon, coalesce(last, 0))
     where coalesce(common.upto, 0) > r.swept or own.room <> r.room or last > r.horizon;
    return query select coalesce(removed, 0), coalesce(common.more, false) or own.more;
end $$;
