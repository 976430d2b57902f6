-- Cursors that cannot lie, and hosts that prove that they live.
--
-- A cursor that a client keeps is the text tag-change-stamp: the database (chatd.instance), the
-- number of the last change that the client has, and that change's stamp. A failover or a restored
-- backup may take changes back and give their numbers out again; the stamp then differs, and the
-- client is told so rather than left with a hole. Where old messages are removed, cursors from
-- among them are not honoured any more by the same rule; only the one before all, 0, still is.
-- A later kind of change extends chatd.stamp_at, as it does chatd.change_last.

-- The microseconds of its minute at which a change was made.
create function chatd.change_stamp(moment timestamptz) returns int
language sql stable
as $$ select date_part('microseconds', moment)::int $$;

-- The stamp of the last change up to this number; 0 where there is none.
create function chatd.stamp_at(change bigint) returns int
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return coalesce((select change_stamp(m.created_at) from messages m
                      where m.id <= change order by m.id desc limit 1), 0);
end $$;

-- Whether everything up to this cursor still is what it was when the cursor was given out.
create function chatd.cursor_honoured(change bigint, stamp int) returns boolean
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return coalesce(change between 0 and change_last() and stamp_at(change) = stamp, false);
end $$;

create or replace function chatd.message_frame(tag text, id bigint, sender_id bigint, sender text,
    receiver_id bigint, content text, created_at timestamptz) returns text
language sql stable
as $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || '","receiver_id":' || receiver_id
        || ',"created_at":' || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || ',"cursor":"' || tag || '-' || id || '-' || date_part('microseconds', created_at)::int || '"}}'
$$;

-- For a client that asks on an open connection.
create function chatd_api.cursor_honoured(change bigint, stamp int) returns boolean
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
begin
    return chatd.cursor_honoured(change, stamp);
end $$;

-- Hosts and sessions --------------------------------------------------------------------------

-- Each host counts up its beat. Whether one still beats is judged by the others, each with its own
-- steady clock: a step of any wall clock, this server's too, ends nobody.
alter table chatd.hosts drop column dead_since, add column beat bigint not null default 0;

drop function chatd_api.host_sweep(bigint);
drop function chatd_api.host_attach(text);
drop function chatd_api.session_open(bigint, bigint[], bigint[]);
drop function chatd_api.message_send(bigint[], bigint[], text[], bigint[], text[]);
drop function chatd_api.event_read(bigint, bigint, int);
drop function chatd_api.event_read_user(bigint, bigint, bigint, int);

-- Counts this host's beat and tells of the others: their beats, and whether the connection that
-- stood for the host's life is gone. Fails with SQLSTATE CH001 when the others took this host for
-- dead: it has to attach anew.
create function chatd_api.host_beat(host_id bigint)
returns table (other_id bigint, beat bigint, gone boolean)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    update hosts h set beat = h.beat + 1 where h.id = host_beat.host_id;
    if not found then
        raise exception 'host % is not attached', host_beat.host_id using errcode = 'CH001';
    end if;
    -- The locks are only tried: who looks at the same moment sees the host a little later.
    return query
        select h.id, h.beat, pg_try_advisory_xact_lock(1752134516, h.id::int)
          from hosts h
         where h.id <> host_beat.host_id;
end $$;

-- Removes these hosts with their sessions, each only if its beat is still this one. Returns how
-- many there were.
create function chatd_api.host_sweep(host_ids bigint[], beats bigint[]) returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    dead bigint[];
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    with removed as (
        delete from hosts h using unnest(host_ids, beats) d (id, beat)
         where h.id = d.id and h.beat = d.beat
        returning h.id)
    select coalesce(array_agg(removed.id), '{}') into dead from removed;
    delete from sessions s where s.host_id = any (dead);
    return cardinality(dead);
end $$;

-- Makes the calling connection the listener of a new host: it listens to chatd_<host_id> and
-- holds the host's lock for as long as it lives. The lock is there before the row can be seen,
-- so nobody takes the new host for a dead one. Says whether the cursor up to which the broker has
-- handed everything out is honoured, and gives the present one.
create function chatd_api.host_attach(name text, change bigint, stamp int)
returns table (host_id bigint, tag text, honoured boolean, cursor bigint, cursor_stamp int)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    new_id bigint;
    last constant bigint := change_last();
begin
    new_id := nextval('host_seq');
    perform pg_advisory_lock(1752134516, new_id::int);
    insert into hosts (id, name) values (new_id, host_attach.name);
    execute format('listen %I', 'chatd_' || new_id);
    return query
        select new_id, i.tag, cursor_honoured(host_attach.change, host_attach.stamp), last,
               stamp_at(last)
          from instance i;
end $$;

