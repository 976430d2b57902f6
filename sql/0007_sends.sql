-- A batch of messages costs one statement: its answer brings what the changes after it would
-- read, and rings other hosts only.
--
-- Every statement of these functions is planned once for each connection: to plan it anew, as
-- the planner prefers for arrays, costs three times as much as to run it.

drop function chatd_api.message_send(bigint[], bigint[], text[], bigint[], text[]);

-- The users of a message exist, and stay, because its pair has a row in contacts, from either
-- side, before it is committed: the foreign keys are there, and cost something for each new pair.
-- On messages they would look at two users for each message, and cost as much as all the rest.
alter table chatd.messages
    drop constraint messages_sender_id_fkey,
    drop constraint messages_receiver_id_fkey;

-- As each pair is there from both sides, the key of one side is enough. These rows are removed, by
-- hand, after the last message of the pair.
delete from chatd.contacts c
 where not exists (select from chatd.users u where u.id = c.user_id)
    or not exists (select from chatd.users u where u.id = c.contact_id);

insert into chatd.contacts (user_id, contact_id)
select sender_id, receiver_id from chatd.messages
union
select receiver_id, sender_id from chatd.messages
on conflict do nothing;

alter table chatd.contacts add foreign key (user_id) references chatd.users;

-- (In pg_catalog by name, without a search_path of its own: this runs for each statement.)
create or replace function chatd.change_lock() returns trigger
language plpgsql security definer
as $$
begin
    perform pg_catalog.pg_advisory_xact_lock(1667785076, 0);
    return null;
end $$;

-- Remembers new contacts and rings the hosts where a sender or a receiver is connected. The
-- bell carries a number, never content: a lost one loses nothing, the next one makes up for it.
-- A commit that rings somebody waits for all others that do; so a host that stores messages and
-- hands them out itself (chatd.host, see message_send) is not rung for them, nor for what else is
-- stored in that transaction.
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
begin
    select exists (select from inserted m
                    where (select true from contacts c
                            where c.user_id = m.sender_id
                              and c.contact_id = m.receiver_id) is null),
           -- A host with sessions that this statement sees has a row that it sees as well.
           exists (select from hosts h where h.id is distinct from storing)
      into strangers, others;
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

-- Stores a batch of messages in one commit and says of each, in the order of the input, what
-- became of it: ok, invalid, unknown_sender, unknown_receiver, or conflict (the sender gave
-- the same client id to another message). "duplicate" is true where the very same message was
-- there already, also as an earlier item of this batch; "own" says that it was the same connection
-- that stored it.
--
-- If all are new, the answer brings the text for the client, as event_read() would, for the items
-- named in "framed". They have no other changes between them, and the host that asks is not rung
-- for them: either it has handed out all changes before them, and goes on with these, or it reads
-- them after those. The answer is written with the change lock held: no host may ask for more than
-- it is sure to take.
create function chatd_api.message_send(host_id bigint, sender_ids bigint[], receiver_ids bigint[],
    client_ids text[], origins bigint[], contents text[], framed boolean[])
returns table (ordinal int, status text, message_id bigint, stamp int, duplicate boolean,
               own boolean, frame text)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    told int;
begin
    perform pg_advisory_xact_lock(1667785076, 0), set_config('chatd.host', host_id::text, true);
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
