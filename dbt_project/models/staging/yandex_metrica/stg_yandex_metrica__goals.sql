{{ staged_by_load('yandex_metrica', 'goals') }}

with

landed as (

    select * from {{ source('yandex_metrica', 'goals') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as goal_id,
        {{ cell('name') }} as goal_name,
        {{ cell('type') }} as goal_type,
        {{ cell('status') }} as status,
        {{ cell('is_favorite') }} as is_favorite,
        {{ cell('default_price') }} as default_price
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        goal_id,

        ---------- strings
        goal_name,
        goal_type,
        status,

        ---------- numerics
        {{ typed('default_price', 'amount') }} as default_price,

        ---------- booleans
        {{ flag('is_favorite') }} as is_favorite,
        coalesce(lower(status) = 'deleted', false) as is_deleted,

        {{ unreadable({'default_price': 'amount'}) }} as unreadable_columns
    from cells

)

select * from typed
