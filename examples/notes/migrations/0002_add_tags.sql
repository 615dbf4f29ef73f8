-- up
alter table notes add tags text[] not null default '{}';
create index notes_tags on notes using gin (tags);
-- down
alter table notes drop tags;
