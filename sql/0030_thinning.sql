-- Changes of groups that no client can still be told of are removed.
--
-- compatible-from: 28
--
-- An index is made on group_changes, which has a row for each change of a group or of a member.
--
-- A client that resumes is told the latest change of each row, and hosts read the others at once. A bot that renames
-- its group every second must not fill the disk with names that nobody will see.

alter table chatd.retention add column thinned bigint not null default 0; -- up to this change of a group all was looked at
create index group_changes_conversation on chatd.group_changes (conversation_id, change);

-- Looks at the next changes, removes those of their groups that others have superseded up to there, and returns whether
-- there may be more. What is younger than a day stays, for a host that is behind; and so does the newest
-- change of all, from which the sequence goes on.
create function chatd.group_changes_thin(max_rows int) returns boolean
language plpgsql set search_path = chatd, pg_temp set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    newest constant bigint := (select g.change from group_changes g order by g.change desc limit 1);
    looked_at record;
begin
    with old as (
        select g.change, g.conversation_id
          from (select * from group_changes g
                 where g.change > (select r.thinned from retention r) and g.change < newest
                 order by g.change
                 limit max_rows) g
         where g.changed_at < now() - interval '1 day'
    ), superseded as (
        delete from group_changes g
         using (select o.conversation_id, max(o.change) as upto from old o group by 1) o
         where g.conversation_id = o.conversation_id and g.change <= o.upto
           and g.change is distinct from
               case when g.user_id is null
                    then (select k.changed from conversations k where k.id = g.conversation_id)
                    else (select m.changed from members m
                           where m.conversation_id = g.conversation_id and m.user_id = g.user_id) end
    )
    select count(*) as count, max(o.change) as last into looked_at from old o;
    update retention set thinned = looked_at.last where looked_at.last is not null;
    return looked_at.count = max_rows;
end $$;

-- As before, and thins the changes of groups whether there is a time to keep messages or not.
create or replace function chatd_api.retention_step(host_id bigint, max_rows int) returns table (removed int, some_left boolean)
language plpgsql security definer set search_path = chatd, pg_temp set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    thinnable boolean;
    common record;
    own record;
    ids bigint[];
    newest record;
begin
    if host_id is distinct from coalesce((select min(h.id) from hosts h where host_id is not null), host_id) then
        return query select 0, false;
        return;
    end if;
    -- What a crash brings back is removed again: nobody has to wait for the disk with the change lock held.
    perform set_config('synchronous_commit', 'off', true);
    thinnable := group_changes_thin(max_rows);
    if not exists (select from retention r where r.days is not null)
       and not exists (select from conversations c where c.days > 0) then
        return query select 0, thinnable;
        return;
    end if;
    perform from retention r for update; -- so that nobody sets "swept" back meanwhile
    select * into common from retention_common(max_rows);
    select * into own from retention_own(greatest(1, max_rows - coalesce(cardinality(common.ids), 0)));
    ids := coalesce(common.ids, '{}') || own.ids;
    if cardinality(ids) > 0 then
        lock table change_lock in share update exclusive mode; -- before rows, as everybody does
        delete from earlier_texts e where e.message_id = any (ids);
        with gone as (
            delete from messages m where m.id = any (ids)
            returning m.id, m.conversation_id, m.created_at, greatest(m.id, m.changed) as change
        ), told as (
            update conversations c set horizon = greatest(c.horizon, g.change)
              from (select g.conversation_id, max(g.change) as change from gone g group by 1) g
             where c.id = g.conversation_id
        )
        select count(*) as count, max(g.change) as change, max(g.id) as id,
               (array_agg(change_stamp(g.created_at) order by g.id desc))[1] as stamp
          into newest from gone g;
        removed := newest.count;
        update retention r
           set horizon = greatest(r.horizon, newest.change),
               stamp = case when newest.id > r.last then newest.stamp else r.stamp end,
               last = greatest(r.last, newest.id)
         where newest.count > 0;
    end if;
    update retention r
       set swept = greatest(r.swept, coalesce(common.upto, 0)), room = own.room
     where coalesce(common.upto, 0) > r.swept or own.room <> r.room;
    return query select coalesce(removed, 0), coalesce(common.more, false) or own.more or thinnable;
end $$;
