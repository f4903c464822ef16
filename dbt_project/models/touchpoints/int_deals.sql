with

deals as (

    select * from {{ ref('int_deals_unioned') }}

),

deal_contacts as (

    select * from {{ ref('int_deal_contacts_unioned') }}

),

categories as (

    select * from {{ ref('int_deal_categories_unioned') }}

),

statuses as (

    select * from {{ ref('int_statuses_unioned') }}

),

history as (

    select * from {{ ref('int_stage_history') }}
    where entity = 'deal'

),

vat_rates as (

    select * from {{ ref('vat_rates') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}
    where kind = 'crm_deal'

),

contacts_of_deals as (

    select
        account_id,
        deal_id,
        count(*) as contacts_count,
        min(contact_id) filter (where is_primary) as primary_contact_id
    from deal_contacts
    group by account_id, deal_id

),

-- when the deal came to the stage in which it is closed now
closings as (

    select
        account_id,
        entity_id as deal_id,
        stage_id,
        max(entered_at) as closed_at
    from history
    where semantic <> 'process'
    group by account_id, entity_id, stage_id

),

valued as (

    select
        deals.source,
        deals.account_id,
        deals.deal_id,
        deals.lead_id,
        deals.category_id,
        deals.stage_id,
        deals.source_id,
        deals.semantic_id,
        deals.currency_code,
        deals.amount,
        deals.margin_amount,
        deals.refund_amount,
        deals.refund_date,
        deals.vat_included,
        deals.is_return_customer,
        deals.created_at,
        deals.created_date,
        deals.manager_id,
        assigned.person_id,
        coalesce(deals.contact_id, contacts_of_deals.primary_contact_id)
            as primary_contact_id,
        coalesce(contacts_of_deals.contacts_count, 0) as contacts_count,
        categories.category_name,
        statuses.status_name as stage_name,
        statuses.sort as stage_sort,
        coalesce(
            deals.canonical_stage, {{ stage_by_semantic('deals.semantic_id') }}
        ) as canonical_stage,
        {{ semantic('deals.semantic_id') }} as semantic,
        -- the CRM knows the day; only its history knows the hour
        case
            when deals.semantic_id in ('S', 'F')
                then coalesce(
                    closings.closed_at,
                    deals.close_date::timestamp
                    at time zone '{{ var("reporting_time_zone") }}'
                )
        end as closed_at,
        case
            when deals.semantic_id in ('S', 'F')
                then coalesce(
                    deals.close_date, {{ reporting_date('closings.closed_at') }}
                )
        end as closed_date,
        vat_rates.rate as vat_rate
    from deals
    inner join assigned
        on
            {{ record_identifier('deals', 'deal_id') }} = assigned.identifier
    left join contacts_of_deals
        on
            deals.account_id = contacts_of_deals.account_id
            and deals.deal_id = contacts_of_deals.deal_id
    left join categories
        on
            deals.source = categories.source
            and deals.account_id = categories.account_id
            and deals.category_id = categories.category_id
    left join statuses
        on
            deals.source = statuses.source
            and deals.account_id = statuses.account_id
            and deals.stage_id = statuses.status_id
            and statuses.entity_id
            = case deals.category_id
                when '0' then 'DEAL_STAGE' else 'DEAL_STAGE_' || deals.category_id
            end
    left join closings
        on
            deals.account_id = closings.account_id
            and deals.deal_id = closings.deal_id
            and deals.stage_id = closings.stage_id
    left join vat_rates
        on
            case
                when deals.semantic_id = 'S'
                    then coalesce(deals.close_date, deals.created_date)
                else deals.created_date
            end between vat_rates.valid_from and vat_rates.valid_to

),

resolved as (

    select
        deal_id,
        account_id,
        source as crm,
        person_id,
        lead_id,
        primary_contact_id as contact_id,
        contacts_count,
        created_at,
        created_date,
        closed_at,
        closed_date,
        coalesce(category_id, '0') as category_id,
        category_name,
        stage_id,
        stage_name,
        canonical_stage,
        stage_sort::integer as stage_sort,
        semantic,
        round({{ without_vat('amount', 'vat_included', 'vat_rate') }}, 2)
        ::numeric(18, 2) as amount,
        round({{ with_vat('amount', 'vat_included', 'vat_rate') }}, 2)
        ::numeric(18, 2) as amount_with_vat,
        margin_amount::numeric(18, 2) as margin_amount,
        round(
            {{ without_vat('coalesce(refund_amount, 0)', 'vat_included', 'vat_rate') }},
            2
        )::numeric(18, 2) as refund_amount,
        round(
            {{ with_vat('coalesce(refund_amount, 0)', 'vat_included', 'vat_rate') }}, 2
        )::numeric(18, 2) as refund_amount_with_vat,
        refund_date,
        currency_code,
        manager_id,
        source_id,
        is_return_customer,
        false as is_deleted
    from valued

)

select * from resolved
