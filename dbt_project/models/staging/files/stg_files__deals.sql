{{ staged_by_load('files', 'deals') }}

with

landed as (

    select * from {{ source('files', 'deals') }}
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
        {{ cell('deal_id') }} as deal_id,
        {{ cell('lead_id') }} as lead_id,
        {{ cell('ym_client_id') }} as ym_client_id,
        {{ cell('status') }} as raw_status,
        {{ cell('interest') }} as interest,
        {{ cell('source') }} as source,
        {{ cell('manager') }} as manager,
        {{ cell('file') }} as file_name,
        coalesce({{ cell('currency_code') }}, accounts.currency_code)
            as currency_code,
        {{ cell('utm_source') }} as utm_source,
        {{ cell('utm_medium') }} as utm_medium,
        {{ cell('utm_campaign') }} as utm_campaign,
        {{ cell('utm_content') }} as utm_content,
        {{ cell('utm_term') }} as utm_term,
        {{ cell('amount') }} as amount,
        {{ cell('margin') }} as margin_amount,
        {{ cell('refund_amount') }} as refund_amount,
        {{ cell('refund_date') }} as refund_date,
        {{ cell('closed_at') }} as closed_at,
        {{ cell('created_at') }} as created_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        deal_id,
        lead_id,
        null::text as contact_id,
        null::text as manager_id,
        ym_client_id,
        null::text as category_id,
        name_token,
        phones,
        emails,

        ---------- strings
        {{ folded('raw_status') }} as stage_id,
        null::text as semantic_id,
        {{ folded('source') }} as source_id,
        currency_code,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        raw_status,
        interest,
        source,
        manager,
        file_name,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,
        {{ typed('margin_amount', 'amount') }} as margin_amount,
        {{ typed('refund_amount', 'amount') }} as refund_amount,

        ---------- booleans
        vat_included,
        closed_at is not null as is_closed,
        null::boolean as is_return_customer,

        ---------- timestamps
        {{ typed('refund_date', 'date') }} as refund_date,
        left(closed_at, 10)::date as close_date,
        {{ typed('created_at', 'instant') }} as created_at,
        null::timestamptz as modified_at,
        null::timestamptz as moved_at,
        {{ typed('closed_at', 'instant') }} as closed_at,

        {{ unreadable({
            'amount': 'amount',
            'margin_amount': 'amount',
            'refund_amount': 'amount',
            'refund_date': 'date',
            'closed_at': 'instant',
            'created_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('created_at') }} as created_date
from typed
