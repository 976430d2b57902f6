-- What is read at once ends in bytes as well as in rows. Frames of 64 kB of content are up to six
-- times as long, and a host read 500 of them, or a client that resumed 50, in one answer.

-- Of frames. One more is begun while there is room, so that a page is never empty.
create function chatd.page_bytes() returns int
language sql immutable
as $$ select 262144 $$;

-- The last row, without users, says that there is nothing more up to its cursor. Where it is missing
-- the page was full, in rows or in bytes, and the caller goes on from the cursor of the last one.
create or replace function chatd_api.event_read(host_id bigint, after bigint, max_rows int,
    careful boolean default false)
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
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    if here is null then
        raise exception 'host % is not attached', event_read.host_id using errcode = 'CH001';
    end if;
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.sender_id, u.username, m.receiver_id,
                                       m.content, m.created_at) end
          from messages m
          join users u on u.id = m.sender_id
         where m.id > after and m.id <= upto
           and ((select true from sessions s
                  where s.user_id = m.receiver_id and s.host_id = event_read.host_id limit 1)
                or (select true from sessions s
                     where s.user_id = m.sender_id and s.host_id = event_read.host_id limit 1))
         order by m.id
         limit max_rows
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text;
    end if;
end $$;

create or replace function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint,
    max_rows int, careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    here constant text := (select i.tag from instance i);
    rows_left int := max_rows;
    bytes_left int := page_bytes();
begin
    for cursor, stamp, user_ids, origin, frame in
        select m.id, change_stamp(m.created_at),
               case when m.sender_id = m.receiver_id then array[m.sender_id]
                    else array[m.receiver_id, m.sender_id] end,
               case when m.sender_id <> m.receiver_id then m.origin end,
               case when not careful or is_readable(m.id, m.content)
                    then message_frame(here, m.id, m.sender_id,
                                       -- Not a join, which might begin with all users.
                                       (select u.username from users u where u.id = m.sender_id),
                                       m.receiver_id, m.content, m.created_at) end
          from ((select * from messages
                  where (receiver_id, id) > (event_read_user.user_id, after)
                    and receiver_id <= event_read_user.user_id
                  order by receiver_id, id limit max_rows)
                union all
                select * from (
                    select * from messages
                     where (sender_id, id) > (event_read_user.user_id, after)
                       and sender_id <= event_read_user.user_id
                     order by sender_id, id limit max_rows) sent
                 where receiver_id <> sender_id) m
         where m.id <= upto
         order by m.id
         limit max_rows
    loop
        return next;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(frame), 0);
        exit when bytes_left <= 0;
    end loop;
    if rows_left > 0 and bytes_left > 0 then
        return query select upto, null::int, null::bigint[], null::bigint, null::text;
    end if;
end $$;
