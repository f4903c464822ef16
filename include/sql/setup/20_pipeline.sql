-- What the pipeline writes about its own work: runs, builds, models, checks.
set role migrator;

-- One row per run of the line: an Airflow run or `python -m pipeline run`.
create table if not exists ops.runs (
    run_id text primary key,
    date_from date,
    date_to date,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    state text not null default 'running'
    check (state in ('running', 'published', 'failed')),
    note text
);

-- One row per build: the state of marts_next that one run made from raw.
create table if not exists ops.builds (
    build_id bigint generated always as identity primary key,
    run_id text not null,
    -- the last day the build knows; what is provisional is judged from it
    as_of date not null,
    state text not null default 'building'
    check (state in ('building', 'published', 'rolled_back', 'abandoned')),
    created_at timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    slices_changed integer,
    rows_changed bigint
);
create unique index if not exists builds_open on ops.builds (run_id)
where state = 'building';

-- An optional account that was down, or whose data failed a check: this run goes on
-- without its loads, and the next run takes them up again.
create table if not exists ops.held_back (
    run_id text not null,
    source text not null,
    account_id text not null,
    reason text not null,
    held_at timestamptz not null default clock_timestamp(),
    primary key (run_id, source, account_id)
);

-- The change set of a build: every ok load that no published build has shown yet.
create table if not exists ops.build_loads (
    build_id bigint not null references ops.builds,
    load_id bigint not null,
    primary key (build_id, load_id)
);

-- Written in the publish transaction: these loads need not be staged again.
create table if not exists ops.published_loads (
    load_id bigint primary key,
    build_id bigint not null references ops.builds
);

-- What a build would publish, as dbt declares it, in order of dependence.
create table if not exists ops.build_marts (
    build_id bigint not null references ops.builds,
    mart text not null,
    position integer not null,
    kind text not null check (kind in ('table', 'view')),
    slice text check (slice in ('day', 'month', 'all')),
    slice_column text,
    primary key (build_id, mart),
    check ((kind = 'table') = (slice is not null)),
    check ((slice_column is null) = (slice is null or slice = 'all'))
);

-- One row per dbt node and attempt of a station.
create table if not exists ops.model_runs (
    model_run_id bigint generated always as identity primary key,
    build_id bigint not null references ops.builds,
    run_id text not null,
    station text not null,
    unique_id text not null,
    resource_type text not null,
    status text not null,
    rows_affected bigint,
    seconds numeric(10, 3),
    message text,
    finished_at timestamptz not null default clock_timestamp()
);
create index if not exists model_runs_by_build on ops.model_runs (build_id);

-- One row per check and judgement. `held` means the check belongs to an optional
-- source that was held back, so that its failure stops nothing.
create table if not exists ops.check_results (
    check_result_id bigint generated always as identity primary key,
    run_id text not null,
    build_id bigint references ops.builds,
    gate text not null check (gate in ('raw', 'marts')),
    check_name text not null,
    severity text not null check (severity in ('critical', 'warning')),
    status text not null
    check (status in ('passed', 'failed', 'crashed', 'accepted', 'held')),
    observed text,
    why text not null,
    checked_at timestamptz not null default clock_timestamp()
);
create index if not exists check_results_by_run on ops.check_results (run_id);

-- A person let a failed check through for one run, and said why.
create table if not exists ops.accepts (
    run_id text not null,
    check_name text not null,
    reason text not null check (length(btrim(reason)) >= 10),
    accepted_by text not null default current_user,
    accepted_at timestamptz not null default clock_timestamp(),
    primary key (run_id, check_name)
);

-- Why a shown figure changed: one row per slice that a publish replaced or that a
-- rollback brought back.
create table if not exists ops.changes (
    change_id bigint generated always as identity primary key,
    build_id bigint not null references ops.builds,
    mart text not null,
    slice_key text not null,
    build_before bigint,
    rows_before bigint,
    rows_after bigint,
    cause text not null,
    changed_at timestamptz not null default clock_timestamp()
);
create index if not exists changes_by_build on ops.changes (build_id);

grant insert, update on ops.runs to loader, transformer, publisher;
grant insert, update on ops.builds to transformer, publisher;
grant insert on ops.build_loads to transformer;
grant insert, delete on ops.build_marts to transformer;
grant insert, update, delete on ops.held_back to loader, transformer;
grant insert, delete on ops.published_loads to publisher;
grant insert on ops.model_runs to transformer;
grant insert on ops.check_results to transformer;
grant insert, update on ops.accepts to transformer;
grant insert on ops.changes to publisher;

reset role;
