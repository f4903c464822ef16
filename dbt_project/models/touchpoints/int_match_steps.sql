with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where platform is not null

),

keyword_days as (

    select * from {{ ref('int_keyword_days') }}

),

steps as (

    select
        touchpoints.touch_date,
        touchpoints.platform,
        touchpoints.touch_kind,
        touchpoints.match_step,
        count(*) as touches_count,
        count(touchpoints.keyword_key) as with_keyword_count,
        count(keyword_days.spend_date) as with_cost_count
    from touchpoints
    left join keyword_days
        on
            touchpoints.touch_date = keyword_days.spend_date
            and touchpoints.platform = keyword_days.platform
            and touchpoints.account_id = keyword_days.account_id
            and touchpoints.campaign_id = keyword_days.campaign_id
            and coalesce(touchpoints.ad_group_id, '')
            = coalesce(keyword_days.ad_group_id, '')
            and coalesce(touchpoints.keyword_key, '')
            = coalesce(keyword_days.keyword_key, '')
            and touchpoints.placement = keyword_days.placement
    group by
        touchpoints.touch_date,
        touchpoints.platform,
        touchpoints.touch_kind,
        touchpoints.match_step

)

select * from steps
