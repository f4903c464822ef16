{{ staged_by_load('google_ads', 'account_performance') }}

with

landed as (

    select * from {{ source('google_ads', 'account_performance') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'google_ads'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('metrics.impressions') }} as impressions,
        {{ cell('metrics.clicks') }} as clicks,
        {{ cell('cost') }} as spend_amount,
        {{ cell('segments.date') }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        {{ spend_columns() }}
    from cells

)

select * from typed
