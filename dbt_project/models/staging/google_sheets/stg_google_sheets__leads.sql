{{ staged_by_load('google_sheets', 'leads') }}

with

landed as (

    select * from {{ source('google_sheets', 'leads') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ typed_tokens('ph') }} as phones,
        {{ typed_tokens('em') }} as emails,
        {{ typed_tokens('nm') }} ->> 0 as name_token,
        {{ cell('lead_id') }} as lead_id,
        {{ cell('status') }} as raw_status,
        {{ cell('interest') }} as interest,
        {{ cell('source') }} as source,
        {{ cell('medium') }} as medium,
        {{ cell('manager') }} as manager,
        {{ cell('comment') }} as lead_comment,
        {{ cell('sheet') }} as sheet,
        {{ cell('created_at') }} as created_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        lead_id,
        null::text as contact_id,
        null::text as manager_id,
        null::text as ym_client_id,
        name_token,
        phones,
        emails,

        ---------- strings
        null::text as title,
        {{ folded('raw_status') }} as status_id,
        null::text as semantic_id,
        {{ folded('source') }} as source_id,
        null::text as currency_code,
        null::text as utm_source,
        null::text as utm_medium,
        null::text as utm_campaign,
        null::text as utm_content,
        null::text as utm_term,
        raw_status,
        interest,
        source,
        medium,
        manager,
        lead_comment,
        sheet,

        ---------- numerics
        null::numeric as amount,

        ---------- booleans
        null::boolean as is_return_customer,

        ---------- timestamps
        {{ typed('created_at', 'instant') }} as created_at,
        null::timestamptz as modified_at,
        null::timestamptz as closed_at,
        null::timestamptz as moved_at,

        {{ unreadable({'created_at': 'instant'}) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('created_at') }} as created_date
from typed
