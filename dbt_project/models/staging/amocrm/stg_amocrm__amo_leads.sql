{{ staged_by_load('amocrm', 'leads') }}

with

landed as (

    select * from {{ source('amocrm', 'leads') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'amocrm'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.vat_included,
        accounts.currency_code,
        accounts.time_zone,
        {{ cell('id') }} as amo_lead_id,
        {{ cell('main_contact_id') }} as contact_id,
        {{ some_id(cell('responsible_user_id')) }} as manager_id,
        coalesce(
            {{ some_id(mapped_cell('ym_client_id')) }}, {{ cell('_YM_UID') }}
        ) as ym_client_id,
        coalesce(
            {{ some_id(mapped_cell('ga_client_id')) }}, {{ cell('GCLIENTID') }}
        ) as ga_client_id,
        {{ cell('GCLID') }} as gclid,
        {{ cell('YCLID') }} as yclid,
        {{ cell('FBCLID') }} as fbclid,
        {{ cell('pipeline_id') }} as pipeline_id,
        {{ cell('status_id') }} as status_id,
        {{ some_id(cell('loss_reason_id')) }} as loss_reason_id,
        {{ some_id(cell('source_id')) }} as source_id,
        {{ cell('name') }} as title,
        {{ cell('UTM_SOURCE') }} as utm_source,
        {{ cell('UTM_MEDIUM') }} as utm_medium,
        {{ cell('UTM_CAMPAIGN') }} as utm_campaign,
        {{ cell('UTM_CONTENT') }} as utm_content,
        {{ cell('UTM_TERM') }} as utm_term,
        {{ cell('price') }} as amount,
        {{ mapped_cell('margin') }} as margin_amount,
        {{ mapped_cell('refund_amount') }} as refund_amount,
        {{ mapped_cell('refund_date') }} as refund_date,
        landed.record #> '{_embedded,contacts}' as contacts,
        {{ cell('created_at') }} as created_at,
        {{ cell('updated_at') }} as modified_at,
        {{ cell('closed_at') }} as closed_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

dated as (

    select
        *,
        -- a date comes as text, or as the account's midnight in Unix seconds
        case
            when refund_date ~ '^[0-9]{6,11}$'
                then (
                    to_timestamp(refund_date::bigint) at time zone time_zone
                )::date::text
            else left(refund_date, 10)
        end as refund_day
    from cells

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        amo_lead_id,
        contact_id,
        manager_id,
        ym_client_id,
        ga_client_id,
        gclid,
        yclid,
        fbclid,
        pipeline_id,
        status_id,
        loss_reason_id,
        source_id,
        case
            when status_id = '143' and loss_reason_id is not null
                then '143:' || loss_reason_id
            else status_id
        end as stage_id,
        contacts,

        ---------- strings
        title,
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

        ---------- timestamps
        {{ typed('refund_day', 'date') }} as refund_date,
        to_timestamp({{ typed('created_at', 'integer') }}) as created_at,
        to_timestamp({{ typed('modified_at', 'integer') }}) as modified_at,
        to_timestamp({{ typed('closed_at', 'integer') }}) as closed_at,

        {{ unreadable({
            'amount': 'amount',
            'margin_amount': 'amount',
            'refund_amount': 'amount',
            'refund_day': 'date',
            'created_at': 'integer',
            'modified_at': 'integer',
            'closed_at': 'integer',
        }) }} as unreadable_columns
    from dated

)

select * from typed
