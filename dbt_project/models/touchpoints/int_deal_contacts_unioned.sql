{{ config(materialized='view') }}

{{ union_of('deal_contacts', ['bitrix24', 'amocrm'], [
    'account_id', 'deal_id', 'contact_id', 'is_primary',
]) }}
