-- Fitted attribution weights, versioned: what a conversion month was credited with
-- stays known, and stays in force until somebody asks for a restatement.
set role transformer;

create table if not exists attribution.fitted_versions (
    version_id bigint generated always as identity primary key,
    model text not null,
    -- the kind of conversion whose paths the chain was fitted on
    fitted_kind text not null,
    conversion_month date not null,
    -- months whose paths were read, both included
    period_from date not null,
    period_to date not null,
    inputs_hash text not null,
    build_id bigint not null,
    is_current boolean not null default true,
    reason text not null check (reason in ('first', 'open month', 'restated')),
    fitted_at timestamptz not null default clock_timestamp(),
    -- conversions, paths, conversion_rate, channels
    diagnostics jsonb not null
);
create unique index if not exists fitted_versions_current
on attribution.fitted_versions (model, fitted_kind, conversion_month)
where is_current;

-- One row per version and channel: effect from 0 to 1, share of the total effect.
create table if not exists attribution.fitted_weights (
    version_id bigint not null references attribution.fitted_versions,
    channel text not null,
    removal_effect double precision not null,
    effect_share double precision not null,
    primary key (version_id, channel)
);

-- How far figures could have come out otherwise; written anew by each build.
create table if not exists attribution.channel_intervals (
    conversion_month date not null,
    channel text not null,
    attribution_model text not null,
    figure text not null check (figure in ('sales', 'revenue', 'margin')),
    replicates integer not null,
    value double precision not null,
    low double precision not null,
    high double precision not null,
    primary key (conversion_month, channel, attribution_model, figure)
);

-- Whose paths changed, noted when a table that paths are made of was written; kept
-- until a build that saw it is published.
create table if not exists attribution.path_changes (
    -- NULL: by hand, outside of builds
    build_id bigint,
    touchpoint_id text,
    person_id text,
    -- the settings and ranks that hold from this build on
    choices_hash numeric
);

reset role;
