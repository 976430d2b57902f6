-- What differs only in case, and what times there are, whatever the database's locale.
--
-- lower() follows the locale of the database: in a Turkish one "ISMAIL" and "ismail" were two users.
-- Now names and addresses are the same if they are so once A to Z are a to z, everywhere; other
-- letters, which only addresses have, are the same in the same case only. Every comparison has this
-- one form, lower(... collate "C"), which is also that of the indexes.

do $$
declare
    clash text;
begin
    select string_agg(format('%s %s and %s %s', a.id, a.username, b.id, b.username), '; ')
      into clash
      from (select *, row_number() over (partition by lower(username collate "C") order by id) n
              from chatd.users) b
      join chatd.users a on lower(a.username collate "C") = lower(b.username collate "C")
                        and a.id < b.id
     where b.n = 2;
    if clash is not null then
        raise exception 'users whose names differ only in case: %. Rename one of each, as in  update chatd.users set username = ''other'' where id = N;  and run migrate again', clash;
    end if;
    select string_agg(format('%s %s and %s %s', a.id, a.email, b.id, b.email), '; ')
      into clash
      from (select *, row_number() over (partition by lower(email collate "C") order by id) n
              from chatd.users) b
      join chatd.users a on lower(a.email collate "C") = lower(b.email collate "C")
                        and a.id < b.id
     where b.n = 2;
    if clash is not null then
        raise exception 'users whose addresses differ only in case: %. Change one of each, as in  update chatd.users set email = ''other@example.com'' where id = N;  and run migrate again', clash;
    end if;
end $$;

drop index chatd.users_username_key, chatd.users_email_key;
create unique index users_username_key on chatd.users (lower(username collate "C"));
create unique index users_email_key on chatd.users (lower(email collate "C"));

create or replace function chatd.user_named(name text)
returns bigint
language plpgsql stable set search_path = chatd, pg_temp
as $$
declare
    found_id constant bigint := (select u.id from users u where lower(u.username collate "C") = lower(name collate "C"));
begin
    if found_id is null then
        raise exception 'there is no user "%"', name using errcode = 'no_data_found';
    end if;
    return found_id;
end $$;

create or replace function chatd_api.user_credentials(name text)
returns table(user_id bigint, username text, password_hash text, user_json text, generation int,
    disabled boolean)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
begin
    return query
        select u.id, u.username, u.password_hash, user_json(u.id, u.username, u.email),
               u.token_generation, u.disabled
          from users u
         where lower(u.username collate "C") = lower(user_credentials.name collate "C");
end $$;

create or replace function chatd_api.user_register(username text, email text, password_hash text)
returns table(status text, user_id bigint, user_json text)
language plpgsql security definer set search_path = chatd, pg_temp
as $_$
#variable_conflict use_column
declare
    new_id bigint;
    taken text;
begin
    if (username ~ '^[A-Za-z0-9_.-]{1,32}$' and octet_length(email) between 1 and 254
        and password_hash is not null) is not true then
        return query select 'invalid', null::bigint, null::text;
        return;
    elsif exists (select from users u where lower(u.username collate "C") = lower(user_register.username collate "C")) then
        return query select 'username_taken', null::bigint, null::text;
        return;
    elsif exists (select from users u where lower(u.email collate "C") = lower(user_register.email collate "C")) then
        return query select 'email_taken', null::bigint, null::text;
        return;
    end if;
    insert into users (username, email, password_hash)
    values (user_register.username, user_register.email, user_register.password_hash)
    returning id into new_id;
    return query
        select 'ok', new_id, user_json(new_id, user_register.username, user_register.email);
exception
    when unique_violation then
        get stacked diagnostics taken = constraint_name;
        return query select case taken when 'users_email_key' then 'email_taken'
                                       else 'username_taken' end, null::bigint, null::text;
end $_$;

-- A time without end has no digits to be written with: such a message was invisible, and such a
-- revocation could not be read. (In the check that was there: each costs every insert something.)
update chatd.messages m
   set created_at = coalesce((select max(p.created_at) from chatd.messages p
                               where p.id < m.id and isfinite(p.created_at)), now())
 where not isfinite(created_at);
update chatd.users set revoked_at = now() where not isfinite(revoked_at);

alter table chatd.messages
    drop constraint messages_content_check,
    add constraint messages_content_created_at_check
        check (octet_length(content) between 1 and 65536 and isfinite(created_at));
alter table chatd.users add constraint users_revoked_at_check check (isfinite(revoked_at));
