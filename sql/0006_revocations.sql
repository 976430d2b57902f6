-- Tokens that are good no more: users who are disabled, change the password or log out everywhere.
--
-- A token carries the generation of its user. Whatever makes the tokens of a user void raises the
-- generation, takes the next number of one sequence and rings every host. All of it hangs on
-- triggers, so it does not matter who writes:
--     update users set disabled = true where username = 'alice';
-- The numbers are drawn under the change lock (see 0002_presence.sql): a host that has read up to
-- one of them has missed none.

create sequence chatd.revocation_seq;

alter table chatd.users
    add column disabled boolean not null default false,
    add column token_generation int not null default 0,
    -- The last two belong to the triggers. When tokens became void last, for those that carry no
    -- generation because others issue them; and the number of the last change, null if there was
    -- none.
    add column revoked_at timestamptz,
    add column revocation bigint;

create unique index users_revocation on chatd.users (revocation) where revocation is not null;

-- Users who were removed: their tokens outlive them.
create table chatd.removed_users (
    id bigint primary key,
    revocation bigint not null unique
);

create function chatd.users_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        perform pg_advisory_xact_lock(1667785076, 0); -- the change lock
    elsif (new.disabled, new.token_generation, new.password_hash)
       is not distinct from (old.disabled, old.token_generation, old.password_hash) then
        return new;
    end if;
    -- Enabling counts too: of two states of a user the one with the higher generation is the later.
    new.token_generation := greatest(coalesce(old.token_generation, 0) + 1, new.token_generation);
    new.revocation := nextval('revocation_seq');
    new.revoked_at := greatest(old.revoked_at, clock_timestamp());
    return new;
end $$;

create function chatd.users_removed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    insert into removed_users (id, revocation) values (old.id, nextval('revocation_seq'))
    on conflict on constraint removed_users_pkey do update set revocation = excluded.revocation;
    return null;
end $$;

-- The bell names nobody. Equal bells of one transaction are one.
create function chatd.users_revoked() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    perform pg_notify('chatd_' || h.id, 'r') from hosts h;
    return null;
end $$;

create trigger users_update_lock before update of disabled, token_generation, password_hash
    on chatd.users
    for each statement execute function chatd.change_lock();

create trigger users_changing before update of disabled, token_generation, password_hash
    on chatd.users
    for each row execute function chatd.users_changing();

create trigger users_updated after update of disabled, token_generation, password_hash
    on chatd.users
    for each statement execute function chatd.users_revoked();

-- Who is disabled from the beginning; others who are new have nothing that could be void.
create trigger users_inserting before insert on chatd.users
    for each row when (new.disabled) execute function chatd.users_changing();

create trigger users_inserted after insert on chatd.users
    for each row when (new.disabled) execute function chatd.users_revoked();

create trigger users_delete_lock before delete on chatd.users
    for each statement execute function chatd.change_lock();

create trigger users_removed after delete on chatd.users
    for each row execute function chatd.users_removed();

create trigger users_deleted after delete on chatd.users
    for each statement execute function chatd.users_revoked();

-- A time as Unix time; 0 stands for never.
create function chatd.unix_time(moment timestamptz) returns bigint
language sql stable
as $$ select coalesce(floor(extract(epoch from moment))::bigint, 0) $$;

-- For administrators -------------------------------------------------------------------------------

-- The user of this name, whatever its case.
create function chatd.user_named(name text) returns bigint
language plpgsql stable set search_path = chatd, pg_temp
as $$
declare
    found_id constant bigint := (select u.id from users u where lower(u.username) = lower(name));
begin
    if found_id is null then
        raise exception 'there is no user "%"', name using errcode = 'no_data_found';
    end if;
    return found_id;
end $$;

-- Keeps a user out: connections end, tokens are void, a login is refused.
create function chatd.user_disable(name text) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    update users set disabled = true where id = user_named(name);
end $$;

-- Lets the user log in again; tokens from before stay void.
create function chatd.user_enable(name text) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    update users set disabled = false where id = user_named(name);
end $$;

-- Makes every token of the user void.
create function chatd.user_logout(name text) returns void
language plpgsql set search_path = chatd, pg_temp
as $$
begin
    update users set token_generation = token_generation + 1 where id = user_named(name);
end $$;

-- For chatd -----------------------------------------------------------------------------------------

drop function chatd_api.user_credentials(text);

-- What a login needs, whatever the case of the name; no row for nobody. All of it is of one moment:
-- a token of this generation is void once the password that was compared is not the password any
-- more.
create function chatd_api.user_credentials(name text)
returns table (user_id bigint, username text, password_hash text, user_json text, generation int,
               disabled boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from users u
         where lower(u.username) = lower(user_credentials.name);
end $$;

-- The same of a user who is logged in.
create function chatd_api.user_credentials(id bigint)
returns table (user_id bigint, username text, password_hash text, user_json text, generation int,
               disabled boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from users u
         where u.id = user_credentials.id;
end $$;

-- Changes the password if it still is the one that was compared; the new generation, or no row.
create function chatd_api.user_password(id bigint, old_hash text, new_hash text)
returns table (generation int)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        update users u set password_hash = new_hash
         where u.id = user_password.id and u.password_hash = old_hash and not u.disabled
        returning u.token_generation;
end $$;

-- Makes every token of the user void.
create function chatd_api.user_logout(id bigint) returns void
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    update users u set token_generation = u.token_generation + 1 where u.id = user_logout.id;
end $$;

-- What a token of this user has to be; no row for nobody.
create function chatd_api.user_standing(id bigint)
returns table (generation int, disabled boolean, revoked bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.token_generation, u.disabled, unix_time(u.revoked_at)
          from users u
         where u.id = user_standing.id;
end $$;

-- The users who changed after a number, at most max_rows, with what their tokens have to be. For
-- those who were removed no token is good. The first reading of a host waits for changes that are
-- under way: they may have begun before its bell was there to be rung.
create function chatd_api.revocation_read(after bigint, max_rows int)
returns table (revocation bigint, user_id bigint, generation int, disabled boolean, revoked bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    if after = 0 then
        perform pg_advisory_xact_lock(1667785076, 0);
    end if;
    return query
        (select u.revocation, u.id, u.token_generation, u.disabled, unix_time(u.revoked_at)
           from users u
          where u.revocation > after
          order by u.revocation limit max_rows)
        union all
        (select r.revocation, r.id, 2147483647, false, 9223372036854775807
           from removed_users r
          where r.revocation > after
          order by r.revocation limit max_rows)
        order by 1
        limit max_rows;
end $$;
