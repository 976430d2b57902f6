-- Messages, the change sequence, and the doorbells.
--
-- Every durable change that a client should see takes its number from chatd.change_seq while
-- it holds the change lock (see 0002_presence.sql). Messages are the first kind; a later kind
-- uses the same sequence and the same trigger chatd.change_lock, and then extends
-- chatd.change_last and the event functions of the API.
--
-- All rules hang on triggers, so a row that is typed into psql is delivered like any other:
--     insert into messages (sender_id, receiver_id, content) values (1, 2, 'hi');

create table chatd.messages (
    id bigint generated always as identity (sequence name chatd.change_seq) primary key,
    sender_id bigint not null references chatd.users,
    receiver_id bigint not null references chatd.users,
    -- The name that the sender gave it: the same name again is the same message.
    client_id text not null default gen_random_uuid()::text
        check (char_length(client_id) between 1 and 64),
    -- The connection that sent it, which needs no copy; null if it came from elsewhere.
    origin bigint,
    created_at timestamptz not null default clock_timestamp(),
    content text not null check (octet_length(content) between 1 and 65536)
);

create unique index messages_client_id on chatd.messages (sender_id, client_id);
create index messages_receiver on chatd.messages (receiver_id, id);
create index messages_sender on chatd.messages (sender_id, id);
create index messages_pair on chatd.messages
    (least(sender_id, receiver_id), greatest(sender_id, receiver_id), id);

-- Who ever exchanged a message with whom: each pair twice, once from either side.
-- No foreign keys: the messages have them, and users with messages stay.
create table chatd.contacts (
    user_id bigint not null,
    contact_id bigint not null,
    primary key (user_id, contact_id)
);

-- The greatest change that can be seen. As numbers become visible in their order, none that
-- is smaller can appear later.
create function chatd.change_last() returns bigint
language plpgsql stable set search_path = chatd, pg_temp
as $$
begin
    return coalesce((select max(id) from messages), 0);
end $$;

-- The text that a client gets for a message. The planner puts the expression in place of the
-- call: concatenation costs a fraction of json_build_object, and a call for each row would
-- cost more than both. A username needs no escaping, see its check.
create function chatd.message_frame(tag text, id bigint, sender_id bigint, sender text,
    receiver_id bigint, content text, created_at timestamptz) returns text
language sql stable
as $$
    select '{"type":"message","content":' || to_json(content)::text
        || ',"data":{"message_id":' || id
        || ',"sender_id":' || sender_id || ',"sender":"' || sender
        || '","receiver_id":' || receiver_id
        || ',"created_at":' || to_char(created_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
        || ',"cursor":"' || tag || '-' || id || '"}}'
$$;

-- Remembers new contacts and rings the hosts where a sender or a receiver is connected. The
-- bell carries a number, never content: a lost one loses nothing, the next one makes up for it.
create function chatd.messages_inserted() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    bell text;
begin
    if exists (select from inserted m
                where m.sender_id <> m.receiver_id
                  and not exists (select from contacts c
                                   where c.user_id = m.sender_id
                                     and c.contact_id = m.receiver_id)) then
        insert into contacts (user_id, contact_id)
        select m.sender_id, m.receiver_id from inserted m where m.sender_id <> m.receiver_id
        union
        select m.receiver_id, m.sender_id from inserted m where m.sender_id <> m.receiver_id
        on conflict do nothing;
    end if;
    bell := 'e ' || (select max(id) from inserted);
    perform pg_notify('chatd_' || h.host_id, bell)
       from (select distinct s.host_id
               from inserted m
               join sessions s on s.user_id = any (array[m.sender_id, m.receiver_id])) h;
    return null;
end $$;

create trigger messages_lock before insert on chatd.messages
    for each statement execute function chatd.change_lock();

create trigger messages_inserted after insert on chatd.messages
    referencing new table as inserted
    for each statement execute function chatd.messages_inserted();
