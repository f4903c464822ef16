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

-- whoever of its holders used the shared phone
shared as (

    select distinct
        calls.touchpoint_id,
        person_identifiers.person_id
    from calls
    inner join person_identifiers
        on
            calls.caller_phone = person_identifiers.identifier
            and person_identifiers.kind = 'phone'
    where person_identifiers.is_shared

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
