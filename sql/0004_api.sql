-- The functions that chatd calls: all that its role may do in this database.
--
-- They are SECURITY DEFINER with a fixed search_path, and written in plpgsql because it keeps
-- the plans of a connection, where a function in SQL is planned at each call. A parameter is
-- named in full (function.parameter) where a column has the same name.
--
-- A kept plan may be made while a table is small and used when it is large. The functions that
-- run often therefore rule out all plans but those that walk the indexes, row by row.
--
-- Arrays in, rows out: one call carries a batch, and one bad item never fails its neighbours.

create function chatd_api.schema_version() returns int
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
begin
    return (select max(number) from schema_version);
end $$;

-- Hosts and sessions --------------------------------------------------------------------------

-- Removes the hosts, other than this one, whose broker has been gone for two seconds, with
-- their sessions. Returns how many. The two seconds are for a broker that is started again, or
-- that lost its connection: its sessions register with the new host meanwhile, and nobody who
-- stayed is announced as gone. Where all live it writes nothing and waits for nobody.
create function chatd_api.host_sweep(host_id bigint) returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    dead bigint[];
    swept int;
begin
    -- Only tried: whoever sweeps the same host at this moment does it for us too.
    select array_agg(h.id) into dead from hosts h
     where case when h.id is distinct from host_sweep.host_id
                then pg_try_advisory_xact_lock(1752134516, h.id::int) else false end;
    if dead is null then
        return 0;
    end if;
    update hosts h set dead_since = clock_timestamp()
     where h.id = any (dead) and h.dead_since is null;
    select array_agg(h.id) into dead from hosts h
     where h.id = any (dead) and h.dead_since <= clock_timestamp() - interval '2 seconds';
    if dead is null then
        return 0;
    end if;
    perform pg_advisory_xact_lock(1667785076, 0);
    delete from hosts h where h.id = any (dead);
    get diagnostics swept = row_count;
    delete from sessions s where s.host_id = any (dead);
    return swept;
end $$;

-- Makes the calling connection the listener of a new host: it listens to chatd_<host_id> and
-- holds the host's lock for as long as it lives. The lock is there before the row can be seen,
-- so nobody takes the new host for a dead one.
create function chatd_api.host_attach(name text) returns table (host_id bigint, tag text)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    new_id bigint;
begin
    new_id := nextval('host_seq');
    perform pg_advisory_lock(1752134516, new_id::int);
    insert into hosts (id, name) values (new_id, host_attach.name);
    execute format('listen %I', 'chatd_' || new_id);
    return query select new_id, i.tag from instance i;
end $$;

-- Opens sessions; one row each, in the order of the input. The two numbers are those of the
-- moment at which the session is in the table: exactly what is greater will be rung for it.
-- A user who does not exist is not known and gets no session. Fails with SQLSTATE CH001 when
-- the host is not attached (any more): the caller then attaches again.
create function chatd_api.session_open(host_id bigint, session_ids bigint[], user_ids bigint[])
returns table (session_id bigint, known boolean, cursor bigint, presence bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    change bigint;
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
    change := change_last();
    -- The sequence rather than the table, which a crash empties: this never goes back.
    select case when s.is_called then s.last_value else 0 end into announced from presence_seq s;
    return query
        select i.session_id, exists (select from users u where u.id = i.user_id), change, announced
          from unnest(session_ids, user_ids) with ordinality i (session_id, user_id, n)
         order by i.n;
end $$;

-- Closes sessions; returns how many there were.
create function chatd_api.session_close(host_id bigint, session_ids bigint[]) returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    closed int;
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    delete from sessions s
     where s.host_id = session_close.host_id and s.session_id = any (session_ids);
    get diagnostics closed = row_count;
    return closed;
end $$;

-- Who came or went after a presence change. "audience" says who is to know: null for everybody
-- (mode all), or the user's contacts who are connected to this host (mode contacts).
create function chatd_api.presence_read(host_id bigint, after bigint, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[])
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
        select p.change, p.user_id, u.username, p.online,
               case mode when 'contacts' then array(
                   select c.contact_id from contacts c
                    where c.user_id = p.user_id
                      and exists (select from sessions s
                                   where s.user_id = c.contact_id
                                     and s.host_id = presence_read.host_id)
                    order by c.contact_id) end
          from presence p
          join users u on u.id = p.user_id
         where p.change > after and mode in ('all', 'contacts')
         order by p.change;
end $$;

-- Makes the presence of these users agree with the sessions that there are: for users whom a
-- host saw online before a crash of PostgreSQL emptied the tables, and who did not come back.
-- They get a row that says so, and every host hears of it.
create function chatd_api.presence_check(user_ids bigint[]) returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    made int;
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    insert into presence (user_id, online, change)
    select u.id, true, nextval('presence_seq') from users u where u.id = any (user_ids)
    on conflict do nothing;
    get diagnostics made = row_count;
    perform presence_update(user_ids);
    return made;
end $$;

-- Messages and events -------------------------------------------------------------------------

-- Stores a batch of messages in one commit and says of each, in the order of the input, what
-- became of it: ok, invalid, unknown_sender, unknown_receiver, or conflict (the sender gave
-- the same client id to another message). "duplicate" is true where the very same message was
-- there already, also as an earlier item of this batch.
create function chatd_api.message_send(sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[])
returns table (ordinal int, status text, message_id bigint, duplicate boolean)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    added bigint[];
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
        returning id)
    select array_agg(put.id order by put.id) into added from put;
    if cardinality(added) = cardinality(sender_ids) then
        return query
            select a.n::int, 'ok', a.id, false from unnest(added) with ordinality a (id, n);
        return;
    end if;
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
            select i.n, m.id,
                   case when not i.valid then 'invalid'
                        when not i.from_known then 'unknown_sender'
                        when not i.to_known then 'unknown_receiver'
                        when m.receiver_id = i.receiver_id and m.content = i.content then 'ok'
                        else 'conflict' end as status,
                   row_number() over (partition by m.id, i.valid and i.from_known and i.to_known
                                      order by i.n) as turn
              from item i
              left join messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
        )
        select j.n::int, j.status, case j.status when 'ok' then j.id end,
               j.status = 'ok' and not (j.turn = 1 and j.id = any (coalesce(added, '{}')))
          from judged j
         order by j.n;
