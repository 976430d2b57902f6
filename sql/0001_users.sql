-- Who takes part: the identity of this database, and the people.
--
-- Schema chatd holds what is stored and how it behaves; schema chatd_api holds the only
-- functions that the role of a running chatd may call (see 0004_api.sql). Both belong to
-- whoever runs sql/migrate, who also made chatd.schema_version.

create schema chatd_api;

-- One row, made once. The tag names this database: it travels with dump and restore, and it
-- is part of each cursor, so that a cursor of another database is recognised.
create table chatd.instance (
    tag text not null check (tag ~ '^[0-9a-f]{12}$')
);

create unique index instance_only_one on chatd.instance ((true));

insert into chatd.instance (tag) values (right(gen_random_uuid()::text, 12));

create table chatd.users (
    id bigint generated always as identity primary key,
    username text not null check (username ~ '^[A-Za-z0-9_.-]{1,32}$'),
    email text not null check (octet_length(email) between 1 and 254),
    password_hash text not null,
    created_at timestamptz not null default clock_timestamp(),
    last_seen timestamptz
);

-- Names and addresses that differ only in case are the same.
create unique index users_username_key on chatd.users (lower(username));
create unique index users_email_key on chatd.users (lower(email));

-- A time as JSON text: RFC 3339, UTC, milliseconds. One SELECT without SET or SECURITY
-- DEFINER, so that the planner puts the expression in place of the call.
create function chatd.json_time(moment timestamptz) returns text
language sql stable
as $$ select to_char(moment at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""') $$;

-- What a user may see of his own account.
create function chatd.user_json(id bigint, username text, email text) returns text
language sql stable
as $$ select '{"id":' || id || ',"username":"' || username || '","email":' || to_json(email)::text || '}' $$;
