-- How likely it is that a call came from the browser that its number was shown to. A
-- log of leases tells it; without one, visits that were open then and the size of the
-- pool tell how many others may have held the number.
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

leases as (

    {{ number_leases() }}

),

tracked as (

    select
        source,
        account_id,
        record_key,
        shown_by,
        browser,
        ym_client_id,
        visitor_id,
        phone_number,
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
        {{ nearness('visit_hours.ended_at', 'tracked.called_at') }} as weight
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

-- one lease may stand in two files: open in one, ended in a later one
shown as (

    select
        phone_number,
        ym_client_id,
        visitor_id,
        shown_from,
        coalesce(max(shown_to), shown_from + interval '1 day') as shown_to
    from leases
    {%- if is_incremental() %}
    where
        shown_from >= (select min(tracked.called_at) from tracked)
        - make_interval(days => {{ var('number_lease_days') }} + 1)
        and shown_from <= (select max(tracked.called_at) from tracked)
    {%- endif %}
    group by phone_number, ym_client_id, visitor_id, shown_from

),

-- a lease stands in each hour in which it may be called from
shown_hours as (

    select
        shown.phone_number,
        shown.ym_client_id,
        shown.visitor_id,
        shown.shown_from,
        shown.shown_to,
        hours.in_hour
    from shown
    cross join lateral generate_series(
        date_trunc('hour', shown.shown_from),
        shown.shown_to
        + make_interval(mins => {{ var('contact_after_visit_minutes') }}),
        interval '1 hour'
    ) as hours (in_hour)

),

-- the browsers that held the number of a call when it came
holders as (

    select
        tracked.source,
        tracked.account_id,
        tracked.record_key,
        coalesce(shown_hours.ym_client_id, shown_hours.visitor_id) as holder,
        bool_or(
            coalesce(shown_hours.ym_client_id = tracked.ym_client_id, false)
            or coalesce(shown_hours.visitor_id = tracked.visitor_id, false)
        ) as is_own,
        -- the log and the call name browsers in the same way
        bool_or(
            (shown_hours.ym_client_id = tracked.ym_client_id) is not null
            or (shown_hours.visitor_id = tracked.visitor_id) is not null
        ) as is_comparable,
        bool_or(shown_hours.shown_to >= tracked.called_at) as is_open,
        max({{ nearness('shown_hours.shown_to', 'tracked.called_at') }}) as weight
    from tracked
    inner join shown_hours
        on
            tracked.phone_number = shown_hours.phone_number
            and tracked.in_hour = shown_hours.in_hour
    where
        shown_hours.shown_from <= tracked.called_at
        and shown_hours.shown_to
        + make_interval(mins => {{ var('contact_after_visit_minutes') }})
        >= tracked.called_at
    group by tracked.source, tracked.account_id, tracked.record_key, holder

),

-- of a holder that cannot be told from the caller's browser nothing is known
known as (

    select
        source,
        account_id,
        record_key,
        coalesce(sum(weight) filter (where is_own), 0) / sum(weight) as confidence,
        count(*) filter (where not is_own and is_open) as others_open
    from holders
    group by source, account_id, record_key
    having bool_or(is_own) or bool_and(is_comparable)

),

rated as (

    select
        weighed.source,
        weighed.account_id,
        weighed.record_key,
        weighed.call_date,
        pools.pool_size,
        coalesce(known.others_open, weighed.others_open) as others_open,
        case when known.confidence is null then 'estimated' else 'leases' end as basis,
        -- a visit that the counter did not see contradicts nobody
        case
            when known.confidence is not null then round(known.confidence::numeric, 3)
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
    left join known
        on
            weighed.source = known.source
            and weighed.account_id = known.account_id
            and weighed.record_key = known.record_key

)

select * from rated
