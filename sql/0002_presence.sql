-- Who is connected, and where: hosts, their sessions, and the moments at which a user comes
-- or goes.
--
-- The three tables are UNLOGGED: they describe connections, and none of those outlives a
-- crash of PostgreSQL, which empties them. Their numbers come from ordinary sequences, which
-- it does not empty, so that no host id and no presence change is ever used twice.
--
-- Two kinds of advisory lock, both in the form with two keys:
--   (1667785076, 0)        the change lock. Whoever draws a number that readers follow (a
--                          change, a presence change) holds it until commit, so numbers become
--                          visible in their order and "greater than my cursor" skips nothing.
--   (1752134516, host id)  held by the listening connection of that host's broker while it
--                          lives. Who can have this lock knows that the host is dead.

create sequence chatd.host_seq as integer;
create sequence chatd.presence_seq;

-- A running broker. "id" also names its channel, chatd_<id>.
create unlogged table chatd.hosts (
    id bigint primary key default nextval('chatd.host_seq'),
    name text not null,
    started_at timestamptz not null default clock_timestamp(),
    -- When another host first found it dead; null while it lives.
    dead_since timestamptz
);

-- A connected client. A user is online while he has a row here.
create unlogged table chatd.sessions (
    host_id bigint not null,
    session_id bigint not null,
    user_id bigint not null references chatd.users on delete cascade,
    opened_at timestamptz not null default clock_timestamp(),
    primary key (host_id, session_id)
);

create index sessions_user_id on chatd.sessions (user_id, host_id);

-- The last change of each user who ever came or went; whoever has no row is offline.
create unlogged table chatd.presence (
    user_id bigint primary key references chatd.users on delete cascade,
    online boolean not null,
    change bigint not null
);

create unique index presence_change on chatd.presence (change);

-- Before a statement that draws numbers: waits for the change lock.
create function chatd.change_lock() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    return null;
end $$;

-- Compares what is announced of these users with the sessions that there are now, announces
-- the difference and rings every host. It looks at the sessions as they are, not at what the
-- statement did, so a user who leaves and comes back within one transaction ends up right.
create function chatd.presence_update(changed bigint[]) returns void
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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
                  left join presence p on p.user_id = n.user_id
                 where n.online <> coalesce(p.online, false)
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

create function chatd.sessions_inserted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform presence_update(array(select distinct user_id from inserted));
    return null;
end $$;

create function chatd.sessions_deleted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform presence_update(array(select distinct user_id from deleted));
    return null;
end $$;

create trigger sessions_lock before insert or delete on chatd.sessions
    for each statement execute function chatd.change_lock();

create trigger sessions_inserted after insert on chatd.sessions
    referencing new table as inserted
    for each statement execute function chatd.sessions_inserted();

create trigger sessions_deleted after delete on chatd.sessions
    referencing old table as deleted
    for each statement execute function chatd.sessions_deleted();
