-- The tables of both baselines: what the servers need, with the indexes that their queries use. What
-- both of them ask the database for stands here, too.

create table users (
    id bigint generated always as identity primary key,
    username text not null unique,
    email text not null unique,
    password_hash text not null,
    last_seen timestamptz
);

create table conversations (
    id bigint generated always as identity primary key,
    kind text not null,
    name text,
    created_at timestamptz not null default now()
);

create table members (
    conversation_id bigint not null references conversations,
    user_id bigint not null references users,
    role text not null default 'member',
    read_upto bigint not null default 0,
    primary key (conversation_id, user_id)
);

create index members_user on members (user_id, conversation_id);

create table directs (
    low bigint not null,
    high bigint not null,
    conversation_id bigint not null references conversations,
    primary key (low, high)
);

-- No foreign keys, which a batch would pay for row by row: the servers have looked conversation and
-- sender up, and nothing of these is ever deleted.
create table messages (
    id bigint generated always as identity primary key,
    conversation_id bigint not null,
    sender_id bigint not null,
    client_id text not null,
    content text not null,
    created_at timestamptz not null default now(),
    unique (sender_id, client_id)
);

create index messages_conversation on messages (conversation_id, id);

-- The conversation of two users, made if there is none yet; unknown users violate a foreign key.
create function direct(one bigint, other bigint) returns bigint language plpgsql as $$
declare
    found_id bigint;
begin
    select conversation_id into found_id from directs
     where low = least(one, other) and high = greatest(one, other);
    if found_id is not null then
        return found_id;
    end if;
    insert into conversations (kind) values ('direct') returning id into found_id;
    insert into members (conversation_id, user_id)
    select distinct found_id, u from unnest(array[one, other]) u;
    insert into directs values (least(one, other), greatest(one, other), found_id);
    return found_id;
exception when unique_violation then -- by another connection, a moment ago
    return (select conversation_id from directs
             where low = least(one, other) and high = greatest(one, other));
end $$;

create function json_time(t timestamptz) returns text language sql stable as $$
    select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- A page of somebody's conversations, the latest first, with the last message and up to 100 unread ones.
-- The last message of each conversation is one step into an index: a column for it would have to be
-- updated with every message.
create function conversation_list(caller bigint, before bigint, most int)
returns table (id bigint, kind text, name text, created_at text, role text, peer_id bigint, peer text,
               read_upto bigint, unread bigint, last_id bigint, sender_id bigint, content text, sent_at text)
language sql stable as $$
    select c.id, c.kind, c.name, json_time(c.created_at), s.role, p.id, p.username, s.read_upto, n.unread,
           m.id, m.sender_id, m.content, json_time(m.created_at)
      from (select m.conversation_id, m.role, m.read_upto, l.id as last
              from members m
             cross join lateral (select m2.id from messages m2 where m2.conversation_id = m.conversation_id
                                  order by m2.id desc limit 1) l
             where m.user_id = caller and l.id < before
             order by l.id desc limit most) s
      join conversations c on c.id = s.conversation_id
      join messages m on m.id = s.last
      left join lateral (select u.id, u.username from members o join users u on u.id = o.user_id
                          where c.kind = 'direct' and o.conversation_id = c.id
                          order by o.user_id = caller limit 1) p on true
     cross join lateral (select count(*) as unread
                           from (select from messages x where x.conversation_id = c.id and x.id > s.read_upto
                                    and x.sender_id <> caller limit 100) y) n
     order by s.last desc
$$;
