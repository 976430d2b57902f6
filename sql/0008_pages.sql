-- Pages of history and what a client missed, at one cost whatever is stored.
--
-- The planner knows neither how often two users wrote to each other lately nor how old a cursor is,
-- and its statistics may be stale or absent. It took the index of the ids and threw away what
-- belonged to others: for a user with few messages, all messages there are. So nothing is left to
-- estimates here:
--   * A walk is bounded, and its order named, by the last two columns of its index as a row. With
--     an equality in place of the first of them the index of the ids would have that order, too.
--   * What sorts, or fetches all before it sorts, is ruled out.
--   * A row bounds only where the walk begins; a plain comparison of its first column ends it. The
--     other bound is applied to what the limit has left: it would end no walk.
-- Such a plan is right for any arguments, so it is made once for each connection.

-- A message of GET /messages/:userId. See message_frame for why it is an expression.
create function chatd.message_json(id bigint, sender_id bigint, receiver_id bigint, content text,
    created_at timestamptz) returns text
language sql stable
as $$
    select '{"id":' || id || ',"sender_id":' || sender_id || ',"receiver_id":' || receiver_id
        || ',"content":' || to_json(content)::text || ',"created_at":' || json_time(created_at) || '}'
$$;

-- A conversation as a JSON array, oldest first: the last max_rows messages between the two
-- bounds (null: no bound), or with "after" alone the first max_rows that follow it.
create or replace function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int)
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

-- The changes in (after, upto] that concern one user, for a client that comes back. A message to
-- oneself is both received and sent.
create or replace function chatd_api.event_read_user(user_id bigint, after bigint, upto bigint,
    max_rows int)
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
               -- Not a join, which might begin with all users.
               message_frame(here, m.id, m.sender_id,
                             (select u.username from users u where u.id = m.sender_id),
                             m.receiver_id, m.content, m.created_at)
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

alter function chatd_api.event_read(bigint, bigint, int) set enable_bitmapscan = off;
alter function chatd_api.event_read(bigint, bigint, int) set enable_sort = off;
alter function chatd_api.event_read(bigint, bigint, int) set plan_cache_mode = force_generic_plan;

-- They are called from functions that leave the planner free, and planned perhaps while the table
-- is all but empty, when reading it whole is the cheapest.
alter function chatd.change_last() set enable_seqscan = off;
alter function chatd.stamp_at(bigint) set enable_seqscan = off;
alter function chatd.stamp_at(bigint) set enable_bitmapscan = off;
alter function chatd.stamp_at(bigint) set enable_sort = off;
