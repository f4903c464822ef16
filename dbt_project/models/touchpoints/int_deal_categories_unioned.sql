{{ config(materialized='view') }}

{{ union_of('deal_categories', ['bitrix24', 'amocrm'], [
    'account_id', 'category_id', 'category_name',
]) }}
