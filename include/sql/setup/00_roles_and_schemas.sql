-- Roles and schemas: each step of the line connects as its own role.
-- Applied by `python -m pipeline setup` as a superuser; running it again changes
-- nothing. Passwords are set by that command, never written here.

do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (
            values
                -- owns raw, pii and ops; nobody logs in as it
                ('migrator', 'nologin'),
                -- lands what the vendors answer, tokens in place of contacts
                ('loader', 'login'),
                -- dbt, identify and the checks
                ('transformer', 'login'),
                -- moves the pointers
                ('publisher', 'login'),
                -- dashboards and analysts
                ('bi', 'login'),
                -- clear contacts, for a named person and a stated reason
                ('pii_reader', 'nologin')
        ) as roles (name, login)
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            begin
                execute format(
                    'create role %I %s nosuperuser nocreatedb nocreaterole',
                    wanted.name, wanted.login
                );
            exception when duplicate_object or unique_violation then
                null; -- roles belong to the server: another database was first
            end;
        end if;
        -- on a managed server the administrator is no superuser and must be a
        -- member of a role to hand it ownership
        if not pg_has_role(current_user, wanted.name, 'member') then
            execute format('grant %I to current_user', wanted.name);
        end if;
    end loop;
end
$$;

do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format(
        'grant connect on database %I to loader, transformer, publisher, bi, '
        'pii_reader', current_database()
    );
    execute format(
        'grant temporary on database %I to loader, transformer, publisher',
        current_database()
    );
    -- every timestamp that is printed or cast is UTC; the plans of our queries are
    -- short, so compiling them costs more than it saves
    execute format('alter database %I set timezone to ''UTC''', current_database());
    execute format('alter database %I set jit to off', current_database());
    -- models and checks sort and hash whole histories: with 4 MB they do it on disk
    execute format(
        'alter role transformer in database %I set work_mem to ''64MB''',
        current_database()
    );
    execute format(
        'alter role bi in database %I set default_transaction_read_only to on',
        current_database()
    );
    execute format(
        'alter role bi in database %I set statement_timeout to ''60s''',
        current_database()
    );
end
$$;

revoke all on schema public from public;

create schema if not exists raw authorization migrator;
create schema if not exists pii authorization migrator;
create schema if not exists ops authorization migrator;
create schema if not exists staging authorization transformer;
create schema if not exists identity authorization transformer;
create schema if not exists touchpoints authorization transformer;
create schema if not exists attribution authorization transformer;
create schema if not exists marts_next authorization transformer;
create schema if not exists marts_store authorization publisher;
create schema if not exists marts authorization publisher;

-- raw: the loader writes, the transformer reads
grant usage on schema raw to loader, transformer;
alter default privileges for role migrator in schema raw
grant select, insert, update, delete on tables to loader;
alter default privileges for role migrator in schema raw
grant select on tables to transformer;

-- pii: the loader writes; nobody else who runs every day may look
grant usage on schema pii to loader, pii_reader;
alter default privileges for role migrator in schema pii
grant select, insert, update, delete on tables to loader;
alter default privileges for role migrator in schema pii
grant select on tables to pii_reader;
alter default privileges for role migrator in schema pii
grant usage on sequences to loader;

-- ops: the steps read all of it; what each may write is granted table by table
grant usage on schema ops to loader, transformer, publisher;
alter default privileges for role migrator in schema ops
grant select on tables to loader, transformer, publisher;
alter default privileges for role migrator in schema ops
grant usage on sequences to loader, transformer, publisher;

-- identity.token_facts is the one table there that the loader writes
grant usage, create on schema identity to migrator;
grant usage on schema identity to loader;

-- marts_next → marts_store and marts → bi
grant usage on schema marts_next to publisher;
alter default privileges for role transformer in schema marts_next
grant select on tables to publisher;
-- the gate compares what would be shown with what is shown
grant usage on schema marts_store, marts to transformer;
alter default privileges for role publisher in schema marts_store
grant select on tables to transformer;
alter default privileges for role publisher in schema marts
grant select on tables to transformer, bi;
grant usage on schema marts to bi;
