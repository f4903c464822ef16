-- A sum for a period, spread evenly over its days. Each day gets what the days up to it
-- have together, rounded, less what the days before it have: so the days add up to the
-- sum, to the kopeck.
with

costs as (

    select * from {{ ref('stg_files__costs') }}

),

days as (

    select
        *,
        date_to - date_from + 1 as days_count,
        generate_series(0, date_to - date_from) as day_number
    from costs

),

performance as (

    select
        'files' as platform,
        account_id,
        record_key || '|' || day_number as platform_key,
        date_from + day_number as spend_date,
        null::text as campaign_id,
        campaign_name,
        null::text as ad_group_id,
        null::text as ad_group_name,
        null::text as ad_id,
        null::text as keyword_id,
        null::text as keyword,
        null::text as placement,
        null::text as device,
        null::text as channel,
        source,
        medium,
        {{ share_of_day('coalesce(impressions, 0)', 0) }}::bigint as impressions,
        {{ share_of_day('coalesce(clicks, 0)', 0) }}::bigint as clicks,
        {{ share_of_day('amount', 2) }} as spend_amount,
        currency_code,
        vat_included
    from days

)

select * from performance
