{{ staged_by_load('yandex_direct', 'placements') }}

with

landed as (

    select * from {{ source('yandex_direct', 'placements') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'yandex_direct'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('CampaignId', ['--']) }} as campaign_id,
        {{ cell('AdGroupId', ['--']) }} as ad_group_id,
        {{ cell('AdId', ['--']) }} as ad_id,
        {{ cell('Placement', ['--']) }} as site,
        {{ cell('AdNetworkType', ['--']) }} as network,
        {{ cell('Device', ['--']) }} as raw_device,
        {{ cell('Impressions', ['--']) }} as impressions,
        {{ cell('Clicks', ['--']) }} as clicks,
        {{ cell('Cost', ['--']) }} as spend_amount,
        {{ cell('Date', ['--']) }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        record_key as platform_key,
        campaign_id,
        ad_group_id,
        ad_id,
        site,
        {{ spend_columns() }},
        case network when 'SEARCH' then 'search' else 'network' end as placement,
        case raw_device when 'SMART_TV' then 'tv' else lower(raw_device) end as device
    from cells

)

select * from typed
