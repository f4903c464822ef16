-- The store behind the public marts. Tables marts_store.<mart> and views
-- marts.<mart> are made by `publish` from what dbt declares; only what all of them
-- share is here.
set role publisher;

-- Which build each slice is shown from. A view over a mart reads its slices through
-- this table, so moving rows here is what publishing means.
create table if not exists marts_store.pointers (
    mart text not null,
    slice_key text not null,
    build_id bigint not null,
    primary key (mart, slice_key)
);

-- Every pointer set that is still kept: what a rollback returns to.
create table if not exists marts_store.slices (
    mart text not null,
    slice_key text not null,
    -- the slice's rows are stored under this build
    build_id bigint not null,
    fingerprint text not null,
    rows_count bigint not null,
    -- shown from build_id until this build replaced or removed it
    replaced_by bigint,
    primary key (mart, slice_key, build_id)
);

-- The build that the views show now: one row.
create table if not exists marts_store.current_build (
    only_row boolean primary key default true check (only_row),
    build_id bigint not null,
    published_at timestamptz not null
);

reset role;
