-- How likely it is that a call came from the browser that its number was shown to. No
-- source keeps a log of who was shown which number when: visits that were open then and
-- the size of the pool tell how many others may have held it.
{{ config(
    tags=['identifiers'],
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['source', 'account_id', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['account_id', 'record_key', 'source'], 'unique': true},
        {'columns': ['call_date']},
    ],
    pre_hook="{{ remove_rated_calls() }}"
) }}

with

calls as (

    {{ held_by('calls') }}

),

visits as (

    {{ held_by('visits') }}

),

tracked as (

    select
        source,
        account_id,
        record_key,
        shown_by,
        browser,
        called_at,
        call_date,
        date_trunc('hour', called_at) as in_hour
    from calls
    where browser is not null and called_at is not null

),

-- numbers that the tracker showed to visitors that day; static ones have no browser
pools as (

    select
        source,
        account_id,
        call_date,
        count(distinct phone_number) as pool_size
    from calls
    where browser is not null
    group by source, account_id, call_date

),

-- a visit stands in each hour in which it may be called from
visit_hours as (

    select
        visits.shown_by,
        visits.browser,
        visits.started_at,
        visits.ended_at,
        date_trunc('hour', visits.started_at)
        + make_interval(hours => hours_later) as in_hour
    from visits
    cross join generate_series(0, 5) as hours_later
    where
        date_trunc('hour', visits.started_at) + make_interval(hours => hours_later)
        <= visits.ended_at
        + make_interval(mins => {{ var('contact_after_visit_minutes') }})
        and {{ is_near_rated('visits.visit_date') }}

),

-- people call while they read; after a visit its number goes to others. An open page is
-- 1, one closed some minutes ago much less.
near as (

    select
        tracked.source,
        tracked.account_id,
        tracked.record_key,
        tracked.call_date,
        coalesce(visit_hours.browser = tracked.browser, false) as is_own,
        (visit_hours.ended_at >= tracked.called_at) as is_open,
        case
            when visit_hours.ended_at >= tracked.called_at then 1
            else 0.1 * exp(
                -extract(epoch from tracked.called_at - visit_hours.ended_at) / 300
            )
        end as weight
    from tracked
    left join visit_hours
        on
            tracked.in_hour = visit_hours.in_hour
            and tracked.shown_by = visit_hours.shown_by
            and tracked.called_at >= visit_hours.started_at
            and tracked.called_at <= visit_hours.ended_at
            + make_interval(mins => {{ var('contact_after_visit_minutes') }})

),

weighed as (

    select
        source,
        account_id,
        record_key,
        call_date,
        coalesce(max(weight) filter (where is_own), 0) as own_weight,
        coalesce(sum(weight) filter (where not is_own), 0) as other_weight,
        count(*) filter (where not is_own and is_open) as others_open
    from near
    group by source, account_id, record_key, call_date

),

rated as (

    select
        weighed.source,
        weighed.account_id,
        weighed.record_key,
        weighed.call_date,
        pools.pool_size,
        weighed.others_open,
        -- a visit that the counter did not see contradicts nobody
        case
            when weighed.own_weight = 0 then 1
            else
                round(
                    (
                        weighed.own_weight
                        / (weighed.own_weight + weighed.other_weight / pools.pool_size)
                    )::numeric,
                    3
                )
        end::real as confidence
    from weighed
    inner join pools
        on
            weighed.source = pools.source
            and weighed.account_id = pools.account_id
            and weighed.call_date = pools.call_date

)

select * from rated
