{{ config(materialized='view') }}

{% set columns = [
    'account_id', 'call_id', 'called_at', 'call_date', 'caller_phone', 'phone_number',
    'source as source_name', 'medium', 'keyword', 'utm_source', 'utm_medium',
    'utm_campaign', 'utm_content', 'utm_term', 'yclid', 'direct_campaign_id',
    'direct_ad_group_id', 'direct_ad_id', 'direct_criterion_id', 'duration_s', 'wait_s',
    'is_successful', 'is_unique_by_tracker', 'is_unique_target_by_tracker',
    'is_callback', 'manager', 'tags',
] %}

with

calltouch_calls as (

    select * from {{ ref('stg_calltouch__calls') }}

),

comagic_calls as (

    select * from {{ ref('stg_comagic__calls') }}
    where direction = 'in'

),

unioned as (

    select
        'calltouch' as source,
        'ym_client_id' as browser_kind,
        ym_client_id as browser_id,
        -- its sessions are no visits of the counter
        null::text as tracker_visit_id,
        ym_client_id as client_id,
        {{ columns | join(',\n        ') }}
    from calltouch_calls

    union all

    select
        'comagic' as source,
        'visitor' as browser_kind,
        {{ crm_identifier('account_id', 'visitor_id', crm='comagic') }} as browser_id,
        session_id as tracker_visit_id,
        coalesce(ym_client_id, ga_client_id, visitor_id) as client_id,
        {{ columns | join(',\n        ') }}
    from comagic_calls

)

select * from unioned
