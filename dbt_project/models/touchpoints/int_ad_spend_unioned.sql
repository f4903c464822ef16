{{ config(indexes=[{'columns': ['spend_date', 'campaign_id']}]) }}

with

performance as (

    select * from {{ ref('int_ad_performance_unioned') }}

),

-- what people write down has a source and a medium in place of a platform
channels as (

    select * from {{ ref('int_channels_by_source') }}

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
        -- what people write down has a name at most
        coalesce(
            performance.campaign_id, {{ name_text('performance.campaign_name') }},
            '(none)'
        ) as campaign_id,
        performance.campaign_name,
        performance.ad_group_id,
        performance.ad_group_name,
        performance.ad_id,
        performance.keyword_id,
        performance.keyword,
        coalesce(
            performance.keyword_id, {{ keyword_text('performance.keyword') }}
        ) as keyword_key,
        coalesce(performance.placement, '(none)') as placement,
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
        coalesce(performance.channel, channels.channel, 'other') as channel
    from performance
    left join channels
        on
            performance.channel is null
            and {{ manual_source_key('performance') }} = channels.source_key
    left join vat_rates
        on performance.spend_date between vat_rates.valid_from and vat_rates.valid_to

)

select * from spend
