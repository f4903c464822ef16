-- The platform's own words end here: every ad platform has this model, with the same
-- columns.
with

costs as (

    select * from {{ ref('stg_meta_ads__ad_insights') }}

),

performance as (

    select
        account_id,
        record_key as platform_key,
        spend_date,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        ad_id,
        null::text as keyword_id,
        null::text as keyword,
        currency_code,
        vat_included,
        publisher_platform as placement,
        null::text as device,
        ad_name,
        'meta_ads' as platform,
        case publisher_platform
            when 'facebook' then 'meta_facebook'
            when 'instagram' then 'meta_instagram'
            else 'meta_other'
        end as channel,
        coalesce(impressions, 0) as impressions,
        coalesce(clicks, 0) as clicks,
        coalesce(spend_amount, 0) as spend_amount
    from costs

)

select * from performance
