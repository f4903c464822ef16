-- Where landing writes: the raw tables' maker, the ledger of loads, dead letters,
-- and the only place that keeps contacts in clear.
set role migrator;

-- Which accounts this deployment reads: a mirror of sources.yml, made at each run.
create table if not exists ops.accounts (
    source text not null,
    account_id text not null,
    time_zone text not null,
    currency_code text,
    vat_included boolean,
    required boolean not null default true,
    settings jsonb not null default '{}',
    primary key (source, account_id)
);

-- Load ids are taken before the load's transaction, so that a failed load can be
-- written down under the id its log lines bear.
create sequence if not exists ops.load_id_seq as bigint;

-- One row per load, written in the load's own transaction: rows and row of the ledger
-- are there together or not at all. A failed load's row stands alone.
create table if not exists ops.loads (
    load_id bigint primary key default nextval('ops.load_id_seq'),
    source text not null,
    stream text not null,
    account_id text not null,
    run_id text,
    kind text not null check (kind in ('window', 'entity', 'snapshot', 'sweep')),
    -- the account's civil days, half-open
    date_from date,
    date_to date,
    -- entity streams: where the next read begins
    cursor text,
    state text not null check (state in ('ok', 'ok_empty', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp(),
    rows_read bigint not null default 0,
    rows_new bigint not null default 0,
    rows_changed bigint not null default 0,
    rows_gone bigint not null default 0,
    -- missing from the answer but too many to believe: kept, not given a tombstone
    rows_withheld bigint not null default 0,
    rows_dead bigint not null default 0,
    rows_duplicate bigint not null default 0,
    -- the sum of the stream's amount over the answer, and what the vendor says it is
    amount_total numeric,
    control_total numeric,
    error text
);
create index if not exists loads_by_stream
on ops.loads (source, stream, account_id, load_id desc);

-- What a load changed, by day. A row that moved to another day is gone on the one and
-- new on the other, so that new minus gone summed over loads is what is live that day.
create table if not exists ops.load_changes (
    load_id bigint not null references ops.loads deferrable initially deferred,
    record_date date,
    rows_new bigint not null,
    rows_changed bigint not null,
    rows_gone bigint not null,
    amount_delta numeric not null
);
create index if not exists load_changes_by_load on ops.load_changes (load_id);

-- Records that could not be keyed or parsed. `reason` names fields, never values.
create table if not exists ops.dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    load_id bigint not null references ops.loads deferrable initially deferred,
    source text not null,
    stream text not null,
    account_id text not null,
    record_key text,
    reason text not null,
    created_at timestamptz not null default clock_timestamp()
);
create index if not exists dead_letters_by_load on ops.dead_letters (load_id);

-- What a person should know and no check stops on.
create table if not exists ops.warnings (
    at timestamptz not null default clock_timestamp(),
    source text not null,
    stream text not null,
    load_id bigint,
    message text not null
);

-- Keys of an entity stream that the last sweep did not see: gone if the next one does
-- not see them either.
create table if not exists ops.missing_keys (
    source text not null,
    stream text not null,
    account_id text not null,
    record_key text collate "C" not null,
    missed_load_id bigint not null,
    primary key (source, stream, account_id, record_key)
);

grant select, insert, update, delete on ops.accounts to loader;
grant usage on sequence ops.load_id_seq to loader;
grant insert on ops.loads, ops.load_changes, ops.dead_letters to loader;
grant insert on ops.warnings to loader, transformer, publisher;
grant insert, update, delete on ops.missing_keys to loader;

-- The payload of a dead letter, byte by byte as it came: it may hold contacts.
create table if not exists pii.dead_letter_payloads (
    dead_letter_id bigint primary key references ops.dead_letters,
    payload bytea not null
);

-- The only clear copy of a phone, an e-mail or a name.
create table if not exists pii.contacts (
    token text collate "C" primary key,
    kind text not null check (kind in ('phone', 'email', 'name')),
    value text not null,
    -- every way it was written to us
    spellings text [] not null
);

-- Fields nobody declared, and contact fields that could not be read as such.
create table if not exists pii.sealed (
    source text not null,
    stream text not null,
    account_id text not null,
    record_key text collate "C" not null,
    field text not null,
    value jsonb not null,
    load_id bigint not null,
    primary key (source, stream, account_id, record_key, field)
);

-- What the rest of the line may know of a token.
create table if not exists identity.token_facts (
    token text collate "C" primary key,
    kind text not null check (kind in ('phone', 'email', 'name')),
    -- phones: mobile, fixed_line, fixed_line_or_mobile, toll_free, voip, other …
    number_type text,
    -- phones: ISO 3166 code of the numbering plan
    country text,
    -- typed in to satisfy a form: +7 900 000-00-00, no@example.com, "test"
    is_placeholder boolean not null default false,
    -- e-mails: free, corporate, role (info@ …), shared (noreply@ and other robots)
    mailbox_class text,
    masked text not null,
    -- one of our own lines (a declared business number), not a customer's
    is_own_number boolean not null default false,
    -- names: the tokens of their words, sorted and apart by spaces
    words text
);
alter table identity.token_facts add column if not exists words text;
grant select, insert, update on identity.token_facts to loader;
grant select on identity.token_facts to transformer;

-- A vendor's figure as a number: 0 for "--", nothing, and what is no number. Landing
-- reads figures by the same pattern. (pg_input_is_valid would be quicker, but it is not
-- immutable: the planner then folds the cast of a constant before asking it, and fails.)
create or replace function ops.amount(value text) returns numeric
language sql
immutable
parallel safe
as $$
    select case
        when value ~ '^[ \t\n\r\f\v]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?[ \t\n\r\f\v]*$'
            then value::numeric
        else 0
    end
$$;

-- Makes the raw table of a stream if it is not there: true when it made one.
-- `large` is for records of about 2 KB: they are kept uncompressed in the row, which
-- halves the cost of writing and makes reading several fields ten times cheaper.
-- Index kinds: docs/decisions/0002-raw-indexes.md.
create or replace function ops.create_raw_table(
    source text, stream text, large boolean default false
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := source || '__' || stream;
begin
    if name !~ '^[a-z][a-z0-9_]*$' or length(name) > 55 then
        raise exception 'raw table name % must be [a-z0-9_], at most 55 letters', name;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('raw.' || name, 0));
    -- to_regclass answers from a cache that a wait for this lock does not renew
    if exists (
        select from pg_class
        where pg_class.relnamespace = 'raw'::regnamespace and pg_class.relname = name
    ) then
        return false;
    end if;
    execute format(
        'create table raw.%I ('
        'account_id text collate "C" not null, '
        'record_key text collate "C" not null, '
        'record_date date, '
        'record jsonb not null, '
        'record_hash uuid not null, '
        'load_id bigint not null, '
        'deleted_load_id bigint, '
        'primary key (account_id, record_key))', name
    );
    if large then
        execute format('alter table raw.%I set (toast_tuple_target = 8160)', name);
    end if;
    -- nobody filters by the whole record: sampling it would only cost time
    execute format(
        'alter table raw.%I alter column record set statistics 0', name
    );
    execute format(
        'create index %I on raw.%I using brin (record_date, load_id) '
        'with (pages_per_range = 16, autosummarize = on)', name || '_brin', name
    );
    execute format(
        'create index %I on raw.%I (deleted_load_id) where deleted_load_id is not null',
        name || '_gone', name
    );
    return true;
end
$$;
revoke all on function ops.create_raw_table(text, text, boolean) from public;
grant execute on function ops.create_raw_table(text, text, boolean) to loader;

reset role;
