-- Stages under the names our models use. A lost lead's stage also says why it was lost:
-- 143:<loss reason>, so that the seed stage_map can tell spam from "too dear".
with

pipeline_statuses as (

    select * from {{ ref('stg_amocrm__pipeline_statuses') }}

),

loss_reasons as (

    select * from {{ ref('stg_amocrm__loss_reasons') }}

),

with_reasons as (

    select
        account_id,
        record_key,
        load_id,
        pipeline_id,
        status_id,
        status_name,
        semantic_id,
        sort
    from pipeline_statuses

    union all

    select
        pipeline_statuses.account_id,
        loss_reasons.record_key,
        greatest(pipeline_statuses.load_id, loss_reasons.load_id) as load_id,
        pipeline_statuses.pipeline_id,
        '143:' || loss_reasons.loss_reason_id as status_id,
        pipeline_statuses.status_name || ': ' || loss_reasons.loss_reason_name
            as status_name,
        pipeline_statuses.semantic_id,
        pipeline_statuses.sort
    from pipeline_statuses
    inner join loss_reasons
        on pipeline_statuses.account_id = loss_reasons.account_id
    where pipeline_statuses.status_id = '143'

),

-- a lead has no pipeline in our models: 142 and 143 are one for all of them
of_leads as (

    select distinct on (account_id, status_id)
        account_id,
        record_key,
        load_id,
        'STATUS' as entity_id,
        status_id,
        status_name,
        semantic_id,
        sort
    from with_reasons
    order by account_id asc, status_id asc, pipeline_id asc

),

of_deals as (

    select
        account_id,
        record_key,
        load_id,
        'DEAL_STAGE_' || pipeline_id as entity_id,
        status_id,
        status_name,
        semantic_id,
        sort
    from with_reasons

),

statuses as (

    select * from of_leads
    union all
    select * from of_deals

)

select * from statuses
