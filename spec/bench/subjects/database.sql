-- The tables of the benchmark: World and Fortunes as TechEmpower has them, and a long one.
create table world (id integer primary key, randomnumber integer not null);
insert into world select i, 1 + floor(random() * 10000)::integer from generate_series(1, 10000) i;

create table fortune (id integer primary key, message text not null);
insert into fortune values
  (1, 'The build is green & nobody knows why.'),
  (2, 'A cache is a bug that has not expired yet.'),
  (3, '"It works here" is not a release note.'),
  (4, 'Two of three replicas agree: the third one has the data.'),
  (5, 'Every constant varies, given a second customer.'),
  (6, 'Was die Tür nicht weiß, macht sie nicht heiß.'),
  (7, 'There are 10 kinds of people: those who know binary, and those who don''t.'),
  (8, 'A timeout is a promise that somebody else keeps.'),
  (9, 'Nothing is as permanent as a workaround.'),
  (10, 'The log is full, which is why you cannot read this.'),
  (11, '<script>alert("This should not be displayed in a browser alert box.");</script>'),
  (12, '待てば海路の日和あり');

create table long (id integer primary key, number double precision not null,
  message text not null, at timestamptz);
insert into long
  select i, i / 7.0, 'message number ' || i, case when i % 10 > 0 then
    timestamptz '2024-01-01' + i * interval '1 second' end
  from generate_series(1, 1000000) i;
