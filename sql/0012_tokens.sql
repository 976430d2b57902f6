-- Tokens belong to an account, not to its number; a hash is renewed without a new password.
--
-- The generation of a user begins at random, and grows by steps that are random. So who gets the
-- number of a user who was removed, after a sequence or the whole database went back, does not get
-- that one's tokens, and a generation that was lost with a restored backup does not come again. Of
-- two states of a user the one with the higher generation still is the later.
--
-- Users who are there keep their generation, and tokens that carry it stay good.

create function chatd.token_birth() returns bigint
language sql volatile
as $$ select 1 + ('x' || right(gen_random_uuid()::text, 12))::bit(48)::bigint $$;

create function chatd.token_step() returns bigint
language sql volatile
as $$ select 1 + ('x' || right(gen_random_uuid()::text, 8))::bit(32)::bigint $$;

-- No column that a trigger names can change its type.
drop trigger users_update_lock on chatd.users;
drop trigger users_changing on chatd.users;
drop trigger users_updated on chatd.users;
drop trigger users_inserting on chatd.users;
drop trigger users_inserted on chatd.users;

alter table chatd.users
    alter column token_generation type bigint,
    alter column token_generation set default chatd.token_birth(),
    -- How often the hash was replaced by another one of the same password.
    add column rehashes int not null default 0;

-- Tokens from elsewhere are compared with it (user_standing).
update chatd.users set created_at = now() where not isfinite(created_at);
alter table chatd.users add constraint users_created_at_check check (isfinite(created_at));

-- What the user had when he was removed, and a step: no token has it.
alter table chatd.removed_users add column generation bigint not null default 2147483647;
alter table chatd.removed_users alter column generation drop default;

create or replace function chatd.users_changing() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    if (new.disabled, new.token_generation) is not distinct from (old.disabled, old.token_generation)
       and (new.password_hash is not distinct from old.password_hash
            or new.rehashes > old.rehashes) then
        return new;
    end if;
    -- Enabling counts too: of two states of a user the one with the higher generation is the later.
    new.token_generation := greatest(old.token_generation, new.token_generation) + token_step();
    new.revocation := nextval('revocation_seq');
    new.revoked_at := greatest(old.revoked_at, clock_timestamp());
    return new;
end $$;

-- Who is disabled from the beginning, or gets the number of one who was removed. Others who are new
-- have nothing that could be void.
create function chatd.users_inserting() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
declare
    before bigint;
begin
    if not new.disabled and not exists (select from removed_users r where r.id = new.id) then
        return new;
    end if;
    lock table change_lock in share update exclusive mode;
    delete from removed_users r where r.id = new.id returning r.generation into before;
    new.token_generation := greatest(before, new.token_generation) + token_step();
    new.revocation := nextval('revocation_seq');
    new.revoked_at := clock_timestamp();
    return new;
end $$;

create or replace function chatd.users_removed() returns trigger
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    insert into removed_users as r (id, revocation, generation)
    values (old.id, nextval('revocation_seq'), old.token_generation + token_step())
    on conflict on constraint removed_users_pkey do update
       set revocation = excluded.revocation, generation = greatest(r.generation, excluded.generation);
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

create trigger users_inserting before insert on chatd.users
    for each row execute function chatd.users_inserting();

create trigger users_inserted after insert on chatd.users
    for each row when (new.revocation is not null) execute function chatd.users_revoked();

-- What a login costs ------------------------------------------------------------------------------

-- The cost of a bcrypt hash; null: it is none that chatd computes.
create function chatd.bcrypt_cost(hash text) returns int
language sql immutable
as $$ select case when hash ~ '^\$2[aby]\$[0-9]{2}\$.{53}$' then substr(hash, 5, 2)::int end $$;

create index users_bcrypt_cost on chatd.users (chatd.bcrypt_cost(password_hash));

-- For chatd -----------------------------------------------------------------------------------------

drop function chatd_api.user_register(text, text, text);
drop function chatd_api.user_credentials(text);
drop function chatd_api.user_credentials(bigint);
drop function chatd_api.user_password(bigint, text, text);
drop function chatd_api.user_logout(bigint);
drop function chatd_api.user_standing(bigint);
drop function chatd_api.revocation_read(bigint, int);

