{{ staged_by_load('yandex_direct', 'keyword_performance') }}

with

landed as (

    select * from {{ source('yandex_direct', 'keyword_performance') }}
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
        {{ cell('CriterionId', ['--']) }} as criterion_id,
        {{ cell('Criterion', ['--']) }} as criterion,
        {{ cell('CriterionType', ['--']) }} as criterion_type,
        {{ cell('AdNetworkType', ['--']) }} as network,
        {{ cell('Device', ['--']) }} as device,
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
        ad_group_id,
        ad_id,
        criterion_id,
        criterion,
        criterion_type,
        network,
        device,
        {{ spend_columns() }}
    from cells

)

select * from typed
