{{ config(
    indexes=[{'columns': ['person_id']}],
    post_hook=[
        'create index on {{ this }} (person_id, touchpoint_id) where is_shared',
        "{{ note_path_changes(
            key=['touchpoint_id', 'person_id'], person='person_id', only='is_shared'
        ) }}",
    ]
) }}

with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

calls as (

    select * from {{ ref('int_calls_placed') }}

),

person_identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

own as (

    select
        touchpoint_id,
        person_id
    from touchpoints
    where person_id is not null

),

-- counted out first: few phones are shared, and the planner takes them for many
shared_phones as materialized (

    select
        person_id,
        identifier
    from person_identifiers
    where kind = 'phone' and is_shared

),

-- whoever of its holders used the shared phone
shared as (

    select distinct
        calls.touchpoint_id,
        shared_phones.person_id
    from calls
    inner join shared_phones on calls.caller_phone = shared_phones.identifier

),

candidates as (

    select
        touchpoint_id,
        person_id,
        false as is_shared
    from own
    union all
    select
        shared.touchpoint_id,
        shared.person_id,
        true as is_shared
    from shared
    left join own
        on
            shared.touchpoint_id = own.touchpoint_id
            and shared.person_id = own.person_id
    where own.touchpoint_id is null

)

select * from candidates
