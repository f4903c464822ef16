with

leads as (

    select * from {{ ref('int_leads_placed') }}

),

history as (

    select * from {{ ref('int_stage_history') }}
    where entity = 'lead'

),

deals as (

    select * from {{ ref('int_deals') }}

),

statuses as (

    select * from {{ ref('int_statuses_unioned') }}
    where entity_id = 'STATUS'

),

stage_map as (

    select * from {{ ref('stage_map') }}
    where entity = 'lead'

),

first_deals as (

    select
        account_id,
        lead_id,
        min(created_at) as first_deal_at
    from deals
    where lead_id is not null
    group by account_id, lead_id

),

-- a lead that was qualified once stays so, wherever it went then
qualifications as (

    select
        history.account_id,
        history.entity_id as lead_id,
        min(history.entered_at) as qualified_at
    from history
    inner join stage_map
        on
            history.crm = stage_map.crm
            and history.stage_id = stage_map.stage_id
    where stage_map.is_qualified
    group by history.account_id, history.entity_id

),

judged as (

    select
        leads.*,
        statuses.status_name,
        coalesce(
            stage_map.canonical_stage, {{ stage_by_semantic('leads.semantic_id') }}
        ) as canonical_stage,
        coalesce(stage_map.is_spam, false) as is_spam,
        coalesce(stage_map.is_test, false)
        or coalesce(leads.title, '') ~* '{{ var("test_lead_title") }}' as is_test,
        coalesce(stage_map.is_duplicate, false) as is_marked_duplicate,
        least(
            qualifications.qualified_at,
            first_deals.first_deal_at,
            -- where no history is kept, the moment of the lead itself
            case
                when stage_map.is_qualified
                    then coalesce(leads.moved_at, leads.created_at)
            end
        ) as qualified_at
    from leads
    left join statuses
        on
            leads.crm = statuses.source
            and leads.account_id = statuses.account_id
            and leads.status_id = statuses.status_id
    left join stage_map
        on
            leads.crm = stage_map.crm
            and leads.status_id = stage_map.stage_id
    left join qualifications
        on
            leads.account_id = qualifications.account_id
            and leads.lead_id = qualifications.lead_id
    left join first_deals
        on
            leads.account_id = first_deals.account_id
            and leads.lead_id = first_deals.lead_id

),

with_previous as (

    select
        *,
        case
            when not is_spam and not is_test
                then lag(lead_id) over leads_of_person
        end as previous_lead_id,
        case
            when not is_spam and not is_test
                then lag(created_at) over leads_of_person
        end as previous_created_at
    from judged
    window leads_of_person as (
        partition by person_id, is_spam or is_test order by created_at, lead_id
    )

),

deals_closed as (

    select
        person_id,
        closed_at
    from deals
    where closed_at is not null

),

-- a person whose deal was closed since comes with something new
returned as (

    select distinct
        with_previous.account_id,
        with_previous.lead_id
    from with_previous
    inner join deals_closed
        on
            with_previous.person_id = deals_closed.person_id
            and with_previous.previous_created_at < deals_closed.closed_at
            and with_previous.created_at >= deals_closed.closed_at

),

with_duplicates as (

    select
        with_previous.*,
        case
            when
                with_previous.previous_created_at
                >= with_previous.created_at
                - make_interval(days => {{ var('lead_duplicate_days') }})
                and returned.lead_id is null
                then with_previous.previous_lead_id
        end as duplicate_of_lead_id
    from with_previous
    left join returned
        on
            with_previous.account_id = returned.account_id
            and with_previous.lead_id = returned.lead_id

),

resolved as (

    select
        lead_id,
        account_id,
        crm,
        person_id,
        contact_id,
        created_at,
        created_date,
        closed_at,
        coalesce(status_id, '(none)') as status_id,
        status_name,
        canonical_stage,
        source_id,
        contact_channel,
        is_spam,
        is_test,
        is_marked_duplicate or duplicate_of_lead_id is not null as is_duplicate,
        duplicate_of_lead_id,
        not is_spam
        and not is_test
        and not is_marked_duplicate
        and duplicate_of_lead_id is null as is_valid,
        qualified_at is not null as is_qualified,
        qualified_at,
        {{ reporting_date('qualified_at') }} as qualified_date,
        manager_id,
        touchpoint_id,
        visit_id,
        call_id,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term
    from with_duplicates

)

select * from resolved
