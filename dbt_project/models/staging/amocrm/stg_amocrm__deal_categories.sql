{{ staged_by_load('amocrm', 'pipelines') }}

with

landed as (

    select * from {{ source('amocrm', 'pipelines') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as category_id,
        {{ cell('name') }} as category_name,
        {{ cell('sort') }} as sort,
        {{ cell('is_main') }} as is_default
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        category_id,

        ---------- strings
        category_name,

        ---------- numerics
        {{ typed('sort', 'integer') }} as sort,

        ---------- booleans
        {{ flag('is_default') }} as is_default
    from cells

)

select * from typed
