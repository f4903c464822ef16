{{ staged_by_load('bitrix24', 'invoices') }}

with

landed as (

    select * from {{ source('bitrix24', 'invoices') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'bitrix24'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.vat_included,
        {{ cell('id') }} as invoice_id,
        {{ some_id(cell('parentId2')) }} as deal_id,
        {{ some_id(cell('contactId')) }} as contact_id,
        {{ cell('accountNumber') }} as invoice_number,
        {{ cell('stageId') }} as stage_id,
        coalesce({{ cell('currencyId') }}, accounts.currency_code) as currency_code,
        {{ cell('opportunity') }} as amount,
        {{ cell('createdTime') }} as created_at,
        {{ cell('updatedTime') }} as modified_at,
        {{ cell('movedTime') }} as moved_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        invoice_id,
        deal_id,
        contact_id,

        ---------- strings
        invoice_number,
        stage_id,
        currency_code,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,

        ---------- booleans
        vat_included,

        ---------- timestamps
        {{ typed('created_at', 'instant') }} as created_at,
        {{ typed('modified_at', 'instant') }} as modified_at,
        {{ typed('moved_at', 'instant') }} as moved_at,

        {{ unreadable({
            'amount': 'amount',
            'created_at': 'instant',
            'modified_at': 'instant',
            'moved_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select * from typed
