{{ config(materialized='view') }}

{{ union_of('leads', var('lead_sources'), [
    'account_id', 'lead_id', 'contact_id', 'ym_client_id', 'title', 'phones',
    'status_id', 'semantic_id', 'source_id', 'manager_id', 'created_at', 'created_date',
    'moved_at', 'closed_at', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_content',
    'utm_term',
]) }}
