with

events as (

    select * from {{ source('identity', 'person_history') }}

),

history as (

    select
        event_id,
        person_id,
        event,
        other_person_id,
        {{ reporting_date('happened_at') }} as happened_date,
        happened_at
    from events

)

select * from history
