{% set nothing = ['<не указано>', '<не заполнено>', '(not set)'] %}
{{ staged_by_load('calltouch', 'deal_journal') }}

with

landed as (

    select * from {{ source('calltouch', 'deal_journal') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'calltouch'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.time_zone,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('orderId') }} as order_id,
        {{ cell('orderNumber') }} as deal_id,
        landed.record #>> '{session,sessionId}' as session_id,
        landed.record #>> '{session,yaClientId}' as ym_client_id,
        {{ cell('orderStatus', nothing) }} as status,
        {{ cell('funnel', nothing) }} as funnel,
        {{ cell('service', nothing) }} as crm,
        landed.record #>> '{session,source}' as source,
        landed.record #>> '{session,medium}' as medium,
        {{ cell('plannedAmount') }} as planned_amount,
        {{ cell('completedAmount') }} as completed_amount,
        {{ cell('createdDate') }} as printed_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

dated as (

    -- printed as 31/05/2026 18:52:13 in the cabinet's local time
    select
        *,
        regexp_replace(
            printed_at,
            '^([0-9]{2})/([0-9]{2})/([0-9]{4})( .*)?$', '\3-\2-\1\4'
        ) as created_at
    from cells

)

select
    ---------- ids
    account_id,
    record_key,
    load_id,
    order_id,
    deal_id,
    session_id,
    ym_client_id,

    ---------- strings
    status,
    funnel,
    crm,
    source,
    medium,
    currency_code,

    ---------- numerics
    {{ typed('planned_amount', 'amount') }} as planned_amount,
    {{ typed('completed_amount', 'amount') }} as completed_amount,

    ---------- booleans
    vat_included,

    ---------- timestamps
    {{ typed('created_at', 'local') }} at time zone time_zone as created_at,
    {{ unreadable({
        'planned_amount': 'amount',
        'completed_amount': 'amount',
        'created_at': 'local',
    }) }} as unreadable_columns
from dated
