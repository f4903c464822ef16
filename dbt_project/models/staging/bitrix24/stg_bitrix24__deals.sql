{{ staged_by_load('bitrix24', 'deals') }}

with

landed as (

    select * from {{ source('bitrix24', 'deals') }}
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
        {{ cell('ID') }} as deal_id,
        {{ some_id(cell('LEAD_ID')) }} as lead_id,
        {{ some_id(cell('CONTACT_ID')) }} as contact_id,
        {{ some_id(cell('ASSIGNED_BY_ID')) }} as manager_id,
        {{ some_id(mapped_cell('ym_client_id')) }} as ym_client_id,
        {{ cell('CATEGORY_ID') }} as category_id,
        {{ cell('STAGE_ID') }} as stage_id,
        {{ cell('STAGE_SEMANTIC_ID') }} as semantic_id,
        {{ cell('SOURCE_ID') }} as source_id,
        coalesce({{ cell('CURRENCY_ID') }}, accounts.currency_code) as currency_code,
        {{ cell('UTM_SOURCE') }} as utm_source,
        {{ cell('UTM_MEDIUM') }} as utm_medium,
        {{ cell('UTM_CAMPAIGN') }} as utm_campaign,
        {{ cell('UTM_CONTENT') }} as utm_content,
        {{ cell('UTM_TERM') }} as utm_term,
        {{ cell('OPPORTUNITY') }} as amount,
        -- a field of type money comes as 100.50|RUB
        split_part({{ mapped_cell('margin') }}, '|', 1) as margin_amount,
        split_part({{ mapped_cell('refund_amount') }}, '|', 1) as refund_amount,
        -- a date comes as its midnight in some zone: only its first ten signs count
        left({{ mapped_cell('refund_date') }}, 10) as refund_date,
        left({{ cell('CLOSEDATE') }}, 10) as close_date,
        {{ cell('CLOSED') }} as is_closed,
        {{ cell('IS_RETURN_CUSTOMER') }} as is_return_customer,
        {{ cell('DATE_CREATE') }} as created_at,
        {{ cell('DATE_MODIFY') }} as modified_at,
        {{ cell('MOVED_TIME') }} as moved_at
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
        contact_id,
        manager_id,
        ym_client_id,
        category_id,

        ---------- strings
        stage_id,
        semantic_id,
        source_id,
        currency_code,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,
        {{ typed('margin_amount', 'amount') }} as margin_amount,
        {{ typed('refund_amount', 'amount') }} as refund_amount,

        ---------- booleans
        vat_included,
        {{ flag('is_closed') }} as is_closed,
        {{ flag('is_return_customer') }} as is_return_customer,

        ---------- timestamps
        {{ typed('refund_date', 'date') }} as refund_date,
        -- the plan while the deal is open, the fact when it is closed
        {{ typed('close_date', 'date') }} as close_date,
        {{ typed('created_at', 'instant') }} as created_at,
        {{ typed('modified_at', 'instant') }} as modified_at,
        {{ typed('moved_at', 'instant') }} as moved_at,

        {{ unreadable({
            'amount': 'amount',
            'margin_amount': 'amount',
            'refund_amount': 'amount',
            'refund_date': 'date',
            'close_date': 'date',
            'created_at': 'instant',
            'modified_at': 'instant',
            'moved_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('created_at') }} as created_date
from typed
