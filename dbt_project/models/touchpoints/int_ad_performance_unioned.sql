{{ config(materialized='view') }}

with

performance as (
    {% for platform in var('ad_platforms') + var('manual_cost_sources') %}
    select
        platform,
        account_id,
        platform_key,
        spend_date,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        ad_id,
        keyword_id,
        keyword,
        placement,
        device,
        {{ 'channel, null::text as source, null::text as medium'
            if platform in var('ad_platforms') else 'channel, source, medium' }},
        impressions,
        clicks,
        spend_amount,
        currency_code,
        vat_included
    from {{ ref('stg_' ~ platform ~ '__ad_performance') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from performance
