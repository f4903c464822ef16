-- Who is who: the numbers of identifiers, the person of each, what changed since the
-- step `identify` last looked, and what became of every person there ever was.
-- docs/decisions/0006-identity.md tells why it is so.
set role migrator;

-- the few that may join nobody, whenever that became known
create index if not exists token_facts_guarded
on identity.token_facts (token) where is_own_number or is_placeholder;

reset role;
set role transformer;

-- tables of an older shape: the next build makes them anew, from everything
do $$
begin
    if exists (
        select from pg_class
        where oid = to_regclass('identity.person_identifiers_assigned') and relkind = 'r'
    ) then
        drop table identity.person_identifiers_assigned cascade;
    end if;
    if to_regclass('identity.int_identifiers') is not null and not exists (
        select from pg_attribute
        where
            attrelid = to_regclass('identity.int_identifiers')
            and attname = 'node_id'
    ) then
        drop table if exists
        identity.int_identifiers, identity.int_identity_evidence,
        identity.identity_edges, identity.identifiers cascade;
    end if;
    if to_regclass('identity.identity_edges') is not null and not exists (
        select from pg_attribute
        where
            attrelid = to_regclass('identity.identity_edges')
            and attname = 'left_node'
    ) then
        drop table identity.identity_edges cascade;
        drop table if exists identity.changed_edges;
    end if;
    if to_regclass('identity.int_identifier_names') is not null and not exists (
        select from pg_attribute
        where
            attrelid = to_regclass('identity.int_identifier_names')
            and attname = 'words'
    ) then
        drop table identity.int_identifier_names cascade;
        -- as if a limit had changed: all identifiers are judged again
        update identity.identify_state set limits = null;
    end if;
end
$$;

-- A node is an identifier's number for good: 64 times a serial, plus its kind's code.
create sequence if not exists identity.node_serials cache 50;

-- Kinds of identifiers; a code is never given to another kind.
create table if not exists identity.node_kinds (
    kind text primary key,
    code smallint not null unique check (code between 0 and 63)
);
insert into identity.node_kinds (kind, code)
values
('ym_client_id', 0),
('ga_client_id', 1),
('visit', 2),
('visitor', 3),
('click', 4),
('user_id', 5),
('phone', 6),
('email', 7),
('crm_contact', 8),
('crm_lead', 9),
('crm_deal', 10),
('message', 11),
('sale', 12),
('crm_customer', 13),
('call', 14)
on conflict do nothing;

-- The person of each node: the node of the person's oldest identifier. The text of both
-- is in identity.int_identifiers; person_identifiers_assigned joins them.
create table if not exists identity.node_persons (
    node_id bigint not null,
    person_node bigint not null
);
create unique index if not exists node_persons_key on identity.node_persons (node_id);
create index if not exists node_persons_by_person
on identity.node_persons (person_node);

-- One row: whether what changed is known, or everything has to be read.
create table if not exists identity.identify_state (
    only_row boolean primary key default true check (only_row),
    is_full_needed boolean not null default true,
    -- the limits of dbt_project.yml that identifiers were judged by last
    limits text,
    first_built_at timestamptz,
    last_built_at timestamptz
);
alter table identity.identify_state
add column if not exists are_all_touched boolean not null default true;
insert into identity.identify_state default values on conflict do nothing;

-- (Texts have the database's collation, like the models' columns: an index serves no
-- comparison of two collations.)

-- How each changed node and edge was since `identify` last looked. What they are now is
-- in the models; the difference is the work of the next run. Naming too much costs time
-- and changes nothing: a station may be run again as often as it likes.
create table if not exists identity.changed_nodes (
    node_id bigint primary key,
    kind text not null,
    identifier text not null,
    was_first_seen_at timestamptz
);
create table if not exists identity.changed_edges (
    left_node bigint not null,
    right_node bigint not null,
    was_joining boolean not null,
    -- NULL: a row went, and others of the pair may stand
    is_joining boolean,
    primary key (left_node, right_node)
);

-- Identifiers whose evidence changed: int_identifiers and identity_edges judge them
-- again. Emptied by `identify`.
create table if not exists identity.changed_identifiers (
    kind text not null,
    identifier text not null,
    primary key (identifier, kind)
);

