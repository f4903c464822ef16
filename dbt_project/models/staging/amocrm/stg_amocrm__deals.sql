-- Leads that ever came to a deal stage (seed stage_map).
with

amo_leads as (

    select * from {{ ref('stg_amocrm__amo_leads') }}

),

history as (

    select * from {{ ref('stg_amocrm__deal_stage_history') }}

),

ways as (

    select
        account_id,
        deal_id,
        min(entered_at) as created_at,
        max(entered_at) as moved_at
    from history
    group by account_id, deal_id

),

joined as (

    select
        ---------- ids
        amo_leads.account_id,
        amo_leads.record_key,
        amo_leads.load_id,
        amo_leads.amo_lead_id as deal_id,
        amo_leads.amo_lead_id as lead_id,
        amo_leads.contact_id,
        amo_leads.manager_id,
        amo_leads.ym_client_id,
        amo_leads.pipeline_id as category_id,

        ---------- strings
        amo_leads.stage_id,
        case amo_leads.status_id when '142' then 'S' when '143' then 'F' else 'P' end
            as semantic_id,
        amo_leads.source_id,
        amo_leads.currency_code,
        amo_leads.utm_source,
        amo_leads.utm_medium,
        amo_leads.utm_campaign,
        amo_leads.utm_content,
        amo_leads.utm_term,

        ---------- numerics
        amo_leads.amount,
        amo_leads.margin_amount,
        amo_leads.refund_amount,

        ---------- booleans
        amo_leads.vat_included,
        amo_leads.status_id in ('142', '143') as is_closed,
        null::boolean as is_return_customer,

        ---------- timestamps
        amo_leads.refund_date,
        {{ reporting_date('amo_leads.closed_at') }} as close_date,
        ways.created_at,
        amo_leads.modified_at,
        ways.moved_at,
        amo_leads.unreadable_columns,
        {{ reporting_date('ways.created_at') }} as created_date,

        ---------- only amoCRM has these
        amo_leads.ga_client_id,
        amo_leads.loss_reason_id,
        amo_leads.closed_at
    from amo_leads
    inner join ways
        on
            amo_leads.account_id = ways.account_id
            and amo_leads.amo_lead_id = ways.deal_id

)

select * from joined
