-- What users see and change of their own account, and a name to be shown beside the username.

-- Chosen freely, so nobody is found or told apart by it. It is one line of text that leaves alone
-- what is written around it: no control characters, and none that break a line or turn the direction
-- of what follows.
alter table chatd.users
    add column display_name text,
    add constraint users_display_name_check
        check (char_length(display_name) between 1 and 64
               and display_name collate "C" !~ '[\u0001-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]|^ | $');

-- An account as its user sees it.
create function chatd.me_json(id bigint, username text, display_name text, email text,
    created_at timestamptz)
returns text
language sql stable
as $$
    select '{"id":' || id || ',"username":"' || username || '","display_name":'
        || coalesce(to_json(display_name)::text, 'null') || ',"email":' || to_json(email)::text
        || ',"created_at":' || json_time(created_at) || '}'
$$;

-- Null: there is no such account.
create function chatd_api.user_me(id bigint) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp
set enable_seqscan = off
as $$
begin
    return (select me_json(u.id, u.username, u.display_name, u.email, u.created_at)
              from users u where u.id = user_me.id);
end $$;

-- Changes what is not null: the display name, empty for none; and the address, which takes the
-- generation of the tokens that was read together with the hash that a password was compared with.
-- ok; email_taken, by anybody else; invalid; stale: those tokens are void by now; gone: there is no
-- such account, or it is disabled.
create function chatd_api.user_change(id bigint, display_name text, email text, compared bigint)
returns table (status text, me text)
language plpgsql security definer set search_path = chatd, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    own users;
begin
    select * into own from users u where u.id = user_change.id and not u.disabled for no key update;
    if own.id is null then
        return query select 'gone', null::text;
        return;
    elsif user_change.email is not null and own.token_generation is distinct from compared then
        return query select 'stale', null::text;
        return;
    elsif exists (select from users u
                   where lower(u.email collate "C") = lower(user_change.email collate "C")
                     and u.id <> own.id) then
        return query select 'email_taken', null::text;
        return;
    end if;
    return query
        update users u
           set display_name = case when user_change.display_name is null then u.display_name
                                   else nullif(user_change.display_name, '') end,
               email = coalesce(user_change.email, u.email)
         where u.id = own.id
        returning 'ok', me_json(u.id, u.username, u.display_name, u.email, u.created_at);
exception
    when unique_violation then
        return query select 'email_taken', null::text;
    when check_violation then
        return query select 'invalid', null::text;
end $$;

-- As before, with the display names of those who have one.
create or replace function chatd_api.user_list(caller_id bigint, mode text, after_id bigint, max_rows int,
    prefix text)
returns table (users text, next bigint)
language plpgsql stable security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    low constant text := lower(prefix collate "C");
    after_name text := '';
begin
    if prefix <> '' and after_id > 0 then
        select lower(u.username collate "C") into after_name from users u where u.id = after_id;
    end if;
    if after_name is not null then
        select '[' || coalesce(string_agg(
                   '{"id":' || u.id || ',"username":"' || u.username || '"'
                   || coalesce(',"display_name":' || to_json(u.display_name)::text, '')
                   || ',"online":' || case when u.online then 'true' else 'false' end || ',"last_seen":'
                   || coalesce(json_time(case when u.online then now()
                                              when u.shown then u.last_seen end),
                               'null') || '}', ',' order by u.n) filter (where u.n <= max_rows), '')
                   || ']',
               case when count(*) > max_rows then max(u.id) filter (where u.n = max_rows) end
          into users, next
          from (select v.*, v.shown and exists (select from sessions s where s.user_id = v.id) as online
                  from (select u.id, u.username, u.display_name, u.last_seen, u.n,
                               mode = 'all' or u.id = caller_id
                               or mode = 'contacts'
                                  and exists (select from contacts c
                                               where c.user_id = caller_id
                                                 and c.contact_id = u.id) as shown
                          from ((select id, username, display_name, last_seen,
                                        row_number() over (order by id) as n
                                   from users
                                  where prefix = '' and id > after_id
                                  order by id limit max_rows + 1)
                                union all
                                -- No name has a character above 'z'.
                                (select id, username, display_name, last_seen,
                                        row_number() over (order by lower(username collate "C"))
                                   from users
                                  where prefix <> '' and lower(username collate "C") >= low
                                    and lower(username collate "C") < low || '~'
                                    and lower(username collate "C") > after_name
                                  order by lower(username collate "C") limit max_rows + 1)) u) v) u;
    end if;
    return next;
end $$;
