{{ staged_by_load('bitrix24', 'contacts') }}

with

landed as (

    select * from {{ source('bitrix24', 'contacts') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ tokens('PHONE') }} as phones,
        {{ tokens('EMAIL') }} as emails,
        {{ cell('ID') }} as contact_id,
        {{ some_id(cell('LEAD_ID')) }} as lead_id,
        {{ cell('_name_token') }} as name_token,
        {{ cell('DATE_CREATE') }} as created_at,
        {{ cell('DATE_MODIFY') }} as modified_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        contact_id,
        lead_id,
        name_token,
        phones,
        emails,

        ---------- timestamps
        {{ typed('created_at', 'instant') }} as created_at,
        {{ typed('modified_at', 'instant') }} as modified_at,

        {{ unreadable({
            'created_at': 'instant', 'modified_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select * from typed
