-- Which programs may use the schema.
--
-- compatible-from: 28
--
-- Each migration from here on has such a line: the oldest schema version of a program that may use what it makes.
-- With its own number chatd has to be stopped for it, on every host. With a lower one it only adds, and programs from
-- that version on may run meanwhile and afterwards. For all migrations before this one chatd had to be stopped.

alter table chatd.schema_version add column compatible_from int check (compatible_from between 1 and number);
update chatd.schema_version set compatible_from = number;
alter table chatd.schema_version alter column compatible_from set not null;

-- Programs of these schema versions may use this schema. A program asks first of all.
create function chatd_api.schema_range() returns table (oldest int, newest int)
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
begin
    return query select max(v.compatible_from), max(v.number) from schema_version v;
end $$;

-- For programs from before there was a range: each of them wants its own number.
create or replace function chatd_api.schema_version() returns int
language plpgsql stable security definer set search_path = chatd, pg_temp
as $$
begin
    return (select case when max(v.compatible_from) <= 28 then 28 else max(v.number) end from schema_version v);
end $$;

-- As messages_between(), which returned rows of messages and so failed for as long as it was not made anew when that
-- table had got a column: what is shown of a message is said here. messages_between() is called no more.
create function chatd.messages_shown(conversation bigint, since bigint, until bigint, before bigint, after bigint,
    max_rows int)
returns table (id bigint, sender_id bigint, receiver_id bigint, client_id text, origin bigint, created_at timestamptz,
    content text, conversation_id bigint, changed bigint, edited_at timestamptz, deleted boolean, reply_to bigint,
    reactions json, mentions bigint[])
language sql stable
as $$
    select m.id, m.sender_id, m.receiver_id, m.client_id, m.origin, m.created_at,
           case when l.is_later then '' else m.content end, m.conversation_id, m.changed,
           case when l.is_later then null else m.edited_at end, m.deleted or l.is_later,
           case when l.is_later then null else m.reply_to end,
           case when m.changed > until then null else m.reactions end,
           case when l.is_later then null else m.mentions end
      from ((select * from messages
              where after is not null and before is null
                and (conversation_id, id) > (conversation, greatest(after, since))
                and (conversation_id, id) <= (conversation, coalesce(until, 9223372036854775807))
              order by conversation_id, id
              limit max_rows)
            union all
            (select * from messages
              where not (after is not null and before is null)
                and (conversation_id, id) < (conversation, least(coalesce(before, 9223372036854775807), until + 1))
                and conversation_id >= conversation
              order by conversation_id desc, id desc
              limit max_rows)) m
     cross join lateral (select m.changed > until and m.edited_at is not null as is_later) l
     where m.id > greatest(coalesce(after, 0), since)
$$;

-- As before, with it.
create or replace function chatd.message_page(caller_id bigint, conversation bigint, since bigint, until bigint,
    before bigint, after bigint, max_rows int, careful boolean, out page text, out next bigint)
language plpgsql stable set search_path = chatd, pg_temp
as $$
declare
    forward constant boolean := after is not null and before is null;
    most constant int := 1048576; -- bytes
    found int;
    upto bigint; -- bytes that the page has at most
begin
    select count(*), coalesce(sum(octet_length(m.content)), 0) * 6 + 250 * count(*)
           + coalesce(sum(2 * octet_length(m.reactions::text)), 0) + coalesce(sum(20 * cardinality(m.mentions)), 0)
      into found, upto
      from messages_shown(conversation, since, until, before, after, max_rows + 1) m;
    if upto <= most then
        select string_agg(message_json(m.id, m.conversation_id, m.sender_id, m.receiver_id, m.content,
                                       m.created_at, m.edited_at, m.deleted,
                                       more_json(m.reply_to, m.mentions, case when m.reactions is not null then reactions_seen(m.id, m.reactions, caller_id) end)),
                          ',' order by m.id)
                   filter (where not careful or is_readable(m.id, m.content)),
               case when found > max_rows then
                    case when forward then max(m.id) else min(m.id) end end
          into page, next
          from messages_shown(conversation, since, until, before, after, max_rows) m;
    else
        -- Contents are read only as far as they fit themselves, and of their JSON what fits is
        -- taken, which is longer where a character must be escaped.
        select string_agg(t.text, ',' order by t.id) filter (where t.fits),
               case when bool_and(t.fits) then null
                    when forward then max(t.id) filter (where t.fits)
                    else min(t.id) filter (where t.fits) end
          into page, next
          from (select s.id, s.text,
                       s.wanted and sum(coalesce(octet_length(s.text), 0) + 1) over (order by s.n) <= most
                           as fits
                  from (select r.id, r.n, r.wanted,
                               case when r.wanted and (not careful or is_readable(r.id, r.content))
                                    then message_json(r.id, r.conversation_id, r.sender_id, r.receiver_id,
                                                      r.content, r.created_at, r.edited_at, r.deleted,
                                       more_json(r.reply_to, r.mentions, case when r.reactions is not null then reactions_seen(r.id, r.reactions, caller_id) end)) end as text
                          from (select m.*, row_number() over w as n,
                                       row_number() over w <= max_rows
                                       and sum(octet_length(m.content)) over w <= most as wanted
                                  from messages_shown(conversation, since, until, before, after, max_rows + 1) m
                                window w as (order by case when forward then m.id else -m.id end)) r) s) t;
    end if;
    page := '[' || coalesce(page, '') || ']';
end $$;
