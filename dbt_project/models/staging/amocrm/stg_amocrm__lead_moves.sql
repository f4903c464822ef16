-- Every entry of a lead into a status, its making included: events only tell changes,
-- the status it was made in is what the first of them says it left.
{{ config(materialized='table', post_hook='analyze {{ this }}') }}

with

amo_leads as (

    select * from {{ ref('stg_amocrm__amo_leads') }}

),

deleted_leads as (

    select * from {{ ref('stg_amocrm__deleted_leads') }}

),

stage_events as (

    select * from {{ ref('stg_amocrm__stage_events') }}

),

stage_map as (

    select * from {{ ref('stage_map') }}

),

-- stages in which a lead is a deal; a lost one may have been none
deal_stages as (

    select distinct stage_id
    from stage_map
    where crm = 'amocrm' and entity = 'deal' and canonical_stage <> 'lost'

),

-- a restored lead was changed after it was thrown away
living as (

    select amo_leads.*
    from amo_leads
    left join deleted_leads
        on
            amo_leads.account_id = deleted_leads.account_id
            and amo_leads.amo_lead_id = deleted_leads.amo_lead_id
            and amo_leads.modified_at <= deleted_leads.deleted_at
    where deleted_leads.amo_lead_id is null

),

first_events as (

    select distinct on (account_id, amo_lead_id)
        account_id,
        amo_lead_id,
        status_id_before,
        pipeline_id_before
    from stage_events
    order by account_id asc, amo_lead_id asc, entered_at asc, event_id asc

),

entries as (

    select
        living.account_id,
        living.amo_lead_id,
        '' as event_id,
        coalesce(first_events.status_id_before, living.status_id) as status_id,
        coalesce(first_events.pipeline_id_before, living.pipeline_id) as pipeline_id,
        living.created_at as entered_at
    from living
    left join first_events
        on
            living.account_id = first_events.account_id
            and living.amo_lead_id = first_events.amo_lead_id

    union all

    select
        stage_events.account_id,
        stage_events.amo_lead_id,
        stage_events.event_id,
        stage_events.status_id,
        stage_events.pipeline_id,
        -- an imported lead may bear a creation later than its first event
        greatest(stage_events.entered_at, living.created_at) as entered_at
    from stage_events
    inner join living
        on
            stage_events.account_id = living.account_id
            and stage_events.amo_lead_id = living.amo_lead_id

),

numbered as (

    select
        *,
        row_number() over (
            partition by account_id, amo_lead_id order by entered_at, event_id
        ) as move_number,
        count(*) over (partition by account_id, amo_lead_id) as moves_count
    from entries

),

marked as (

    select
        numbered.*,
        living.load_id,
        case
            when
                numbered.move_number = numbered.moves_count
                and numbered.status_id = living.status_id
                then living.stage_id
            else numbered.status_id
        end as stage_id,
        coalesce(
            numbered.status_id = '142' or deal_stages.stage_id is not null, false
        ) as is_deal_stage
    from numbered
    inner join living
        on
            numbered.account_id = living.account_id
            and numbered.amo_lead_id = living.amo_lead_id
    left join deal_stages on numbered.status_id = deal_stages.stage_id

),

phased as (

    select
        *,
        min(move_number) filter (where is_deal_stage) over (
            partition by account_id, amo_lead_id
        ) as first_deal_move
    from marked

)

select
    account_id,
    amo_lead_id,
    load_id,
    move_number,
    moves_count,
    first_deal_move,
    status_id,
    pipeline_id,
    stage_id,
    entered_at,
    -- of one lead no more than 9,999 moves
    (amo_lead_id::numeric * 10000 + move_number)::text as history_id,
    case status_id when '142' then 'S' when '143' then 'F' else 'P' end as semantic_id
from phased
