{{ staged_by_load('amocrm', 'users') }}

with

landed as (

    select * from {{ source('amocrm', 'users') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as manager_id,
        {{ cell('name') }} as manager_name,
        {{ flag("landed.record #>> '{rights,is_active}'") }} as is_active
    from landed

)

select * from cells
