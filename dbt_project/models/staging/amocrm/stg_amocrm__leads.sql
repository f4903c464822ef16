-- Requests. One that became a deal stays what it was when it did; the deal goes on.
with

amo_leads as (

    select * from {{ ref('stg_amocrm__amo_leads') }}

),

contacts as (

    select * from {{ ref('stg_amocrm__contacts') }}

),

history as (

    select * from {{ ref('stg_amocrm__lead_stage_history') }}

),

last_moves as (

    select distinct on (account_id, lead_id) *
    from history
    order by account_id asc, lead_id asc, history_id::numeric desc

),

joined as (

    select
        ---------- ids
        amo_leads.account_id,
        amo_leads.record_key,
        amo_leads.load_id,
        amo_leads.amo_lead_id as lead_id,
        amo_leads.contact_id,
        amo_leads.manager_id,
        amo_leads.ym_client_id,
        contacts.name_token,
        coalesce(contacts.phones, '[]'::jsonb) as phones,
        coalesce(contacts.emails, '[]'::jsonb) as emails,

        ---------- strings
        amo_leads.title,
        last_moves.stage_id as status_id,
        last_moves.semantic_id,
        amo_leads.source_id,
        amo_leads.currency_code,
        amo_leads.utm_source,
        amo_leads.utm_medium,
        amo_leads.utm_campaign,
        amo_leads.utm_content,
        amo_leads.utm_term,

        ---------- numerics
        amo_leads.amount,

        ---------- booleans
        null::boolean as is_return_customer,

        ---------- timestamps
        amo_leads.created_at,
        amo_leads.modified_at,
        case when last_moves.semantic_id <> 'P' then last_moves.entered_at end
            as closed_at,
        last_moves.entered_at as moved_at,
        amo_leads.unreadable_columns,
        {{ reporting_date('amo_leads.created_at') }} as created_date,

        ---------- only amoCRM has these
        amo_leads.ga_client_id,
        amo_leads.gclid,
        amo_leads.yclid,
        amo_leads.fbclid,
        amo_leads.pipeline_id
    from amo_leads
    inner join last_moves
        on
            amo_leads.account_id = last_moves.account_id
            and amo_leads.amo_lead_id = last_moves.lead_id
    left join contacts
        on
            amo_leads.account_id = contacts.account_id
            and amo_leads.contact_id = contacts.contact_id

)

select * from joined
