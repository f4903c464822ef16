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
declare
    older record;
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
    for older in
        select *
        from (
            values ('int_person_identifiers', 'person_node'), ('int_call_confidence', 'basis')
        ) as shapes (name, lacks)
    loop
        if to_regclass('identity.' || older.name) is not null and not exists (
            select from pg_attribute
            where
                attrelid = to_regclass('identity.' || older.name)
                and attname = older.lacks
        ) then
            execute format('drop table identity.%I cascade', older.name);
        end if;
    end loop;
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
--
-- A table of all nodes that a run changed in place would cost by its size: the rows of a
-- merged person lie anywhere. So it stands as everything was read last, and two small
-- ones say what became different since; the view node_persons puts the three together.
-- When they grow too large `identify` reads everything again, and they are empty.
do $$
begin
    if exists (
        select from pg_class
        where oid = to_regclass('identity.node_persons') and relkind = 'r'
    ) then
        alter table identity.node_persons rename to node_persons_built;
        drop index identity.node_persons_key, identity.node_persons_by_person;
    end if;
end
$$;
create table if not exists identity.node_persons_built (
    node_id bigint not null,
    person_node bigint not null
);
create unique index if not exists node_persons_built_key
on identity.node_persons_built (node_id) include (person_node);
create index if not exists node_persons_built_by_person
on identity.node_persons_built (person_node) include (node_id);

-- Nodes that are new, or moved by themselves (NULL: to nobody).
create table if not exists identity.node_persons_moved (
    node_id bigint primary key,
    person_node bigint
);
create index if not exists node_persons_moved_by_person
on identity.node_persons_moved (person_node);

-- Persons that became part of another as a whole; nobody's rows above were touched. No
-- person of today has a row, and none leads to a person that has one.
create table if not exists identity.person_merges (
    person_node bigint primary key,
    into_node bigint not null
);
create index if not exists person_merges_by_other
on identity.person_merges (into_node);

-- Persons of more than 20 identifiers, as everything was read last: whoever is not here
-- and gained little since then has not grown large.
create table if not exists identity.person_sizes (
    person_node bigint primary key,
    identifiers bigint not null
);

create or replace view identity.node_persons as
select
    built.node_id,
    coalesce(person_merges.into_node, built.person_node) as person_node
from identity.node_persons_built as built
left join identity.person_merges on built.person_node = person_merges.person_node
where not exists (
    select from identity.node_persons_moved as moved
    where moved.node_id = built.node_id
)
union all
select
    moved.node_id,
    coalesce(person_merges.into_node, moved.person_node) as person_node
from identity.node_persons_moved as moved
left join identity.person_merges on moved.person_node = person_merges.person_node
where moved.person_node is not null;

-- The nodes of persons, by indexes whatever their number; who became part of another has
-- none. `row_person` is what the node's row says, before merges.
create or replace function identity.nodes_of_persons(persons bigint [])
returns table (node_id bigint, row_person bigint, person_node bigint)
language sql stable
as $$
    with asked as (
        select named.person_node as row_person, named.person_node
        from unnest(persons) as named (person_node)
        where not exists (
            select from identity.person_merges
            where person_merges.person_node = named.person_node
        )
        union all
        select person_node, into_node
        from identity.person_merges
        where into_node = any(persons)
    )

    select built.node_id, asked.row_person, asked.person_node
    from asked
    inner join identity.node_persons_built as built
        on asked.row_person = built.person_node
    where not exists (
        select from identity.node_persons_moved as moved
        where moved.node_id = built.node_id
    )
    union all
    select moved.node_id, asked.row_person, asked.person_node
    from asked
    inner join identity.node_persons_moved as moved
        on asked.row_person = moved.person_node
$$;

