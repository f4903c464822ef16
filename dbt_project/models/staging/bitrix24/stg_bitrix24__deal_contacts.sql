{{ staged_by_load('bitrix24', 'deal_contacts') }}

with

landed as (

    select * from {{ source('bitrix24', 'deal_contacts') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('DEAL_ID') }} as deal_id,
        {{ cell('CONTACT_ID') }} as contact_id,
        {{ cell('SORT') }} as sort,
        {{ cell('IS_PRIMARY') }} as is_primary
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        deal_id,
        contact_id,

        ---------- numerics
        {{ typed('sort', 'integer') }} as sort,

        ---------- booleans
        {{ flag('is_primary') }} as is_primary
    from cells

)

select * from typed
