{{ staged_by_load('meta_ads', 'campaign_insights') }}

with

landed as (

    select * from {{ source('meta_ads', 'campaign_insights') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'meta_ads'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('campaign_id') }} as campaign_id,
        {{ cell('campaign_name') }} as campaign_name,
        {{ cell('objective') }} as campaign_type,
        {{ cell('impressions') }} as impressions,
        {{ cell('clicks') }} as clicks,
        {{ cell('spend') }} as spend_amount,
        {{ cell('date_start') }} as spend_date
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
