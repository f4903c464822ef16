with

ad_spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

with_marks as (

    select
        spend_date as cost_date,
        channel,
        platform,
        account_id,
        campaign_id,
        placement,
        currency_code,
        impressions,
        clicks,
        spend_amount,
        spend_amount_with_vat,
        coalesce(ad_group_id, '(none)') as ad_group_id,
        coalesce(keyword_key, '(none)') as keyword_key
    from ad_spend

),

summed as (

    select
        cost_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        currency_code,
        cast(sum(impressions) as bigint) as impressions,
        cast(sum(clicks) as bigint) as clicks,
        cast(sum(spend_amount) as numeric(18, 6)) as cost_amount,
        cast(sum(spend_amount_with_vat) as numeric(18, 6)) as cost_amount_with_vat
    from with_marks
    group by
        cost_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        currency_code

)

select * from summed