end $$;

-- The changes after a cursor that concern somebody connected to this host, in their order, at
-- most max_rows, among the next 50,000 ids. With each its cursor, the users to whom it goes,
-- the connection that needs no copy, and the text for the client. When all were found, a last
-- row with nothing but a cursor takes the reader past what concerns other hosts.
create function chatd_api.event_read(host_id bigint, after bigint, max_rows int)
returns table (cursor bigint, user_ids bigint[], origin bigint, frame text)
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
        select m.id,
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
        return query select upto, null::bigint[], null::bigint, null::text;
    end if;
end $$;

-- The changes in (after, upto] that concern one user, for a client that comes back.
create function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint, max_rows int)
returns table (cursor bigint, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    here constant text := (select i.tag from instance i);
begin
    return query
        select m.id,
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

-- A conversation as a JSON array, oldest first: the last max_rows messages between the two
-- bounds (null: no bound), or with "after" alone the first max_rows that follow it.
create function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int)
returns table (known boolean, history text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    low constant bigint := least(user_id, other_id);
    high constant bigint := greatest(user_id, other_id);
    forward constant boolean := after is not null and before is null;
    page text;
begin
    if not exists (select from users u where u.id = other_id) then
        return query select false, null::text;
        return;
    end if;
    -- One branch reads the index of the pair forwards, the other backwards; one of them runs.
    select string_agg('{"id":' || m.id || ',"sender_id":' || m.sender_id || ',"receiver_id":'
                      || m.receiver_id || ',"content":' || to_json(m.content)::text
                      || ',"created_at":' || json_time(m.created_at) || '}', ',' order by m.id)
      into page
      from ((select * from messages
              where least(sender_id, receiver_id) = low
                and greatest(sender_id, receiver_id) = high
                and id > after and forward
              order by id limit max_rows)
            union all
            (select * from messages
              where least(sender_id, receiver_id) = low
                and greatest(sender_id, receiver_id) = high
                and id < coalesce(before, 9223372036854775807) and id > coalesce(after, 0)
                and not forward
              order by id desc limit max_rows)) m;
    return query select true, '[' || coalesce(page, '') || ']';
end $$;

-- Users ---------------------------------------------------------------------------------------

-- Makes a user: ok, username_taken, email_taken, or invalid. It looks before it inserts, so a
-- refusal costs no id; two who register at once are told apart by the unique indexes.
create function chatd_api.user_register(username text, email text, password_hash text)
returns table (status text, user_id bigint, user_json text)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    new_id bigint;
    taken text;
begin
    if (username ~ '^[A-Za-z0-9_.-]{1,32}$' and octet_length(email) between 1 and 254
        and password_hash is not null) is not true then
        return query select 'invalid', null::bigint, null::text;
        return;
    elsif exists (select from users u where lower(u.username) = lower(user_register.username)) then
        return query select 'username_taken', null::bigint, null::text;
        return;
    elsif exists (select from users u where lower(u.email) = lower(user_register.email)) then
        return query select 'email_taken', null::bigint, null::text;
        return;
    end if;
    insert into users (username, email, password_hash)
    values (user_register.username, user_register.email, user_register.password_hash)
    returning id into new_id;
    return query
        select 'ok', new_id, user_json(new_id, user_register.username, user_register.email);
exception
    when unique_violation then
        get stacked diagnostics taken = constraint_name;
        return query select case taken when 'users_email_key' then 'email_taken'
                                       else 'username_taken' end, null::bigint, null::text;
end $$;

-- What a login needs, whatever the case of the name; no row for nobody.
create function chatd_api.user_credentials(name text)
returns table (user_id bigint, username text, password_hash text, user_json text)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email)
          from users u
         where lower(u.username) = lower(user_credentials.name);
end $$;

-- All users as a JSON array, by id. Who is online was last seen now.
create function chatd_api.user_list() returns text
language plpgsql stable security definer set search_path = chatd, pg_temp set jit = off
as $$
begin
    return (select '[' || coalesce(string_agg(
                '{"id":' || u.id || ',"username":"' || u.username || '","online":'
                || case when s.user_id is null then 'false' else 'true' end || ',"last_seen":'
                || coalesce(json_time(case when s.user_id is null then u.last_seen else now() end),
                            'null') || '}', ',' order by u.id), '') || ']'
              from users u
              left join (select distinct user_id from sessions) s on s.user_id = u.id);
end $$;
