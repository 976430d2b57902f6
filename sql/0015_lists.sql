-- Lists come in pages that are bounded in rows and in bytes, and say where the next one begins.

drop function chatd_api.user_list(bigint, text);
drop function chatd_api.message_history(bigint, bigint, bigint, bigint, int, boolean);

-- Users as a JSON array, at most max_rows, and the id after which the next page begins, null where
-- nothing is left. Without a prefix they come by id, with one by name. An id that no user has leads
-- nowhere among names: users is null then. Who is online was last seen now. The caller learns that
-- of all others (mode all), of contacts (mode contacts), or of nobody (mode off): who is not shown
-- is offline and was never seen.
create function chatd_api.user_list(caller_id bigint, mode text, after_id bigint, max_rows int,
    prefix text)
returns table (users text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    low constant text := lower(prefix collate "C");
    after_name text := '';
begin
    if prefix <> '' and after_id > 0 then
        select lower(u.username collate "C") into after_name from users u where u.id = after_id;
    end if;
    if after_name is not null then
        select '[' || coalesce(string_agg(
                   '{"id":' || u.id || ',"username":"' || u.username || '","online":'
                   || case when u.online then 'true' else 'false' end || ',"last_seen":'
                   || coalesce(json_time(case when u.online then now()
                                              when u.shown then u.last_seen end),
                               'null') || '}', ',' order by u.n) filter (where u.n <= max_rows), '')
                   || ']',
               case when count(*) > max_rows then max(u.id) filter (where u.n = max_rows) end
          into users, next
          from (select v.*, v.shown and exists (select from sessions s where s.user_id = v.id) as online
                  from (select u.id, u.username, u.last_seen, u.n,
                               mode = 'all' or u.id = caller_id
                               or mode = 'contacts'
                                  and exists (select from contacts c
                                               where c.user_id = caller_id
                                                 and c.contact_id = u.id) as shown
                          from ((select id, username, last_seen,
                                        row_number() over (order by id) as n
                                   from users
                                  where prefix = '' and id > after_id
                                  order by id limit max_rows + 1)
                                union all
                                -- No name has a character above 'z'.
                                (select id, username, last_seen,
                                        row_number() over (order by lower(username collate "C"))
                                   from users
                                  where prefix <> '' and lower(username collate "C") >= low
                                    and lower(username collate "C") < low || '~'
                                    and lower(username collate "C") > after_name
                                  order by lower(username collate "C") limit max_rows + 1)) u) v) u;
    end if;
    return next;
end $$;

-- Of the messages between two users at most max_rows, the newest between the bounds, or the oldest
-- if only after is given. Expanded where it is called.
create function chatd.messages_between(user_id bigint, other_id bigint, before bigint, after bigint,
    max_rows int)
returns setof chatd.messages
language sql stable
as $$
    select m.*
      from ((select * from messages
              where after is not null and before is null
                and least(sender_id, receiver_id) = least(user_id, other_id)
                and (greatest(sender_id, receiver_id), id) > (greatest(user_id, other_id), after)
                and greatest(sender_id, receiver_id) <= greatest(user_id, other_id)
              order by greatest(sender_id, receiver_id), id
              limit max_rows)
            union all
            (select * from messages
              where not (after is not null and before is null)
                and least(sender_id, receiver_id) = least(user_id, other_id)
                and (greatest(sender_id, receiver_id), id)
                    < (greatest(user_id, other_id), coalesce(before, 9223372036854775807))
                and greatest(sender_id, receiver_id) >= greatest(user_id, other_id)
              order by greatest(sender_id, receiver_id) desc, id desc
              limit max_rows)) m
     where m.id > coalesce(after, 0)
$$;

-- Of a conversation at most max_rows messages as a JSON array, oldest first, and at most a megabyte
-- of it: the newest of those between the bounds, or the oldest if only after is given. With it the
-- id that is the next page's bound in place of the one that moves; null where nothing is left.
-- known: the other one exists, or has messages. careful: unreadable ones are left out.
create function chatd_api.message_history(user_id bigint, other_id bigint, before bigint,
    after bigint, max_rows int, careful boolean default false)
returns table (known boolean, history text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
    set enable_incremental_sort = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    found int;
    upto bigint; -- bytes that the page has at most
    page text;
begin
    select count(*), coalesce(sum(octet_length(m.content)), 0) * 6 + 200 * count(*)
      into found, upto
      from messages_between(user_id, other_id, before, after, max_rows + 1) m;
    if upto <= most then
        select string_agg(message_json(m.id, m.sender_id, m.receiver_id, m.content, m.created_at),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content)),
               case when found > max_rows then
                    case when forward then max(m.id) else min(m.id) end end
          into page, next
          from messages_between(user_id, other_id, before, after, max_rows) m;
    else
        -- Contents are read only as far as they fit themselves, and of their JSON what fits is
        -- taken, which is longer where a character must be escaped.
        select string_agg(t.text, ',' order by t.id) filter (where t.fits),
               case when bool_and(t.fits) then null
                    when forward then max(t.id) filter (where t.fits)
                    else min(t.id) filter (where t.fits) end
          into page, next
          from (select s.id, s.text,
                       s.wanted and sum(coalesce(octet_length(s.text), 0) + 1) over (order by s.n) <= most
                           as fits
                  from (select r.id, r.n, r.wanted,
                               case when r.wanted and (not careful or is_readable(r.id, r.content))
                                    then message_json(r.id, r.sender_id, r.receiver_id, r.content,
                                                      r.created_at) end as text
                          from (select m.*, row_number() over w as n,
                                       row_number() over w <= max_rows
                                       and sum(octet_length(m.content)) over w <= most as wanted
                                  from messages_between(user_id, other_id, before, after, max_rows + 1) m
                                window w as (order by case when forward then m.id else -m.id end)) r) s) t;
    end if;
    known := true; -- whoever has messages
    if page is null then
        known := exists (select from users u where u.id = other_id);
    end if;
    history := case when known then '[' || coalesce(page, '') || ']' end;
    return next;
end $$;
