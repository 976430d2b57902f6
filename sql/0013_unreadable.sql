-- One message that cannot be read keeps nobody from the others.
--
-- A content that is damaged on the disk fails each statement that reads it, and so the reading of
-- changes for everybody, again and again. The three functions that read contents now take careful:
-- with it such a row has no text, or is not there, and a warning with SQLSTATE CH002 names its id.
-- chatd calls them so only after they have failed without.

create function chatd.is_readable(id bigint, content text) returns boolean
language plpgsql stable
as $$
begin
    return to_json(content) is not null;
exception when data_exception or data_corrupted or index_corrupted then
    raise warning 'message % cannot be read and is left out: %', id, sqlerrm
        using errcode = 'CH002', detail = id;
    return false;
end $$;

drop function chatd_api.event_read(bigint, bigint, int);
drop function chatd_api.event_read_user(bigint, bigint, bigint, int);
drop function chatd_api.message_history(bigint, bigint, bigint, bigint, int);

-- The changes after a cursor that concern somebody connected to this host, in their order, at
-- most max_rows, among the next 50,000 ids. With each its number and stamp, the users to whom it
-- goes, the connection that needs no copy, and the text for the client. When all were found, a
-- last row with nothing but a cursor takes the reader past what concerns other hosts.
create function chatd_api.event_read(host_id bigint, after bigint, max_rows int,
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
         limit max_rows;
    get diagnostics found_rows = row_count;
    if found_rows < max_rows and upto > after then
        return query select upto, stamp_at(upto), null::bigint[], null::bigint, null::text;
    end if;
end $$;

-- The changes in (after, upto] that concern one user, for a client that comes back. A message to
-- oneself is both received and sent.
create function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint,
    max_rows int, careful boolean default false)
returns table (cursor bigint, stamp int, user_ids bigint[], origin bigint, frame text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
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
         limit max_rows;
end $$;

-- A conversation as a JSON array, oldest first: the last max_rows messages between the two
-- bounds (null: no bound), or with "after" alone the first max_rows that follow it.
create function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    low constant bigint := least(user_id, other_id);
    high constant bigint := greatest(user_id, other_id);
    page text;
begin
    if after is not null and before is null then
        select string_agg(message_json(m.id, m.sender_id, m.receiver_id, m.content, m.created_at),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content))
          into page
          from (select id, sender_id, receiver_id, content, created_at from messages
                 where least(sender_id, receiver_id) = low
                   and (greatest(sender_id, receiver_id), id) > (high, after)
                   and greatest(sender_id, receiver_id) <= high
                 order by greatest(sender_id, receiver_id), id
                 limit max_rows) m;
    else
        select string_agg(message_json(m.id, m.sender_id, m.receiver_id, m.content, m.created_at),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content))
          into page
          from (select id, sender_id, receiver_id, content, created_at from messages
                 where least(sender_id, receiver_id) = low
                   and (greatest(sender_id, receiver_id), id)
                       < (high, coalesce(before, 9223372036854775807))
                   and greatest(sender_id, receiver_id) >= high
                 order by greatest(sender_id, receiver_id) desc, id desc
                 limit max_rows) m
         where m.id > coalesce(after, 0);
    end if;
    known := true; -- whoever has messages
    if page is null then
        known := exists (select from users u where u.id = other_id);
    end if;
    history := case when known then '[' || coalesce(page, '') || ']' end;
    return next;
end $$;
