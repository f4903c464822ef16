{{ config(indexes=[{'columns': ['spend_date', 'campaign_id']}]) }}

with

performance as (
    {% for platform in var('ad_platforms') %}
    select * from {{ ref('stg_' ~ platform ~ '__ad_performance') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

vat_rates as (

    select * from {{ ref('vat_rates') }}

),

spend as (

    select
        {{ surrogate_key(
            ['performance.platform', 'performance.account_id', 'performance.platform_key']
        ) }} as ad_spend_id,
        performance.spend_date,
        performance.platform,
        performance.account_id,
        performance.campaign_id,
        performance.campaign_name,
        performance.ad_group_id,
        performance.ad_group_name,
        performance.ad_id,
        performance.keyword_id,
        performance.keyword,
        coalesce(
            performance.keyword_id, {{ keyword_text('performance.keyword') }}
        ) as keyword_key,
        performance.placement,
        performance.device,
        performance.impressions,
        performance.clicks,
        {{ without_vat(
            'performance.spend_amount', 'performance.vat_included', 'vat_rates.rate'
        ) }}::numeric(18, 6) as spend_amount,
        {{ with_vat(
            'performance.spend_amount', 'performance.vat_included', 'vat_rates.rate'
        ) }}::numeric(18, 6) as spend_amount_with_vat,
        performance.currency_code,
        performance.channel
    from performance
    left join vat_rates
        on performance.spend_date between vat_rates.valid_from and vat_rates.valid_to

)

select * from spend
