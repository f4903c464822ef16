with

ad_spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

-- the platform's own word for a keyword comes before that of a visit
seen as (

    select
        1 as source_rank,
        spend_date as seen_date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        keyword_key,
        keyword_id,
        keyword
    from ad_spend
    union all
    select
        2 as source_rank,
        touch_date as seen_date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        keyword_key,
        keyword_id,
        keyword
    from touchpoints
    union all
    select
        3 as source_rank,
        call_date as seen_date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        keyword_key,
        keyword_id,
        keyword
    from calls

),

-- sorting by names is dear and most are seen on many days: the last of them will do
with_marks as (

    select
        source_rank,
        max(seen_date) as seen_date,
        coalesce(platform, '(none)') as platform,
        coalesce(account_id, '(none)') as account_id,
        coalesce(campaign_id, '(none)') as campaign_id,
        coalesce(ad_group_id, '(none)') as ad_group_id,
        coalesce(keyword_key, '(none)') as keyword_key,
        coalesce(keyword_id, '(none)') as keyword_id,
        coalesce(campaign_name, campaign_id, '(none)') as campaign_name,
        coalesce(ad_group_name, ad_group_id, '(none)') as ad_group_name,
        coalesce(keyword, keyword_key, '(none)') as keyword
    from seen
    group by
        source_rank,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        keyword_key,
        keyword_id,
        keyword

),

-- the latest names, by the texts themselves when two came on one day
latest as (

    select distinct on (platform, account_id, campaign_id, ad_group_id, keyword_key)
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        keyword_id,
        campaign_name,
        ad_group_name,
        keyword
    from with_marks
    order by
        platform asc,
        account_id asc,
        campaign_id asc,
        ad_group_id asc,
        keyword_key asc,
        source_rank asc,
        seen_date desc,
        campaign_name asc,
        ad_group_name asc,
        keyword asc,
        keyword_id asc

),

-- results without a touch belong to no keyword
with_none as (

    select * from latest
    union
    select
        '(none)' as platform,
        '(none)' as account_id,
        '(none)' as campaign_id,
        '(none)' as ad_group_id,
        '(none)' as keyword_key,
        '(none)' as keyword_id,
        '(none)' as campaign_name,
        '(none)' as ad_group_name,
        '(none)' as keyword

)

select * from with_none
