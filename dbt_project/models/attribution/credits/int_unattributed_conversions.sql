-- Judged anew by each build: a reason depends on identifiers, and those may change
-- while the person's path stays as empty as it was.
with

credits as (

    select * from {{ ref('int_attribution_credits') }}
    where touches_count = 0

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

touchpoints as not materialized (

    select * from {{ ref('int_touchpoints') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

edges as (

    select * from {{ ref('identity_edges') }}

),

-- a sale without a deal was made at the counter
unattributed as (

    select
        conversions.conversion_id,
        conversions.person_id,
        conversions.attributed_at,
        coalesce(leads.contact_channel = 'offline', false)
        or (
            conversions.deal_id is null
            and conversions.credited_as in ('sale', 'repeat_sale')
        ) as is_offline
    from credits
    inner join conversions on credits.conversion_id = conversions.conversion_id
    left join leads
        on
            conversions.account_id = leads.account_id
            and conversions.lead_id = leads.lead_id

),

persons as (

    select distinct person_id
    from unattributed
    where person_id is not null

),

touches_of_persons as (

    select
        persons.person_id,
        touchpoints.touched_at
    from persons
    inner join touchpoints on persons.person_id = touchpoints.person_id

    union all

    select
        persons.person_id,
        touchpoints.touched_at
    from persons
    inner join touchpoint_persons on persons.person_id = touchpoint_persons.person_id
    inner join touchpoints
        on touchpoint_persons.touchpoint_id = touchpoints.touchpoint_id
    where touchpoint_persons.is_shared

),

persons_first_touches as (

    select
        person_id,
        min(touched_at) as first_touched_at
    from touches_of_persons
    group by person_id

),

-- an id of the CRM alone ties nobody to a visit or a call
persons_with_identifier as (

    select distinct persons.person_id
    from persons
    inner join identifiers on persons.person_id = identifiers.person_id
    where identifiers.kind not in ('crm_contact', 'crm_lead', 'crm_deal', 'sale')

),

-- they left a phone or an e-mail, but one that tells nobody apart
persons_with_quarantined as (

    select distinct persons.person_id
    from persons
    inner join identifiers on persons.person_id = identifiers.person_id
    inner join edges
        on
            identifiers.kind = edges.left_kind
            and identifiers.identifier = edges.left_id
    where edges.why_not_joining like '% is quarantined'

),

with_reason as (

    select
        unattributed.conversion_id,
        case
            when
                persons_first_touches.first_touched_at <= unattributed.attributed_at
                then 'no touch in window'
            when
                persons_first_touches.first_touched_at > unattributed.attributed_at
                then 'touches only after the conversion'
            when unattributed.is_offline then 'offline'
            when
                persons_with_identifier.person_id is null
                and persons_with_quarantined.person_id is not null
                then 'only quarantined identifiers'
            when persons_with_identifier.person_id is null then 'no identifier'
            else 'no touch of the person'
        end as attribution_reason
    from unattributed
    left join persons_first_touches
        on unattributed.person_id = persons_first_touches.person_id
    left join persons_with_identifier
        on unattributed.person_id = persons_with_identifier.person_id
    left join persons_with_quarantined
        on unattributed.person_id = persons_with_quarantined.person_id

)

select * from with_reason
