-- Where each lead was left: by which call, in which visit, or nowhere that we know.
with

leads as (

    select * from {{ ref('int_leads_unioned') }}

),

calls as (

    select * from {{ ref('int_calls_placed') }}

),

visits as (

    select * from {{ ref('int_visits_of_persons') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

lead_sources as (

    select * from {{ ref('lead_sources') }}

),

leads_of_persons as (

    select
        leads.account_id,
        leads.source as crm,
        leads.lead_id,
        leads.contact_id,
        leads.ym_client_id,
        leads.title,
        leads.phones,
        leads.status_id,
        leads.semantic_id,
        leads.source_id,
        leads.manager_id,
        leads.created_at,
        leads.created_date,
        leads.moved_at,
        leads.closed_at,
        leads.utm_campaign,
        leads.utm_content,
        leads.utm_term,
        assigned.person_id,
        coalesce(lead_sources.contact_channel, 'other') as contact_channel,
        -- where people only write down what the client said
        coalesce(leads.utm_source, lead_sources.source) as utm_source,
        coalesce(leads.utm_medium, lead_sources.medium) as utm_medium
    from leads
    inner join assigned
        on
            {{ record_identifier('leads', 'lead_id') }} = assigned.identifier
            and assigned.kind = 'crm_lead'
    left join lead_sources
        on
            leads.source = lead_sources.crm
            and leads.source_id = lead_sources.source_id

),

lead_phones as (

    select
        account_id,
        lead_id,
        created_at,
        jsonb_array_elements_text(phones) as phone
    from leads_of_persons
    where contact_channel = 'call'

),

-- telephony makes the lead when the talk is over
leads_by_calls as (

    select distinct on (lead_phones.account_id, lead_phones.lead_id)
        lead_phones.account_id,
        lead_phones.lead_id,
        calls.call_id,
        calls.visit_id,
        calls.touchpoint_id
    from lead_phones
    inner join calls
        on
            lead_phones.phone = calls.caller_phone
            and calls.called_at <= lead_phones.created_at + interval '1 minute'
            and calls.called_at > lead_phones.created_at - interval '1 hour'
    order by
        lead_phones.account_id asc,
        lead_phones.lead_id asc,
        calls.called_at desc,
        calls.call_id asc

),

leads_in_visits as (

    select distinct on (leads_of_persons.account_id, leads_of_persons.lead_id)
        leads_of_persons.account_id,
        leads_of_persons.lead_id,
        visits.visit_id,
        visits.touchpoint_id
    from leads_of_persons
    inner join visits
        on
            leads_of_persons.person_id = visits.person_id
            and leads_of_persons.created_at >= visits.started_at
            and leads_of_persons.created_at <= visits.contacts_until
    where leads_of_persons.contact_channel <> 'call'
    order by
        leads_of_persons.account_id asc,
        leads_of_persons.lead_id asc,
        (leads_of_persons.ym_client_id is not distinct from visits.browser_id) desc,
        visits.started_at desc,
        visits.visit_id asc

),

placed as (

    select
        leads_of_persons.crm,
        leads_of_persons.account_id,
        leads_of_persons.lead_id,
        leads_of_persons.person_id,
        leads_of_persons.contact_id,
        leads_of_persons.ym_client_id,
        leads_of_persons.title,
        leads_of_persons.status_id,
        leads_of_persons.semantic_id,
        leads_of_persons.source_id,
        leads_of_persons.contact_channel,
        leads_of_persons.manager_id,
        leads_of_persons.created_at,
        leads_of_persons.created_date,
        leads_of_persons.moved_at,
        leads_of_persons.closed_at,
        leads_of_persons.utm_source,
        leads_of_persons.utm_medium,
        leads_of_persons.utm_campaign,
        leads_of_persons.utm_content,
        leads_of_persons.utm_term,
        leads_by_calls.call_id,
        coalesce(leads_by_calls.visit_id, leads_in_visits.visit_id) as visit_id,
        -- without a call or a visit, only its tags can make a lead a touch of its own
        leads_by_calls.call_id is null
        and leads_in_visits.visit_id is null
        and leads_of_persons.utm_source is not null as is_own_touch,
        case
            when leads_by_calls.call_id is not null
                then leads_by_calls.touchpoint_id
            when leads_in_visits.visit_id is not null
                then leads_in_visits.touchpoint_id
            when leads_of_persons.utm_source is not null
                then {{ surrogate_key([
                    "'lead'", 'leads_of_persons.account_id', 'leads_of_persons.lead_id',
                ]) }}
        end as touchpoint_id
    from leads_of_persons
    left join leads_by_calls
        on
            leads_of_persons.account_id = leads_by_calls.account_id
            and leads_of_persons.lead_id = leads_by_calls.lead_id
    left join leads_in_visits
        on
            leads_of_persons.account_id = leads_in_visits.account_id
            and leads_of_persons.lead_id = leads_in_visits.lead_id

)

select * from placed
