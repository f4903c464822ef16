{{ staged_by_load('amocrm', 'loss_reasons') }}

with

landed as (

    select * from {{ source('amocrm', 'loss_reasons') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as loss_reason_id,
        {{ cell('name') }} as loss_reason_name
    from landed

)

select * from cells
