-- up
create table notes (
  id bigint generated always as identity primary key,
  title text not null unique check (title <> ''),
  body text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- down
drop table notes;
