{{ staged_by_load('files', 'payments') }}

with

landed as (

    select * from {{ source('files', 'payments') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'files'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.vat_included,
        {{ cell('payment_id') }} as payment_id,
        {{ cell('deal_id') }} as deal_id,
        {{ cell('method') }} as payment_method,
        {{ cell('file') }} as file_name,
        coalesce({{ cell('currency_code') }}, accounts.currency_code)
            as currency_code,
        {{ cell('amount') }} as amount,
        {{ cell('paid_at') }} as paid_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        payment_id,
        deal_id,

        ---------- strings
        currency_code,
        payment_method,
        file_name,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,

        ---------- booleans
        vat_included,

        ---------- timestamps
        {{ typed('paid_at', 'instant') }} as paid_at,

        {{ unreadable({
            'amount': 'amount',
            'paid_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('paid_at') }} as paid_date
from typed
