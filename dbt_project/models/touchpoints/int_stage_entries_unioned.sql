{{ config(materialized='view') }}

with

of_deals as (

    {{ union_of('deal_stage_history', ['bitrix24', 'amocrm'], [
        'account_id', "'deal' as entity", 'deal_id as entity_id', 'history_id',
        'category_id', 'stage_id', 'semantic_id', 'entered_at',
    ]) }}

),

of_leads as (

    {{ union_of('lead_stage_history', ['bitrix24', 'amocrm'], [
        'account_id', "'lead' as entity", 'lead_id as entity_id', 'history_id',
        'null::text as category_id', 'stage_id', 'semantic_id', 'entered_at',
    ]) }}

)

select * from of_deals
union all
select * from of_leads
