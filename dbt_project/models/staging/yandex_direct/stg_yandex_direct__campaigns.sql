{{ staged_by_load('yandex_direct', 'campaigns') }}

with

landed as (

    select * from {{ source('yandex_direct', 'campaigns') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('Id') }} as campaign_id,
        {{ cell('Name') }} as campaign_name,
        {{ cell('Type') }} as campaign_type,
        {{ cell('State') }} as state,
        {{ cell('Status') }} as status,
        {{ cell('StartDate') }} as start_date
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        campaign_id,

        ---------- strings
        campaign_name,
        campaign_type,
        state,
        status,

        ---------- timestamps
        {{ typed('start_date', 'date') }} as start_date,

        {{ unreadable({'start_date': 'date'}) }} as unreadable_columns
    from cells

)

select * from typed
