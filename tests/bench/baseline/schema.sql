-- The tables of the baseline: what the server needs, with the indexes that its queries use.

create table users (
    id bigint generated always as identity primary key,
    username text not null unique,
    email text not null unique,
    password_hash text not null,
    last_seen timestamptz
);

create table messages (
    id bigint generated always as identity primary key,
    sender_id bigint not null references users,
    receiver_id bigint not null references users,
    client_id text not null,
    content text not null,
    created_at timestamptz not null default now(),
    unique (sender_id, client_id)
);

create index messages_pair on messages (least(sender_id, receiver_id), greatest(sender_id, receiver_id), id);
