-- The list of users tells of the others what presence frames would tell, and no more.

drop function chatd_api.user_list();

-- All users as a JSON array, by id. Who is online was last seen now. The caller learns that of all
-- others (mode all), of contacts (mode contacts), or of nobody (mode off): who is not shown is
-- offline and was never seen.
create function chatd_api.user_list(caller_id bigint, mode text) returns text
language plpgsql stable security definer set search_path = chatd, pg_temp set jit = off
as $$
begin
    return (select '[' || coalesce(string_agg(
                '{"id":' || u.id || ',"username":"' || u.username || '","online":'
                || case when s.user_id is null then 'false' else 'true' end || ',"last_seen":'
                || coalesce(json_time(case when s.user_id is not null then now()
                                           when shown then u.last_seen end),
                            'null') || '}', ',' order by u.id), '') || ']'
              from users u
              left join contacts c on mode = 'contacts'
                                  and c.user_id = caller_id and c.contact_id = u.id
              cross join lateral (select mode = 'all' or u.id = caller_id
                                         or c.contact_id is not null as shown) v
              left join (select distinct user_id from sessions) s on s.user_id = u.id and shown);
end $$;
