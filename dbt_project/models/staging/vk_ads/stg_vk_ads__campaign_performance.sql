{{ staged_by_load('vk_ads', 'ad_plan_statistics') }}

with

landed as (

    select * from {{ source('vk_ads', 'ad_plan_statistics') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'vk_ads'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('id') }} as campaign_id,
        {{ cell('shows') }} as impressions,
        {{ cell('clicks') }} as clicks,
        {{ cell('spent') }} as spend_amount,
        {{ cell('date') }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        {{ spend_columns() }},
        null::text as campaign_name,
        null::text as campaign_type
    from cells

)

select * from typed
