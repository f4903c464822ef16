-- What `identify` gives a person to: all but the shared and the quarantined.
{{ config(tags=['identifiers']) }}

with

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

own as (

    select
        kind,
        identifier,
        first_seen_at
    from identifiers
    where standing in ('strong', 'joining')

)

select * from own
