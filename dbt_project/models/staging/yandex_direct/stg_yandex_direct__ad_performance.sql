-- The platform's own words end here: every ad platform has this model, with the same
-- columns.
with

costs as (

    select * from {{ ref('stg_yandex_direct__keyword_performance') }}

),

campaign_days as (

    select * from {{ ref('stg_yandex_direct__campaign_performance') }}

),

campaigns as (

    select * from {{ ref('stg_yandex_direct__campaigns') }}

),

ad_groups as (

    select * from {{ ref('stg_yandex_direct__ad_groups') }}

),

-- the report bears the name the campaign had when the day was read last
names_by_day as (

    select
        account_id,
        spend_date,
        campaign_id,
        max(campaign_name) as campaign_name
    from campaign_days
    group by account_id, spend_date, campaign_id

),

performance as (

    select
        costs.account_id,
        costs.record_key as platform_key,
        costs.spend_date,
        costs.campaign_id,
        costs.ad_group_id,
        ad_groups.ad_group_name,
        costs.ad_id,
        costs.criterion_id as keyword_id,
        costs.criterion as keyword,
        costs.currency_code,
        costs.vat_included,
        'yandex_direct' as platform,
        coalesce(names_by_day.campaign_name, campaigns.campaign_name) as campaign_name,
        case costs.network when 'SEARCH' then 'search' else 'network' end as placement,
        case costs.device when 'SMART_TV' then 'tv' else lower(costs.device) end
            as device,
        case costs.network
            when 'SEARCH' then 'yandex_direct_search'
            else 'yandex_direct_network'
        end as channel,
        coalesce(costs.impressions, 0) as impressions,
        coalesce(costs.clicks, 0) as clicks,
        coalesce(costs.spend_amount, 0) as spend_amount
    from costs
    left join names_by_day
        on
            costs.account_id = names_by_day.account_id
            and costs.spend_date = names_by_day.spend_date
            and costs.campaign_id = names_by_day.campaign_id
    left join campaigns
        on
            costs.account_id = campaigns.account_id
            and costs.campaign_id = campaigns.campaign_id
    left join ad_groups
        on
            costs.account_id = ad_groups.account_id
            and costs.ad_group_id = ad_groups.ad_group_id

)

select * from performance
