{{ staged_by_load('yandex_direct', 'campaign_performance') }}

with

landed as (

    select * from {{ source('yandex_direct', 'campaign_performance') }}
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
        {{ cell('CampaignName', ['--']) }} as campaign_name,
        {{ cell('CampaignType', ['--']) }} as campaign_type,
        {{ cell('Impressions', ['--']) }} as impressions,
        {{ cell('Clicks', ['--']) }} as clicks,
        {{ cell('Cost', ['--']) }} as spend_amount,
        {{ cell('Date', ['--']) }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        campaign_name,
        campaign_type,
        {{ spend_columns() }}
    from cells

)

select * from typed
