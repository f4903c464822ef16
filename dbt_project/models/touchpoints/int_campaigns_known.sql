-- Every campaign with each name it had, and the days on which it bore it.
with

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

listed as (

    select * from {{ ref('stg_yandex_direct__campaigns') }}

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
    select
        'yandex_direct' as platform,
        account_id,
        campaign_id,
        campaign_name,
        -- today's name, also of a campaign that has not cost anything yet
        start_date as named_on
    from listed

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
