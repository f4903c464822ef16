with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where platform is not null

),

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

cost_keys as (

    select distinct
        spend_date,
        platform,
        account_id,
        campaign_id,
        placement,
        coalesce(ad_group_id, '') as ad_group_id,
        coalesce(keyword_key, '') as keyword_key
    from spend

),

steps as (

    select
        touchpoints.touch_date,
        touchpoints.platform,
        touchpoints.touch_kind,
        touchpoints.match_step,
        count(*) as touches_count,
        count(touchpoints.keyword_key) as with_keyword_count,
        count(cost_keys.spend_date) as with_cost_count
    from touchpoints
    left join cost_keys
        on
            touchpoints.touch_date = cost_keys.spend_date
            and touchpoints.platform = cost_keys.platform
            and touchpoints.account_id = cost_keys.account_id
            and touchpoints.campaign_id = cost_keys.campaign_id
            and coalesce(touchpoints.ad_group_id, '') = cost_keys.ad_group_id
            and coalesce(touchpoints.keyword_key, '') = cost_keys.keyword_key
            and touchpoints.placement = cost_keys.placement
    group by
        touchpoints.touch_date,
        touchpoints.platform,
        touchpoints.touch_kind,
        touchpoints.match_step

)

select * from steps
