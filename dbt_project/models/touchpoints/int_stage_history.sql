with

deal_history as (

    select * from {{ ref('stg_bitrix24__deal_stage_history') }}

),

lead_history as (

    select * from {{ ref('stg_bitrix24__lead_stage_history') }}

),

deals as (

    select * from {{ ref('stg_bitrix24__deals') }}

),

leads as (

    select * from {{ ref('stg_bitrix24__leads') }}

),

statuses as (

    select * from {{ ref('stg_bitrix24__statuses') }}

),

stage_map as (

    select * from {{ ref('stage_map') }}
    where crm = 'bitrix24'

),

entries as (

    select
        deal_history.account_id,
        'deal' as entity,
        deal_history.deal_id as entity_id,
        deal_history.history_id,
        deal_history.category_id,
        deal_history.stage_id,
        deal_history.semantic_id,
        deal_history.entered_at,
        case deal_history.category_id
            when '0' then 'DEAL_STAGE'
            else 'DEAL_STAGE_' || deal_history.category_id
        end as status_list
    from deal_history
    inner join deals
        on
            deal_history.account_id = deals.account_id
            and deal_history.deal_id = deals.deal_id

    union all

    select
        lead_history.account_id,
        'lead' as entity,
        lead_history.lead_id as entity_id,
        lead_history.history_id,
        null as category_id,
        lead_history.stage_id,
        lead_history.semantic_id,
        lead_history.entered_at,
        'STATUS' as status_list
    from lead_history
    inner join leads
        on
            lead_history.account_id = leads.account_id
            and lead_history.lead_id = leads.lead_id

),

named as (

    select
        {{ surrogate_key([
            "'bitrix24'", 'entries.account_id', 'entries.entity', 'entries.history_id',
        ]) }} as stage_history_id,
        entries.account_id,
        entries.entity,
        entries.entity_id,
        entries.category_id,
        entries.stage_id,
        statuses.status_name as stage_name,
        coalesce(
            stage_map.canonical_stage, {{ stage_by_semantic('entries.semantic_id') }}
        ) as canonical_stage,
        {{ semantic('entries.semantic_id') }} as semantic,
        entries.entered_at,
        {{ reporting_date('entries.entered_at') }} as entered_date,
        lead(entries.entered_at) over (
            partition by entries.account_id, entries.entity, entries.entity_id
            order by entries.entered_at, entries.history_id::bigint
        ) as left_at,
        statuses.sort::integer as sort
    from entries
    left join statuses
        on
            entries.account_id = statuses.account_id
            and entries.status_list = statuses.entity_id
            and entries.stage_id = statuses.status_id
    left join stage_map
        on
            entries.entity = stage_map.entity
            and {{ stage_without_funnel('entries.stage_id') }} = stage_map.stage_id

)

select * from named
