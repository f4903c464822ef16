-- Every campaign with each name it had, and the days on which it bore it.
with

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

direct_campaigns as (

    select * from {{ ref('stg_yandex_direct__campaigns') }}

),

google_campaigns as (

    select * from {{ ref('stg_google_ads__campaigns') }}

),

meta_campaigns as (

    select * from {{ ref('stg_meta_ads__campaigns') }}

),

vk_ad_plans as (

    select * from {{ ref('stg_vk_ads__ad_plans') }}

),

-- today's names, also of a campaign that has not cost anything yet
listed as (

    select
        'yandex_direct' as platform,
        account_id,
        campaign_id,
        campaign_name,
        start_date as named_on
    from direct_campaigns
    union all
    select
        'google_ads' as platform,
        account_id,
        campaign_id,
        campaign_name,
        null::date as named_on
    from google_campaigns
    union all
    select
        'meta_ads' as platform,
        account_id,
        campaign_id,
        campaign_name,
        null::date as named_on
    from meta_campaigns
    union all
    select
        'vk_ads' as platform,
        account_id,
        campaign_id,
        campaign_name,
        start_date as named_on
    from vk_ad_plans

),

named as (

    select
        platform,
        account_id,
        campaign_id,
        campaign_name,
        spend_date as named_on
    from spend
    union all
    select * from listed

),

placements as (

    select distinct on (platform, account_id, campaign_id)
        platform,
        account_id,
        campaign_id,
        placement
    from spend
    group by platform, account_id, campaign_id, placement
    order by
        platform asc, account_id asc, campaign_id asc, sum(clicks) desc, placement asc

),

known as (

    select
        named.platform,
        named.account_id,
        named.campaign_id,
        named.campaign_name,
        {{ name_text('named.campaign_name') }} as name_text,
        placements.placement,
        min(named.named_on) as named_from,
        max(named.named_on) as named_to
    from named
    left join placements
        on
            named.platform = placements.platform
            and named.account_id = placements.account_id
            and named.campaign_id = placements.campaign_id
    group by
        named.platform,
        named.account_id,
        named.campaign_id,
        named.campaign_name,
        placements.placement

),

latest as (

    select
        *,
        row_number() over (
            partition by platform, account_id, campaign_id
            order by named_to desc nulls last, campaign_name asc
        ) = 1 as is_latest_name
    from known

)

select * from latest
