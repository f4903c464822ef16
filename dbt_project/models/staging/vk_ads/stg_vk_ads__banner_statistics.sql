{{ staged_by_load('vk_ads', 'banner_statistics') }}

with

landed as (

    select * from {{ source('vk_ads', 'banner_statistics') }}
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
        {{ cell('id') }} as ad_id,
        {{ cell('shows') }} as impressions,
        {{ cell('clicks') }} as clicks,
        {{ cell('goals') }} as goals,
        {{ cell('spent') }} as spend_amount,
        {{ cell('date') }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ad_id,
        {{ spend_columns({'goals': 'integer'}) }}
    from cells

)

select * from typed
