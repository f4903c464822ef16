{{ staged_by_load('amocrm', 'deleted_leads') }}

with

landed as (

    select * from {{ source('amocrm', 'deleted_leads') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as amo_lead_id,
        {{ cell('updated_at') }} as deleted_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        amo_lead_id,

        ---------- timestamps
        to_timestamp({{ typed('deleted_at', 'integer') }}) as deleted_at
    from cells

)

select * from typed