-- Makes a user: ok, username_taken, email_taken, or invalid. It looks before it inserts, so a
-- refusal costs no id; two who register at once are told apart by the unique indexes.
create function chatd_api.user_register(username text, email text, password_hash text)
returns table (status text, user_id bigint, user_json text, generation bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    taken text;
begin
    if (username ~ '^[A-Za-z0-9_.-]{1,32}$' and octet_length(email) between 1 and 254
        and password_hash is not null) is not true then
        return query select 'invalid', null::bigint, null::text, null::bigint;
        return;
    elsif exists (select from users u where lower(u.username collate "C") = lower(user_register.username collate "C")) then
        return query select 'username_taken', null::bigint, null::text, null::bigint;
        return;
    elsif exists (select from users u where lower(u.email collate "C") = lower(user_register.email collate "C")) then
        return query select 'email_taken', null::bigint, null::text, null::bigint;
        return;
    end if;
    return query
        insert into users as u (username, email, password_hash)
        values (user_register.username, user_register.email, user_register.password_hash)
        returning 'ok', u.id, user_json(u.id, u.username, u.email), u.token_generation;
exception
    when unique_violation then
        get stacked diagnostics taken = constraint_name;
        return query select case taken when 'users_email_key' then 'email_taken'
                                       else 'username_taken' end, null::bigint, null::text,
                            null::bigint;
end $$;

-- What a login needs, whatever the case of the name; with the highest cost, up to most, of the
-- hashes that are stored: every comparison takes the time of that one. For nobody the rest is null.
-- All of it is of one moment: a token of this generation is void once the password that was
-- compared is not the password any more.
create function chatd_api.user_credentials(name text, most int)
returns table (dearest int, user_id bigint, username text, password_hash text, user_json text,
               generation bigint, disabled boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    return query
        select d.cost, u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from (select (select bcrypt_cost(c.password_hash) from users c
                         where bcrypt_cost(c.password_hash) <= most
                         order by bcrypt_cost(c.password_hash) desc limit 1) as cost) d
          left join users u on lower(u.username collate "C") = lower(user_credentials.name collate "C");
end $$;

-- The same of a user who is logged in; no row for nobody.
create function chatd_api.user_credentials(id bigint)
returns table (dearest int, user_id bigint, username text, password_hash text, user_json text,
               generation bigint, disabled boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select 0, u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from users u
         where u.id = user_credentials.id;
end $$;

-- Changes the password if it still is the one that was compared: that of this generation, however
-- often its hash was renewed. What tokens have to be now, or no row.
create function chatd_api.user_password(id bigint, compared bigint, new_hash text)
returns table (generation bigint, disabled boolean, revoked bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        update users u set password_hash = new_hash
         where u.id = user_password.id and u.token_generation = user_password.compared
           and not u.disabled
        returning u.token_generation, u.disabled, unix_time(u.revoked_at);
end $$;

-- Stores another hash of the password that was compared, if it still is the password. Tokens stay
-- good.
create function chatd_api.user_rehash(id bigint, old_hash text, new_hash text) returns void
language plpgsql security definer set search_path = chatd, pg_temp
as $$
begin
    update users u set password_hash = new_hash, rehashes = u.rehashes + 1
     where u.id = user_rehash.id and u.password_hash = old_hash;
end $$;

-- Makes every token of the user void; what they have to be now.
create function chatd_api.user_logout(id bigint)
returns table (generation bigint, disabled boolean, revoked bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        update users u set token_generation = u.token_generation + 1 where u.id = user_logout.id
        returning u.token_generation, u.disabled, unix_time(u.revoked_at);
end $$;

-- What a token of this user has to be; no row for nobody. One that others issued before there was
-- the user, by more than clocks differ, was for somebody else with this number.
create function chatd_api.user_standing(id bigint)
returns table (generation bigint, disabled boolean, revoked bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.token_generation, u.disabled,
               unix_time(coalesce(u.revoked_at, u.created_at - interval '1 minute'))
          from users u
         where u.id = user_standing.id;
end $$;

-- The users who changed after a number, at most max_rows, with what their tokens have to be. For
-- those who were removed no token is good. The first reading of a host waits for changes that are
-- under way: they may have begun before its bell was there to be rung.
create function chatd_api.revocation_read(after bigint, max_rows int)
returns table (revocation bigint, user_id bigint, generation bigint, disabled boolean, revoked bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    if after = 0 then
        lock table change_lock in share update exclusive mode;
    end if;
    return query
        (select u.revocation, u.id, u.token_generation, u.disabled, unix_time(u.revoked_at)
           from users u
          where u.revocation > after
          order by u.revocation limit max_rows)
        union all
        (select r.revocation, r.id, r.generation, false, 9223372036854775807
           from removed_users r
          where r.revocation > after
          order by r.revocation limit max_rows)
        order by 1
        limit max_rows;
end $$;
