{% set columns = [
    'message_id', 'account_id', 'record_key', 'load_id', 'kind', 'sent_at',
    'message_date', 'visit_id', 'visitor_id', 'ym_client_id', 'ga_client_id', 'phones',
    'emails', 'name_token', 'manager', 'utm_source', 'utm_medium', 'utm_campaign',
    'utm_content', 'utm_term', 'page_url', 'source', 'medium', 'unreadable_columns',
    'tracker_person_id', 'communication_id', 'came_through',
] %}

with

chats as (

    select * from {{ ref('stg_comagic__chats') }}

),

offline_messages as (

    select * from {{ ref('stg_comagic__offline_messages') }}

),

unioned as (

    select {{ columns | join(',\n        ') }}
    from chats
    union all
    select {{ columns | join(',\n        ') }}
    from offline_messages

)

select * from unioned
