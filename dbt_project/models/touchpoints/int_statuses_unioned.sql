{{ config(materialized='view') }}

{{ union_of('statuses', ['bitrix24', 'amocrm'], [
    'account_id', 'entity_id', 'status_id', 'status_name', 'semantic_id', 'sort',
]) }}
