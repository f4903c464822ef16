{{ config(indexes=[{'columns': ['person_id']}]) }}

with

visits as (

    select * from {{ ref('int_visits_unioned') }}

),

touches as (

    select * from {{ ref('int_touches_resolved') }}
    where touch_kind = 'visit'

),

resolved as (

    select
        visits.visit_id,
        visits.account_id as counter_account_id,
        visits.client_id,
        touches.person_id,
        touches.touchpoint_id,
        visits.started_at,
        visits.started_at + make_interval(secs => coalesce(visits.duration_s, 0))
            as ended_at,
        visits.visit_date,
        visits.duration_s::integer as duration_s,
        visits.page_views::integer as page_views,
        visits.is_bounce,
        visits.is_new_user,
        visits.traffic_source,
        visits.referer,
        visits.start_url,
        visits.utm_source,
        visits.utm_medium,
        visits.utm_campaign,
        visits.utm_content,
        visits.utm_term,
        visits.device,
        visits.city,
        {{ touch_columns('touches') }}
    from visits
    inner join touches
        on
            {{ visit_touchpoint_id('visits') }}
            = touches.touchpoint_id

)

select * from resolved
