with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

visits_and_calls as (

    select
        touch_date as traffic_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        1 as visits,
        0 as calls,
        0 as unique_target_calls
    from touchpoints
    where touch_kind = 'visit'
    union all
    select
        call_date as traffic_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        0 as visits,
        1 as calls,
        cast(is_unique_target as integer) as unique_target_calls
    from calls

),

with_marks as (

    select
        traffic_date,
        channel,
        visits,
        calls,
        unique_target_calls,
        coalesce(platform, '(none)') as platform,
        coalesce(account_id, '(none)') as account_id,
        coalesce(campaign_id, '(none)') as campaign_id,
        coalesce(ad_group_id, '(none)') as ad_group_id,
        coalesce(keyword_key, '(none)') as keyword_key,
        coalesce(placement, '(none)') as placement
    from visits_and_calls

),

summed as (

    select
        traffic_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(visits) as visits,
        sum(calls) as calls,
        sum(unique_target_calls) as unique_target_calls
    from with_marks
    group by
        traffic_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement

)

select * from summed