-- Persons, by their node then or now, whose identifiers `identify` may have changed since
-- int_person_identifiers was written last; identify_state.are_all_touched: anybody's.
create table if not exists identity.touched_persons (
    person_node bigint primary key
);

-- What the seed identity_rules named when identity was judged last.
create table if not exists identity.rules_applied (
    kind text not null,
    identifier text not null,
    primary key (identifier, kind)
);

-- What became of persons: born, merged, renamed, split, gone. Persons of the first build
-- have no row of birth.
create table if not exists identity.person_events (
    event_id bigint generated always as identity primary key,
    person_id text not null,
    event text not null
    check (event in ('born', 'merged', 'renamed', 'split', 'gone')),
    other_person_id text,
    happened_at timestamptz not null default clock_timestamp(),
    check ((other_person_id is null) = (event in ('born', 'gone')))
);
create index if not exists person_events_by_person
on identity.person_events (person_id);

-- Components that outgrew the limit, with the edges that made them so.
create table if not exists identity.large_persons (
    person_node bigint not null,
    person_id text not null,
    identifiers bigint not null,
    position integer not null,
    left_kind text not null,
    left_id text not null,
    right_kind text not null,
    right_id text not null,
    evidence text not null,
    cuts_off bigint not null,
    found_at timestamptz not null default clock_timestamp(),
    primary key (person_node, position)
);

-- What was measured where the truth is known, for the mart `accuracy`.
create table if not exists identity.measured_accuracy (
    subject text not null,
    metric text not null,
    value numeric,
    details text,
    measured_at timestamptz not null default clock_timestamp(),
    primary key (subject, metric)
);

create or replace function identity.note_changed_nodes() returns trigger
language plpgsql
as $$
begin
    if tg_op in ('DELETE', 'UPDATE') then
        insert into identity.changed_nodes
        select node_id, kind, identifier, first_seen_at from gone
        on conflict do nothing;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        insert into identity.changed_nodes
        select node_id, kind, identifier, null from come
        on conflict do nothing;
    end if;
    return null;
end
$$;

create or replace function identity.note_changed_edges() returns trigger
language plpgsql
as $$
begin
    if tg_op in ('DELETE', 'UPDATE') then
        insert into identity.changed_edges as noted
        select left_node, right_node, bool_or(is_joining), null
        from gone
        group by left_node, right_node
        on conflict (left_node, right_node) do update
            set
                was_joining = noted.was_joining or excluded.was_joining,
                is_joining = null;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        insert into identity.changed_edges as noted
        select left_node, right_node, false, bool_or(is_joining)
        from come
        group by left_node, right_node
        on conflict (left_node, right_node) do update
            set is_joining = nullif(
                excluded.is_joining or coalesce(noted.is_joining, false), false
            );
    end if;
    return null;
end
$$;

create or replace function identity.note_changed_identifiers() returns trigger
language plpgsql
as $$
begin
    if tg_op in ('DELETE', 'UPDATE') then
        insert into identity.changed_identifiers
        select left_kind, left_id from gone
        union
        select right_kind, right_id from gone where right_id is not null
        on conflict do nothing;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        insert into identity.changed_identifiers
        select left_kind, left_id from come
        union
        select right_kind, right_id from come where right_id is not null
        on conflict do nothing;
    end if;
    return null;
end
$$;

-- Begin to note the changes of a table from now on; everything before is unknown.
create or replace procedure identity.note_changes(target regclass, what text)
language plpgsql
as $$
declare
    operation text;
begin
    foreach operation in array array['insert', 'update', 'delete'] loop
        execute format(
            'create or replace trigger %I after %s on %s referencing %s '
            'for each statement execute function identity.%I()',
            'note_' || operation, operation, target,
            case operation
                when 'insert' then 'new table as come'
                when 'delete' then 'old table as gone'
                else 'old table as gone new table as come'
            end,
            'note_changed_' || what
        );
    end loop;
    update identity.identify_state set is_full_needed = true
    where what in ('nodes', 'edges');
end
$$;

-- functions above are called by whoever owns the tables, and by nobody else
revoke all on procedure identity.note_changes(regclass, text) from public;

reset role;
