-- Per day: touchpoints that are visits, and calls, are counted once each.
with

visits as (

    select * from {{ ref('int_visits') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

traffic as (

    select * from {{ ref('fct_traffic_daily') }}

),

figures as (

    select
        visit_date as traffic_date,
        1 as staged_visits,
        0 as staged_calls,
        0 as shown_visits,
        0 as shown_calls
    from visits
    union all
    select
        call_date as traffic_date,
        0 as staged_visits,
        1 as staged_calls,
        0 as shown_visits,
        0 as shown_calls
    from calls
    union all
    select
        traffic_date,
        0 as staged_visits,
        0 as staged_calls,
        visits as shown_visits,
        calls as shown_calls
    from traffic

),

compared as (

    select
        traffic_date,
        sum(staged_visits) as staged_visits,
        sum(shown_visits) as shown_visits,
        sum(staged_calls) as staged_calls,
        sum(shown_calls) as shown_calls
    from figures
    group by traffic_date

)

select * from compared
where staged_visits <> shown_visits or staged_calls <> shown_calls
