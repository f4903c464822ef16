with

campaign_days as (

    select * from {{ ref('stg_vk_ads__ad_plan_statistics') }}

),

campaigns as (

    select * from {{ ref('stg_vk_ads__ad_plans') }}

),

performance as (

    select
        campaign_days.account_id,
        campaign_days.record_key,
        campaign_days.load_id,
        campaign_days.campaign_id,
        campaigns.campaign_name,
        campaigns.objective as campaign_type,
        campaign_days.currency_code,
        campaign_days.impressions,
        campaign_days.clicks,
        campaign_days.spend_amount,
        campaign_days.vat_included,
        campaign_days.spend_date,
        campaign_days.unreadable_columns
    from campaign_days
    left join campaigns
        on
            campaign_days.account_id = campaigns.account_id
            and campaign_days.campaign_id = campaigns.campaign_id

)

select * from performance
