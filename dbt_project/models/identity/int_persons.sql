{{ config(tags=['persons'], materialized='view') }}

with

person_identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

persons as (

    select
        person_id,
        min(first_seen_at) as first_seen_at,
        count(*) as identifiers_count
    from person_identifiers
    where not is_shared
    group by person_id

)

select * from persons
