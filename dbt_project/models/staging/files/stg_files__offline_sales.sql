{{ staged_by_load('files', 'offline_sales') }}

with

landed as (

    select * from {{ source('files', 'offline_sales') }}
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
        {{ typed_tokens('ph') }} as phones,
        {{ typed_tokens('em') }} as emails,
        {{ typed_tokens('nm') }} ->> 0 as name_token,
        {{ cell('sale_id') }} as sale_id,
        {{ cell('source') }} as source,
        {{ cell('medium') }} as medium,
        {{ cell('file') }} as file_name,
        coalesce({{ cell('currency_code') }}, accounts.currency_code)
            as currency_code,
        {{ cell('amount') }} as amount,
        {{ cell('cost') }} as cost_amount,
        {{ cell('sold_at') }} as sold_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        sale_id,
        name_token,
        phones,
        emails,

        ---------- strings
        source,
        medium,
        currency_code,
        file_name,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,
        {{ typed('cost_amount', 'amount') }} as cost_amount,

        ---------- booleans
        vat_included,

        ---------- timestamps
        {{ typed('sold_at', 'instant') }} as sold_at,

        {{ unreadable({
            'amount': 'amount',
            'cost_amount': 'amount',
            'sold_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('sold_at') }} as sale_date
from typed
