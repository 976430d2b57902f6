-- Whether a name and an address are free can be asked for alone: before a hash is computed for them.

-- ok, username_taken, email_taken, or invalid. Answered from the indexes, whatever the statistics.
create function chatd_api.user_available(username text, email text) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
set enable_seqscan = off
as $_$
begin
    return case
        when (username ~ '^[A-Za-z0-9_.-]{1,32}$' and octet_length(email) between 1 and 254) is not true
            then 'invalid'
        when exists (select from users u where lower(u.username collate "C") = lower(user_available.username collate "C"))
            then 'username_taken'
        when exists (select from users u where lower(u.email collate "C") = lower(user_available.email collate "C"))
            then 'email_taken'
        else 'ok' end;
end $_$;

-- Makes a user: ok, or what user_available says. It looks before it inserts, so a refusal costs no
-- id; two who register at once are told apart by the unique indexes.
create or replace function chatd_api.user_register(username text, email text, password_hash text)
returns table (status text, user_id bigint, user_json text, generation bigint)
language plpgsql security definer set search_path = chatd, pg_temp
as $$
#variable_conflict use_column
declare
    available text := case when password_hash is null then 'invalid'
                           else chatd_api.user_available(username, email) end;
    taken text;
begin
    if available <> 'ok' then
        return query select available, null::bigint, null::text, null::bigint;
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
