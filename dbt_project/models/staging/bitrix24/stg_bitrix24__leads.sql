{{ staged_by_load('bitrix24', 'leads') }}

with

landed as (

    select * from {{ source('bitrix24', 'leads') }}
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
        {{ tokens('PHONE') }} as phones,
        {{ tokens('EMAIL') }} as emails,
        {{ cell('ID') }} as lead_id,
        {{ some_id(cell('CONTACT_ID')) }} as contact_id,
        {{ some_id(cell('ASSIGNED_BY_ID')) }} as manager_id,
        {{ some_id(mapped_cell('ym_client_id')) }} as ym_client_id,
        {{ cell('_name_token') }} as name_token,
        {{ cell('TITLE') }} as title,
        {{ cell('STATUS_ID') }} as status_id,
        {{ cell('STATUS_SEMANTIC_ID') }} as semantic_id,
        {{ cell('SOURCE_ID') }} as source_id,
        {{ cell('CURRENCY_ID') }} as currency_code,
        {{ cell('UTM_SOURCE') }} as utm_source,
        {{ cell('UTM_MEDIUM') }} as utm_medium,
        {{ cell('UTM_CAMPAIGN') }} as utm_campaign,
        {{ cell('UTM_CONTENT') }} as utm_content,
        {{ cell('UTM_TERM') }} as utm_term,
        {{ cell('OPPORTUNITY') }} as amount,
        {{ cell('IS_RETURN_CUSTOMER') }} as is_return_customer,
        {{ cell('DATE_CREATE') }} as created_at,
        {{ cell('DATE_MODIFY') }} as modified_at,
        {{ cell('DATE_CLOSED') }} as closed_at,
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
        lead_id,
        contact_id,
        manager_id,
        ym_client_id,
        name_token,
        phones,
        emails,

        ---------- strings
        title,
        status_id,
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

        ---------- booleans
        {{ flag('is_return_customer') }} as is_return_customer,

        ---------- timestamps
        {{ typed('created_at', 'instant') }} as created_at,
        {{ typed('modified_at', 'instant') }} as modified_at,
        {{ typed('closed_at', 'instant') }} as closed_at,
        {{ typed('moved_at', 'instant') }} as moved_at,

        {{ unreadable({
            'amount': 'amount',
            'created_at': 'instant',
            'modified_at': 'instant',
            'closed_at': 'instant',
            'moved_at': 'instant',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('created_at') }} as created_date
from typed