-- The persons of nodes, by indexes whatever their number; NULL where a node has none.
create or replace function identity.persons_of_nodes(nodes bigint [])
returns table (node_id bigint, person_node bigint)
language sql stable
as $$
    select
        asked.node_id,
        coalesce(person_merges.into_node, found.row_person) as person_node
    from unnest(nodes) as asked (node_id)
    left join identity.node_persons_moved as moved on asked.node_id = moved.node_id
    left join identity.node_persons_built as built on asked.node_id = built.node_id
    cross join lateral (
        select case
            when moved.node_id is null then built.person_node else moved.person_node
        end as row_person
    ) as found
    left join identity.person_merges on found.row_person = person_merges.person_node
$$;

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
add column if not exists are_all_touched boolean not null default true,
-- rows written to node_persons_moved and person_merges since everything was read
add column if not exists rows_since_built bigint not null default 0;
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
-- int_person_identifiers was written last, some of them more than once;
-- identify_state.are_all_touched: anybody's.
create table if not exists identity.touched_persons (
    person_node bigint not null
);

-- Identifiers that are or were shared and were judged again since then.
create table if not exists identity.touched_shared (
    kind text not null,
    identifier text not null,
    primary key (identifier, kind)
);

-- What the seed identity_rules named when identity was judged last.
create table if not exists identity.rules_applied (
    kind text not null,
    identifier text not null,
    primary key (identifier, kind)
);

-- What became of persons: born, merged, renamed, split, gone. Persons of the first build
-- have no row of birth. The view person_history gives their texts.
create table if not exists identity.former_nodes (
    node_id bigint primary key,
    kind text not null,
    identifier text not null
);
comment on table identity.former_nodes is
'Persons that ever were whose identifier no record shows any more.';
create index if not exists former_nodes_by_identifier
on identity.former_nodes (identifier, kind);

-- texts instead of numbers: an older shape
do $$
begin
    if exists (
        select from pg_attribute
        where
            attrelid = to_regclass('identity.person_events')
            and attname = 'person_id'
    ) then
        alter table identity.person_events rename to person_events_before;
        alter index identity.person_events_pkey rename to person_events_before_pkey;
        drop index identity.person_events_by_person;
    end if;
end
$$;
create table if not exists identity.person_events (
    event_id bigint generated always as identity primary key,
    person_node bigint not null,
    event text not null
    check (event in ('born', 'merged', 'renamed', 'split', 'gone')),
    other_node bigint,
    happened_at timestamptz not null default clock_timestamp(),
    check ((other_node is null) = (event in ('born', 'gone')))
);
create index if not exists person_events_by_person
on identity.person_events (person_node);
do $$
begin
    if to_regclass('identity.person_events_before') is null then
        return;
    end if;
    create temp table texts on commit drop as
    select distinct
        person_id,
        split_part(person_id, ':', 1) as kind,
        substr(person_id, strpos(person_id, ':') + 1) as identifier,
        null::bigint as node_id,
        false as is_former
    from (
        select person_id from identity.person_events_before
        union
        select other_person_id from identity.person_events_before
    ) as named
    where person_id is not null;
    if to_regclass('identity.int_identifiers') is not null then
        update texts set node_id = known.node_id
        from identity.int_identifiers as known
        where texts.kind = known.kind and texts.identifier = known.identifier;
    end if;
    update texts
    set
        node_id = nextval('identity.node_serials') * 64 + node_kinds.code,
        is_former = true
    from identity.node_kinds
    where texts.node_id is null and texts.kind = node_kinds.kind;
    insert into identity.former_nodes (node_id, kind, identifier)
    select node_id, kind, identifier from texts
    where is_former;
    insert into identity.person_events (person_node, event, other_node, happened_at)
    select persons.node_id, events.event, others.node_id, events.happened_at
    from identity.person_events_before as events
    inner join texts as persons on events.person_id = persons.person_id
    left join texts as others on events.other_person_id = others.person_id
    order by events.event_id;
    drop table identity.person_events_before;
end
$$;

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
        insert into identity.touched_shared
        select kind, identifier from gone where standing = 'shared'
        on conflict do nothing;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        insert into identity.changed_nodes
        select node_id, kind, identifier, null from come
        on conflict do nothing;
        insert into identity.touched_shared
        select kind, identifier from come where standing = 'shared'
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
