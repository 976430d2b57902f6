-- What an account may send in a day, if the operator sets a quota.

-- Of the latest day on which an account sent anything while there was a quota. Days are those of UTC.
create table chatd.sent (
    user_id bigint primary key references chatd.users on delete cascade,
    day date not null,
    messages bigint not null,
    bytes bigint not null
) with (fillfactor = 50);

create function chatd.today() returns date
language sql stable
as $$ select (now() at time zone 'UTC')::date $$;

-- Which messages of a batch, by their place in it, are beyond their sender's quota; null: none. One
-- that is stored already is not new, so it is not counted again.
create function chatd.messages_over(sender_ids bigint[], client_ids text[], contents text[],
    max_messages bigint, max_bytes bigint)
returns int[]
language sql stable
as $$
    select coalesce(array_agg(c.n::int), '{}')
      from (select i.n, coalesce(s.messages, 0) + count(*) over sender as messages,
                   coalesce(s.bytes, 0) + sum(octet_length(i.content)) over sender as bytes
              from unnest(sender_ids, client_ids, contents)
                   with ordinality i (sender_id, client_id, content, n)
              left join chatd.sent s on s.user_id = i.sender_id and s.day = chatd.today()
             where not exists (select from chatd.messages m
                                where m.sender_id = i.sender_id and m.client_id = i.client_id)
            window sender as (partition by i.sender_id order by i.n)) c
     where c.messages > max_messages or c.bytes > max_bytes
$$;

-- Adds what this transaction has stored to what its senders have sent today.
create function chatd.messages_count(sender_ids bigint[], client_ids text[]) returns void
language sql
as $$
    insert into chatd.sent as s (user_id, day, messages, bytes)
    select m.sender_id, chatd.today(), count(*), sum(octet_length(m.content))
      from (select distinct u.sender_id, u.client_id
              from unnest(sender_ids, client_ids) u (sender_id, client_id)) i
      join chatd.messages m on m.sender_id = i.sender_id and m.client_id = i.client_id
     where m.xmin = pg_current_xact_id()::xid
     group by m.sender_id
     order by m.sender_id
    on conflict (user_id) do update
       set day = excluded.day,
           messages = excluded.messages + case when s.day = excluded.day then s.messages else 0 end,
           bytes = excluded.bytes + case when s.day = excluded.day then s.bytes else 0 end
$$;

drop function chatd_api.message_send(bigint, bigint[], bigint[], text[], bigint[], text[], boolean[]);

-- As before, with a quota for each sender: messages and bytes of content in a day; null: none. What
-- is beyond it is not stored, and has the status quota.
create function chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[], framed boolean[],
    max_messages bigint default null, max_bytes bigint default null)
returns table (ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
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
    over int[] := '{}'; -- those beyond the quota, by their place
    place int;
begin
    lock table change_lock in share update exclusive mode;
    if max_messages is not null or max_bytes is not null then
        over := messages_over(sender_ids, client_ids, contents, max_messages, max_bytes);
        foreach place in array over loop
            contents[place] := null;
        end loop;
    end if;
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
    if max_messages is not null or max_bytes is not null then
        perform messages_count(sender_ids, client_ids);
    end if;
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
                   case when i.n = any (over) then 'quota'
                        when not i.valid then 'invalid'
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
