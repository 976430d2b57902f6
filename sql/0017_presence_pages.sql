-- Who is online, in pages.
--
-- A host that attaches compared what it knew with every user who ever came, in one statement. Now it
-- reads, in pages, who came or went since it looked last, and who of those before is online still.
--
-- As in 0008_pages.sql, nothing is left to the planner's estimates. An index of an expression
-- serves a condition on that expression and no other; what sorts, or reads a table, is ruled out.

create index presence_online on chatd.presence ((case when online then change end)) where online;

-- Of the table rather than the sequence, which is ahead of what is committed.
create function chatd.presence_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
begin
    return coalesce((select p.change from presence p order by p.change desc limit 1), 0);
end $$;

-- The contacts of a user who are connected to a host. Who has very many is looked for among the
-- host's sessions, which are fewer; so one account that wrote to everybody costs no more.
create function chatd.presence_audience(who bigint, host bigint) returns bigint[]
language plpgsql stable set enable_sort = on
as $$
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

drop function chatd_api.presence_read(bigint, bigint, text);
drop function chatd_api.host_attach(text, bigint, int);

-- Who came or went after a presence change, in the order of changes, at most max_rows. "audience" says
-- who is to know: null for everybody (mode all), or the user's contacts who are connected to this
-- host (mode contacts).
create function chatd_api.presence_read(host_id bigint, after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[])
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
        select p.change, p.user_id, (select u.username from users u where u.id = p.user_id), p.online,
               case mode when 'contacts' then
                   presence_audience(p.user_id, presence_read.host_id) end
          from presence p
         where p.change > after and mode in ('all', 'contacts')
         order by p.change
         limit max_rows;
end $$;

-- Who came by a presence change in (after, upto] and is online still, at most max_rows.
create function chatd_api.presence_online(host_id bigint, after bigint, upto bigint, max_rows int)
returns table (change bigint, user_id bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
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

-- As presence_read for one user who was away: the next changes, and whether they concern this user.
create function chatd_api.presence_read_user(reader_id bigint, after bigint, max_rows int, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[])
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
    return query
        select p.change, p.user_id, (select u.username from users u where u.id = p.user_id), p.online,
               case mode when 'contacts' then array(
                   select c.contact_id from contacts c
                    where c.user_id = p.user_id and c.contact_id = presence_read_user.reader_id) end
          from presence p
         where p.change > after and mode in ('all', 'contacts')
         order by p.change
         limit max_rows;
end $$;

-- Attaches a host to the calling connection, which it makes listen to the host's bells. "honoured":
-- the change that the host knows is in this database. "cursor" is the last change, "presence" the
-- last presence change: whatever commits later has a higher number.
create function chatd_api.host_attach(name text, change bigint, stamp int)
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
        select new_id, i.tag, cursor_honoured(host_attach.change, host_attach.stamp), last,
               stamp_at(last), presence_last()
          from instance i;
end $$;

-- As in 0002_presence.sql, with subqueries in place of a join, which might read all of presence.
create or replace function chatd.presence_update(changed bigint[]) returns void
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
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

-- Whoever is shown as online but has no session: announces that. A host asks this of users whom it
-- knew as online and finds no more. They may have a row that says so already, under a number which
-- that host takes for one it has read: where the sequence went back. They get a new number, too.
create or replace function chatd_api.presence_check(user_ids bigint[])
returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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

drop function chatd_api.host_sweep(bigint[], bigint[]);

-- Removes hosts that have not beaten since, and at most max_rows sessions of one of all those that
-- were ever removed: each user who goes with them costs some writes, and meanwhile nobody stores.
-- Whoever calls this goes on while some are left. If the caller dies before, another one does:
-- with the next host that is removed, which is the caller.
create function chatd_api.host_sweep(host_ids bigint[], beats bigint[], max_rows int)
returns table (removed int, some_left boolean)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
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

-- The other functions name users, or what they read next. But a connection that saw a table all but
-- empty has planned to read it from end to end, and goes on doing so until somebody runs ANALYZE.
alter function chatd_api.presence_check(bigint[]) set enable_seqscan = off;
alter function chatd_api.session_open(bigint, bigint[], bigint[], bigint[], bigint[]) set enable_seqscan = off;
alter function chatd_api.user_credentials(bigint) set enable_seqscan = off;
alter function chatd_api.user_logout(bigint) set enable_seqscan = off;
alter function chatd_api.user_password(bigint, bigint, text) set enable_seqscan = off;
alter function chatd_api.user_register(text, text, text) set enable_seqscan = off;
alter function chatd_api.user_rehash(bigint, text, text) set enable_seqscan = off;
alter function chatd_api.user_standing(bigint) set enable_seqscan = off;
alter function chatd_api.revocation_read(bigint, int) set enable_seqscan = off;
alter function chatd_api.revocation_read(bigint, int) set enable_bitmapscan = off;
alter function chatd_api.revocation_read(bigint, int) set enable_sort = off;