-- Opens sessions; one row each, in the order of the input. The cursor and the presence change are
-- those of the moment at which the session is in the table: exactly what is greater will be rung
-- for it. "honoured" is whether the cursor given for the session is; -1 stands for none. A user who does not exist is not known and gets no session. Fails with SQLSTATE CH001
-- when the host is not attached (any more): the caller then attaches again.
create function chatd_api.session_open(host_id bigint, session_ids bigint[], user_ids bigint[],
    changes bigint[], stamps bigint[])
returns table (session_id bigint, known boolean, cursor bigint, cursor_stamp int, presence bigint,
               honoured boolean)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    last bigint;
    last_stamp int;
    announced bigint;
begin
    perform pg_advisory_xact_lock(1667785076, 0);
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

-- Messages and events -------------------------------------------------------------------------

-- Stores a batch of messages in one commit and says of each, in the order of the input, what
-- became of it: ok, invalid, unknown_sender, unknown_receiver, or conflict (the sender gave
-- the same client id to another message). "duplicate" is true where the very same message was
-- there already, also as an earlier item of this batch; "own" says that it was the same connection
-- that stored it.
create function chatd_api.message_send(sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[])
returns table (ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
               own boolean)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    added bigint[];
    stamps int[];
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    -- The ids are drawn in the order of the input, so sorted they are in that order again.
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
        returning id, change_stamp(created_at) as stamp)
    select array_agg(put.id order by put.id), array_agg(put.stamp order by put.id)
      into added, stamps from put;
    if cardinality(added) = cardinality(sender_ids) then
        return query
            select a.n::int, 'ok', a.id, a.stamp, false, true
              from unnest(added, stamps) with ordinality a (id, stamp, n);
        return;
    end if;
    -- A transaction that writes nothing does not wait for a synchronous standby. This one answers
    -- for messages that an earlier one stored, perhaps one that was cut off while it waited: with
    -- a number of its own it is committed, and waits, behind that.
    perform pg_current_xact_id();
    -- Something is not plainly new. Now the stored rows tell which is which.
    return query
        with item as (
            select i.*, coalesce(octet_length(i.content) between 1 and 65536
                                 and char_length(i.client_id) between 1 and 64, false) as valid,
                   exists (select from users u where u.id = i.sender_id) as from_known,
                   exists (select from users u where u.id = i.receiver_id) as to_known
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
                   row_number() over (partition by m.id, i.valid and i.from_known and i.to_known
                                      order by i.n) as turn
              from item i
              left join messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
        ), told as (
            select j.*, j.status = 'ok' as ok,
                   j.turn = 1 and j.id = any (coalesce(added, '{}')) as new
              from judged j
        )
        select t.n::int, t.status, case when t.ok then t.id end,
               case when t.ok then t.stamp end, t.ok and not t.new, t.ok and t.own
          from told t
         order by t.n;
end $$;

-- The changes after a cursor that concern somebody connected to this host, in their order, at
-- most max_rows, among the next 50,000 ids. With each its number and stamp, the users to whom it
-- goes, the connection that needs no copy, and the text for the client. When all were found, a
-- last row with nothing but a cursor takes the reader past what concerns other hosts.
create function chatd_api.event_read(host_id bigint, after bigint, max_rows int)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    -- However many changes concern other hosts only, one call is short; the caller goes on from
    -- the last row's cursor.
    upto constant bigint := least(change_last(), after + 50000);
    here constant text := (select i.tag from instance i);
    found_rows int;
begin
    return query
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               message_frame(here, m.id, m.sender_id, u.username, m.receiver_id, m.content,
                             m.created_at)
          from messages m
          join users u on u.id = m.sender_id
         where m.id > after and m.id <= upto
           and ((select true from sessions s
                  where s.user_id = m.receiver_id and s.host_id = event_read.host_id limit 1)
                or (select true from sessions s
                     where s.user_id = m.sender_id and s.host_id = event_read.host_id limit 1))
         order by m.id
         limit max_rows;
    get diagnostics found_rows = row_count;
    if found_rows < max_rows and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text;
    end if;
end $$;

-- The changes in (after, upto] that concern one user, for a client that comes back.
create function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint, max_rows int)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    here constant text := (select i.tag from instance i);
begin
    return query
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               message_frame(here, m.id, m.sender_id, u.username, m.receiver_id, m.content,
                             m.created_at)
          from ((select * from messages
                  where receiver_id = event_read_user.user_id and id > after and id <= upto
                  order by id limit max_rows)
                union all
                (select * from messages
                  where sender_id = event_read_user.user_id and id > after and id <= upto
                    and receiver_id <> sender_id
                  order by id limit max_rows)) m
          join users u on u.id = m.sender_id
         order by m.id
         limit max_rows;
end $$;
