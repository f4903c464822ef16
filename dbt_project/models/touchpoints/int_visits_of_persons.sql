-- Whose each visit is, and until when a call or form still belongs to it.
{{ config(indexes=[
    {'columns': ['person_id', 'started_at']},
    {'columns': ['touchpoint_id'], 'unique': true},
]) }}

with

visits as (

    select * from {{ ref('int_visits_unioned') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

of_persons as (

    select
        visits.source,
        visits.account_id,
        visits.visit_id,
        visits.browser_id,
        visits.started_at,
        assigned.person_id,
        {{ visit_touchpoint_id('visits') }} as touchpoint_id,
        {{ contacts_until('visits') }} as contacts_until
    from visits
    left join assigned
        on
            visits.browser_kind = assigned.kind
            and visits.browser_id = assigned.identifier

)

select * from of_persons
