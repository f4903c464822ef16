{{ staged_by_load('files', 'number_leases') }}

with

landed as (

    select * from {{ source('files', 'number_leases') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('lease_id') }} as lease_id,
        {{ cell('phone_number') }} as phone_number,
        {{ cell('ym_client_id') }} as ym_client_id,
        {{ cell('visitor_id') }} as visitor_id,
        {{ cell('file') }} as file_name,
        {{ cell('shown_from') }} as shown_from,
        {{ cell('shown_to') }} as shown_to
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        lease_id,
        ym_client_id,
        visitor_id,

        ---------- strings
        phone_number,
        file_name,

        ---------- timestamps
        {{ typed('shown_from', 'instant') }} as shown_from,
        {{ typed('shown_to', 'instant') }} as shown_to,

        {{ unreadable({
            'shown_from': 'instant',
            'shown_to': 'instant',
        }) }} as unreadable_columns
    from cells

)

select * from typed
