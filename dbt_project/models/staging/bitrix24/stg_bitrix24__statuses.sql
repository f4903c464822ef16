{{ staged_by_load('bitrix24', 'statuses') }}

with

landed as (

    select * from {{ source('bitrix24', 'statuses') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('ENTITY_ID') }} as entity_id,
        {{ cell('STATUS_ID') }} as status_id,
        {{ cell('NAME') }} as status_name,
        {{ cell('SEMANTICS') }} as semantic_id,
        {{ cell('SORT') }} as sort
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        entity_id,
        status_id,

        ---------- strings
        status_name,
        semantic_id,

        ---------- numerics
        {{ typed('sort', 'integer') }} as sort
    from cells

)

select * from typed
