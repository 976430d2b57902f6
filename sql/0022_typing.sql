-- Who is writing to whom: told to those who are connected, and stored nowhere.

-- Of these pairs only those count that have exchanged a message, and whose sender is not disabled:
-- of others nobody learns anything. The answer has those whose receivers are connected to this host.
-- Each other host where some of the receivers are gets one bell, which says all that is to be shown
-- there: receiver, conversation, sender and the sender's name. For at most 80 pairs: a bell has less
-- than 8000 bytes.
create function chatd_api.typing_tell(host_id bigint, sender_ids bigint[], receiver_ids bigint[])
returns table (receiver_id bigint, conversation_id bigint, user_id bigint, username text)
language plpgsql security definer set search_path = chatd, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- Without a conversation, or without a name, nobody is told of a pair.
    senders bigint[];
    receivers bigint[];
    conversations bigint[];
    names text[];
begin
    select array_agg(p.sender_id order by p.n), array_agg(p.receiver_id order by p.n),
           array_agg((select c.conversation_id from contacts c
                       where c.user_id = p.sender_id and c.contact_id = p.receiver_id)
                     order by p.n),
           array_agg((select u.username from users u where u.id = p.sender_id and not u.disabled)
                     order by p.n)
      into senders, receivers, conversations, names
      from unnest(sender_ids, receiver_ids) with ordinality p (sender_id, receiver_id, n);
    if exists (select from hosts h where h.id <> typing_tell.host_id) then
        perform pg_notify('chatd_' || b.id, b.bell)
           from (select h.id,
                        't' || string_agg(' ' || t.receiver || ' ' || t.conversation || ' ' || t.sender
                                          || ' ' || t.name, '' order by t.n) as bell
                   from hosts h, unnest(receivers, conversations, senders, names) with ordinality
                                 t (receiver, conversation, sender, name, n)
                  where h.id <> typing_tell.host_id
                    and t.conversation is not null and t.name is not null
                    and (select true from sessions s
                          where s.user_id = t.receiver and s.host_id = h.id limit 1)
                  group by h.id) b;
        -- A crash may lose a bell: no need to wait for the disk.
        if found then
            perform set_config('synchronous_commit', 'off', true);
        end if;
    end if;
    return query
        select t.receiver, t.conversation, t.sender, t.name
          from unnest(receivers, conversations, senders, names) with ordinality
               t (receiver, conversation, sender, name, n)
         where t.conversation is not null and t.name is not null
           and (select true from sessions s
                 where s.user_id = t.receiver and s.host_id = typing_tell.host_id limit 1)
         order by t.n;
end $$;
