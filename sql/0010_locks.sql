-- Locks that nobody else may take.
--
-- An advisory lock belongs to whoever names its number first, and every role that may connect can:
-- one that took the change lock stopped all messages, one that took the lock of a host kept it from
-- attaching, or looking alive when it was dead. So:
--
--   The change lock is one on the table change_lock, which has no rows, and on which nobody has
--   rights but its owner, with which these functions run. Everything else that 0002_presence.sql
--   says of it holds: whoever draws a number that readers follow takes it before, and keeps it
--   until commit. SHARE UPDATE EXCLUSIVE is the weakest mode that excludes itself: it gets along
--   with pg_dump, and needs no look at what other backends have locked.
--
--   A host lives as long as the backend of its broker's listening connection. PostgreSQL tells
--   everybody which backends there are, and nobody can be one that has ended; a backend that gets
--   the same pid later is found out like a host that is silent.

create table chatd.change_lock ();

alter table chatd.hosts add column backend int not null default pg_backend_pid();

-- Before a statement that draws numbers: waits for the change lock. (With the schema by name,
-- without a search_path of its own: this runs for each statement.)
create or replace function chatd.change_lock()
returns trigger
language plpgsql security definer
as $$
begin
    lock table chatd.change_lock in share update exclusive mode;
    return null;
end $$;

-- The rest only takes the other lock; what the functions do is said where they were made.
create or replace function chatd.users_changing()
returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        lock table change_lock in share update exclusive mode;
    elsif (new.disabled, new.token_generation, new.password_hash)
       is not distinct from (old.disabled, old.token_generation, old.password_hash) then
        return new;
    end if;
    -- Enabling counts too: of two states of a user the one with the higher generation is the later.
    new.token_generation := greatest(coalesce(old.token_generation, 0) + 1, new.token_generation);
    new.revocation := nextval('revocation_seq');
    new.revoked_at := greatest(old.revoked_at, clock_timestamp());
    return new;
end $$;

-- Makes the calling connection the listener of a new host: it listens to chatd_<host_id>, and the
-- host lives as long as its backend. Says whether the cursor up to which the broker has handed
-- everything out is honoured, and gives the present one.
create or replace function chatd_api.host_attach(name text, change bigint, stamp int)
returns table(host_id bigint, tag text, honoured boolean, cursor bigint, cursor_stamp int)
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
               stamp_at(last)
          from instance i;
end $$;

create or replace function chatd_api.host_beat(host_id bigint)
returns table(other_id bigint, beat bigint, gone boolean)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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

create or replace function chatd_api.host_sweep(host_ids bigint[], beats bigint[])
returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    dead bigint[];
begin
    lock table change_lock in share update exclusive mode;
    with removed as (
        delete from hosts h using unnest(host_ids, beats) d (id, beat)
         where h.id = d.id and h.beat = d.beat
        returning h.id)
    select coalesce(array_agg(removed.id), '{}') into dead from removed;
    delete from sessions s where s.host_id = any (dead);
    return cardinality(dead);
end $$;

create or replace function chatd_api.message_send(host_id bigint, sender_ids bigint[],
    receiver_ids bigint[], client_ids text[], origins bigint[], contents text[], framed boolean[])
returns table(ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
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
begin
    lock table change_lock in share update exclusive mode;
    if cardinality(sender_ids) = 1 then
        -- Nobody else waits, and there is no order to keep: this plan costs less than the other.
        return query
            insert into messages as m (sender_id, receiver_id, client_id, origin, content)
            select sender_ids[1], receiver_ids[1], client_ids[1], origins[1], contents[1]
             where octet_length(contents[1]) between 1 and 65536
               and char_length(client_ids[1]) between 1 and 64
               and (select true from users u where u.id = sender_ids[1])
               and (select true from users u where u.id = receiver_ids[1])
            on conflict (sender_id, client_id) do nothing
            returning 1, 'ok', m.id, change_stamp(m.created_at), false, true,
                      case when framed[1] then
                          message_frame((select tag from instance), m.id, m.sender_id,
                                        (select u.username from users u where u.id = m.sender_id),
                                        m.receiver_id, m.content, m.created_at) end;
    else
        -- The ids are drawn in the order of the input, so sorted they are in that order again.
        return query
            with put as (
                insert into messages (sender_id, receiver_id, client_id, origin, content)
                select i.sender_id, i.receiver_id, i.client_id, i.origin, i.content
                  from unnest(sender_ids, receiver_ids, client_ids, origins, contents)
                       with ordinality i (sender_id, receiver_id, client_id, origin, content, n)
                 where octet_length(i.content) between 1 and 65536
                   and char_length(i.client_id) between 1 and 64
                   and (select true from users u where u.id = i.sender_id)
                   and (select true from users u where u.id = i.receiver_id)
                 order by i.n
                on conflict (sender_id, client_id) do nothing
                returning id, sender_id, receiver_id, content, created_at
            ), numbered as (
                select put.*, (row_number() over (order by id))::int as n from put
            )
            select m.n, 'ok', m.id, change_stamp(m.created_at), false, true,
                   case when framed[m.n] then
                       message_frame((select tag from instance), m.id, m.sender_id,
                                     (select u.username from users u where u.id = m.sender_id),
                                     m.receiver_id, m.content, m.created_at) end
              from numbered m
             where (select count(*) from put) = cardinality(sender_ids)
             order by m.id;
    end if;
    get diagnostics told = row_count;
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
                   case when not i.valid then 'invalid'
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

create or replace function chatd_api.presence_check(user_ids bigint[])
returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    made int;
begin
    lock table change_lock in share update exclusive mode;
    insert into presence (user_id, online, change)
    select u.id, true, nextval('presence_seq') from users u where u.id = any (user_ids)
    on conflict do nothing;
    get diagnostics made = row_count;
    perform presence_update(user_ids);
    return made;
end $$;

create or replace function chatd_api.revocation_read(after bigint, max_rows int)
returns table(revocation bigint, user_id bigint, generation int, disabled boolean, revoked bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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
        (select r.revocation, r.id, 2147483647, false, 9223372036854775807
           from removed_users r
          where r.revocation > after
          order by r.revocation limit max_rows)
        order by 1
        limit max_rows;
end $$;

create or replace function chatd_api.session_close(host_id bigint, session_ids bigint[])
returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
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

create or replace function chatd_api.session_open(host_id bigint, session_ids bigint[],
    user_ids bigint[], changes bigint[], stamps bigint[])
returns table(session_id bigint, known boolean, cursor bigint, cursor_stamp int, presence bigint,
    honoured boolean)
language plpgsql security definer set search_path = chatd, pg_temp
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
               case when i.change >= 0 then cursor_honoured(i.change, i.stamp::int) else false end
          from unnest(session_ids, user_ids, changes, stamps)
               with ordinality i (session_id, user_id, change, stamp, n)
         order by i.n;
end $$;
