{{ staged_by_load('bitrix24', 'deal_products') }}

with

landed as (

    select * from {{ source('bitrix24', 'deal_products') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('DEAL_ID') }} as deal_id,
        landed.record -> 'productRows' as product_rows
    from landed

)

select * from cells
