-- Nothing is read or written for a host that the others have removed.
--
-- They remove a host, and its sessions with it, when it has not beaten for presence_lease. It may
-- only have been slow; what it had asked for is carried out later. A reading then finds no session
-- of this host, so nothing that concerns it, and the host would go on behind messages that its
-- clients never got. So what is called for a host fails, with SQLSTATE CH001, when that host is not
-- attached. A reading looks for the host in its own snapshot (stable), which has either both the
-- host and its sessions, or neither. What writes looks under the change lock, without which nobody
-- removes a host. A crash of PostgreSQL removes all of them, and ends their connections.

-- Remembers new contacts and rings the hosts where a sender or a receiver is connected. The
-- bell carries a number, never content: a lost one loses nothing, the next one makes up for it.
-- A commit that rings somebody waits for all others that do; so a host that stores messages and
-- hands them out itself (chatd.host, see message_send) is not rung for them, nor for what else is
-- stored in that transaction. It has to be attached.
--
-- Subqueries in place of joins, which would read whole tables.
create or replace function chatd.messages_inserted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
    storing constant bigint := nullif(current_setting('chatd.host', true), '');
    strangers boolean;
    others boolean;
    attached boolean;
begin
    select exists (select from inserted m
                    where (select true from contacts c
                            where c.user_id = m.sender_id
                              and c.contact_id = m.receiver_id) is null),
           -- A host with sessions that this statement sees has a row that it sees as well.
           exists (select from hosts h where h.id is distinct from storing),
           storing is null or exists (select from hosts h where h.id = storing)
      into strangers, others, attached;
    if not attached then
        raise exception 'host % is not attached', storing using errcode = 'CH001';
    end if;
    if strangers then
        insert into contacts (user_id, contact_id)
        select m.sender_id, m.receiver_id from inserted m
        union
        select m.receiver_id, m.sender_id from inserted m
        on conflict do nothing;
    end if;
    if others then
        perform pg_notify('chatd_' || h.id, 'e ' || (select max(id) from inserted))
           from hosts h
          where h.id is distinct from storing
            and exists (select from inserted m
                         where (select true from sessions s
                                 where s.user_id = m.sender_id and s.host_id = h.id limit 1)
                            or (select true from sessions s
                                 where s.user_id = m.receiver_id and s.host_id = h.id limit 1));
    end if;
    return null;
end $$;

-- The changes after a cursor that concern somebody connected to this host, in their order, at
-- most max_rows, among the next 50,000 ids. With each its number and stamp, the users to whom it
-- goes, the connection that needs no copy, and the text for the client. When all were found, a
-- last row with nothing but a cursor takes the reader past what concerns other hosts.
create or replace function chatd_api.event_read(host_id bigint, after bigint, max_rows int)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- However many changes concern other hosts only, one call is short; the caller goes on from
    -- the last row's cursor.
    upto constant bigint := least(change_last(), after + 50000);
    here constant text := (select i.tag from instance i
                            where exists (select from hosts h where h.id = event_read.host_id));
    found_rows int;
begin
    if here is null then
        raise exception 'host % is not attached', event_read.host_id using errcode = 'CH001';
    end if;
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

-- Who came or went after a presence change. "audience" says who is to know: null for everybody
-- (mode all), or the user's contacts who are connected to this host (mode contacts).
create or replace function chatd_api.presence_read(host_id bigint, after bigint, mode text)
returns table (change bigint, user_id bigint, username text, online boolean, audience bigint[])
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    if not exists (select from hosts h where h.id = presence_read.host_id) then
        raise exception 'host % is not attached', presence_read.host_id using errcode = 'CH001';
    end if;
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

-- Closes sessions; returns how many there were.
create or replace function chatd_api.session_close(host_id bigint, session_ids bigint[]) returns int
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    closed int;
begin
    perform pg_advisory_xact_lock(1667785076, 0);
    if not exists (select from hosts h where h.id = session_close.host_id) then
        raise exception 'host % is not attached', session_close.host_id using errcode = 'CH001';
    end if;
    delete from sessions s
     where s.host_id = session_close.host_id and s.session_id = any (session_ids);
    get diagnostics closed = row_count;
    return closed;
end $$;
