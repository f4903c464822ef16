-- The store behind the public marts. Tables marts_store.<mart> and views
-- marts.<mart> are made by `publish` from what dbt declares; only what all of them
-- share is here (docs/decisions/0003-publish.md says why it looks like this).
set role publisher;

-- The contents of one slice (a day, a month or all) of one mart, stored once and
-- never changed: rows of marts_store.<mart> carry its slice_id.
create table if not exists marts_store.slices (
    slice_id integer generated always as identity primary key,
    mart text not null,
    slice_key text not null,
    -- equal fingerprints mean equal rows
    fingerprint text not null,
    rows_count bigint not null,
    -- the build that first made it
    build_id bigint not null,
    unique (mart, slice_key, fingerprint)
);

-- Which contents a slice has in which builds: from build_from until just before
-- build_until (null: still). "What did we show then?" is one comparison.
create table if not exists marts_store.shown (
    mart text not null,
    slice_key text not null,
    slice_id integer not null references marts_store.slices,
    build_from bigint not null,
    build_until bigint,
    primary key (mart, slice_key, build_from),
    check (build_until > build_from)
);
create unique index if not exists shown_still
on marts_store.shown (mart, slice_key) where build_until is null;
create index if not exists shown_by_slice on marts_store.shown (slice_id);

-- The pointer: the one build that every view of marts shows now. Publishing and
-- rolling back end with an update of this row.
create table if not exists marts_store.current_build (
    only_row boolean primary key default true check (only_row),
    build_id bigint not null
);

-- What each public view was made of, so that it is replaced only when that changes.
create table if not exists marts_store.definitions (
    mart text primary key,
    definition text not null
);

grant select on all tables in schema marts_store to transformer;

reset role;
