-- The platform's own words end here: every ad platform has this model, with the same
-- columns.
with

costs as (

    select * from {{ ref('stg_vk_ads__banner_statistics') }}

),

ads as (

    select * from {{ ref('stg_vk_ads__banners') }}

),

ad_groups as (

    select * from {{ ref('stg_vk_ads__ad_groups') }}

),

campaigns as (

    select * from {{ ref('stg_vk_ads__ad_plans') }}

),

performance as (

    select
        costs.account_id,
        costs.record_key as platform_key,
        costs.spend_date,
        ad_groups.campaign_id,
        campaigns.campaign_name,
        ads.ad_group_id,
        ad_groups.ad_group_name,
        costs.ad_id,
        null::text as keyword_id,
        null::text as keyword,
        costs.currency_code,
        costs.vat_included,
        null::text as device,
        ads.ad_name,
        'vk_ads' as platform,
        'vk' as placement,
        'vk_ads' as channel,
        coalesce(costs.impressions, 0) as impressions,
        coalesce(costs.clicks, 0) as clicks,
        coalesce(costs.spend_amount, 0) as spend_amount
    from costs
    left join ads
        on costs.account_id = ads.account_id and costs.ad_id = ads.ad_id
    left join ad_groups
        on
            ads.account_id = ad_groups.account_id
            and ads.ad_group_id = ad_groups.ad_group_id
    left join campaigns
        on
            ad_groups.account_id = campaigns.account_id
            and ad_groups.campaign_id = campaigns.campaign_id

)

select * from performance
