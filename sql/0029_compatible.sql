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
