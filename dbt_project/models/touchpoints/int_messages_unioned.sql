{{ config(materialized='view') }}

{{ union_of('messages', ['calltouch', 'comagic'], [
    'account_id', 'message_id', 'kind', 'sent_at', 'message_date',
    'visit_id as tracker_visit_id',
]) }}
