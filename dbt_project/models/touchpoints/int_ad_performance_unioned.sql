{{ config(materialized='view') }}

{% set columns = [
    'platform', 'account_id', 'platform_key', 'spend_date', 'campaign_id',
    'campaign_name', 'ad_group_id', 'ad_group_name', 'ad_id', 'keyword_id', 'keyword',
    'placement', 'device', 'channel', 'impressions', 'clicks', 'spend_amount',
    'currency_code', 'vat_included',
] %}

with

of_platforms as (

    {{ union_of(
        'ad_performance', var('ad_platforms'),
        columns + ['null::text as source_name', 'null::text as medium'],
    ) }}

),

-- what people write down has a source and a medium in place of a platform's channel
written_down as (

    {{ union_of(
        'ad_performance', var('manual_cost_sources'),
        columns + ['source as source_name', 'medium'],
    ) }}

)

select * from of_platforms
union all
select * from written_down
