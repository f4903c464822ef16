-- Which names stand beside a phone, an e-mail or a browser: «Иван» may be the «Иван
-- Петров» beside him, «Анна» may not.
{{ config(
    tags=['identifiers'],
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['identifier', 'kind', 'name_token'], 'unique': true}],
    pre_hook=["{{ note_changed_rules() }}", "{{ remove_changed('kind', 'identifier') }}"]
) }}

with

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

changed as (

    select * from {{ source('identity', 'changed_identifiers') }}

),

name_facts as (

    select * from {{ source('identity', 'token_facts') }}
    where kind = 'name' and not is_placeholder

),

borne as (

    select distinct
        evidence.right_kind as kind,
        evidence.right_id as identifier,
        evidence.name_token,
        -- one whose words are unknown agrees with itself alone
        string_to_array(
            coalesce(name_facts.words, name_facts.token), ' '
        ) as words
    from evidence
    inner join name_facts on evidence.name_token = name_facts.token
    {{ only_changed('evidence.right_kind', 'evidence.right_id') }}
    where
        evidence.right_kind
        in ('phone', 'email', 'ym_client_id', 'ga_client_id', 'visitor')

),

counted as (

    select
        *,
        count(*) over (partition by kind, identifier) as names_count
    from borne

),

-- a longer name that holds all the words of this one
longer as (

    select
        short_names.kind,
        short_names.identifier,
        short_names.name_token,
        long_names.name_token as long_name_token
    from counted as short_names
    inner join counted as long_names
        on
            short_names.kind = long_names.kind
            and short_names.identifier = long_names.identifier
            and short_names.words <@ long_names.words
            and cardinality(short_names.words) < cardinality(long_names.words)
    -- so many names are nobody's own, whatever they are
    where short_names.names_count <= {{ var('identifier_max_contacts') }}

),

whole as (

    select
        counted.kind,
        counted.identifier,
        counted.name_token,
        counted.words
    from counted
    left join longer
        on
            counted.kind = longer.kind
            and counted.identifier = longer.identifier
            and counted.name_token = longer.name_token
    where longer.name_token is null

),

-- a name that could be one of two people's is neither's
meant as (

    select
        longer.kind,
        longer.identifier,
        longer.name_token,
        case when count(*) = 1 then min(longer.long_name_token) end
            as whole_name_token
    from longer
    inner join whole
        on
            longer.kind = whole.kind
            and longer.identifier = whole.identifier
            and longer.long_name_token = whole.name_token
    group by longer.kind, longer.identifier, longer.name_token

),

names as (

    select
        kind,
        identifier,
        name_token,
        name_token as whole_name_token,
        array_to_string(words, ' ') as words,
        true as is_whole
    from whole
    union all
    select
        kind,
        identifier,
        name_token,
        whole_name_token,
        null::text as words,
        false as is_whole
    from meant

)

select * from names
