with

history as (

    select * from {{ ref('int_stage_entries_unioned') }}

),

deals as (

    select * from {{ ref('int_deals_unioned') }}

),

leads as (

    select * from {{ ref('int_leads_unioned') }}

),

statuses as (

    select * from {{ ref('int_statuses_unioned') }}

),

stage_map as (

    select * from {{ ref('stage_map') }}

),

live as (

    select
        source,
        account_id,
        'deal' as entity,
        deal_id as entity_id
    from deals
    union all
    select
        source,
        account_id,
        'lead' as entity,
        lead_id as entity_id
    from leads

),

entries as (

    select
        history.source as crm,
        history.account_id,
        history.entity,
        history.entity_id,
        history.history_id,
        history.category_id,
        history.stage_id,
        history.semantic_id,
        history.entered_at,
        case
            when history.entity = 'lead' then 'STATUS'
            when history.category_id = '0' then 'DEAL_STAGE'
            else 'DEAL_STAGE_' || history.category_id
        end as status_list
    from history
    inner join live
        on
            history.source = live.source
            and history.account_id = live.account_id
            and history.entity = live.entity
            and history.entity_id = live.entity_id

),

named as (

    select
        {{ surrogate_key([
            'entries.crm', 'entries.account_id', 'entries.entity', 'entries.history_id',
        ]) }} as stage_history_id,
        entries.crm,
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
            order by entries.entered_at, entries.history_id::numeric
        ) as left_at,
        statuses.sort::integer as sort
    from entries
    left join statuses
        on
            entries.crm = statuses.source
            and entries.account_id = statuses.account_id
            and entries.status_list = statuses.entity_id
            and entries.stage_id = statuses.status_id
    left join stage_map
        on
            entries.crm = stage_map.crm
            and entries.entity = stage_map.entity
            and {{ stage_without_funnel('entries.stage_id') }} = stage_map.stage_id

)

select * from named
