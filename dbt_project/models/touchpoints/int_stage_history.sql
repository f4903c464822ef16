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

-- by one key: the planner takes four equal columns for four reasons to expect one row,
-- and would walk through the maps of stages for each entry
live as (

    select concat_ws('|', source, account_id, 'deal', deal_id) as entity_key
    from deals
    union all
    select concat_ws('|', source, account_id, 'lead', lead_id) as entity_key
    from leads

),

keyed_statuses as (

    select
        status_name,
        sort::integer as sort,
        concat_ws('|', source, account_id, entity_id, status_id) as status_key
    from statuses

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
        {{ stage_without_funnel('history.stage_id') }} as stage_in_map,
        concat_ws(
            '|',
            history.source,
            history.account_id,
            case
                when history.entity = 'lead' then 'STATUS'
                when history.category_id = '0' then 'DEAL_STAGE'
                else 'DEAL_STAGE_' || history.category_id
            end,
            history.stage_id
        ) as status_key
    from history
    inner join live
        on
            concat_ws(
                '|', history.source, history.account_id, history.entity,
                history.entity_id
            ) = live.entity_key

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
        keyed_statuses.status_name as stage_name,
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
        keyed_statuses.sort
    from entries
    left join keyed_statuses on entries.status_key = keyed_statuses.status_key
    left join stage_map
        on
            entries.crm = stage_map.crm
            and entries.entity = stage_map.entity
            and entries.stage_in_map = stage_map.stage_id

)

select * from named
