{% set models = attribution_models() %}
{% set window = "make_interval(hours => 24 * "
    ~ attribution_settings('sale').window_days ~ ")" %}

with

deals as (

    select * from {{ ref('int_deals') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

deal_touches as (

    select * from {{ ref('deal_touches') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

token_facts as (

    select * from {{ source('identity', 'token_facts') }}

),

-- the path of a deal is that of its sale, and of its creation until it is sold
journal_conversions as (

    select distinct on (account_id, deal_id)
        account_id,
        deal_id,
        conversion_id,
        is_new_customer
    from conversions
    where conversion_kind in ('deal', 'sale', 'repeat_sale')
    order by account_id asc, deal_id asc, conversion_kind = 'deal' asc

),

path_touches as (

    select
        deal_touches.*,
        touchpoints.is_direct,
        touchpoints.is_paid
    from deal_touches
    inner join touchpoints on deal_touches.touchpoint_id = touchpoints.touchpoint_id

),

paths as (

    select
        account_id,
        deal_id,
        count(*) as touches_count,
        sum(ad_cost) as ad_cost_share,
        jsonb_agg(
            jsonb_build_object(
                'at', to_char(
                    touched_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
                ),
                'kind', touch_kind,
                'channel', channel,
                'campaign', campaign_name,
                'keyword', keyword,
                'credit', jsonb_build_object(
                    {% for model in models %}
                    '{{ model.name }}', {{ model.name }}{{ ',' if not loop.last }}
                    {% endfor %}
                )
            ) order by touch_number
        ) as touches,
        (array_agg(channel order by touch_number))[1] as first_channel,
        (array_agg(channel order by touch_number desc))[1] as last_channel,
        (
            array_agg(channel order by is_direct asc, touch_number desc)
        )[1] as last_non_direct_channel,
        (
            array_agg(platform order by touch_number desc) filter (where is_paid)
        )[1] as platform,
        (
            array_agg(campaign_name order by touch_number desc)
            filter (where is_paid)
        )[1] as campaign_name,
        (
            array_agg(keyword order by touch_number desc) filter (where is_paid)
        )[1] as keyword
    from path_touches
    group by account_id, deal_id

),

reasons as (

    select * from {{ ref('int_unattributed_conversions') }}

),

-- a deal's story begins after the person's deal before it
deals_in_order as (

    select
        account_id,
        deal_id,
        person_id,
        lead_id,
        created_at,
        greatest(
            created_at - {{ window }},
            lag(created_at) over (
                partition by person_id
                order by created_at, account_id, deal_id
            )
        ) as story_begins_at
    from deals

),

story_touches as (

    select
        deals_in_order.account_id,
        deals_in_order.deal_id,
        touchpoints.touched_at,
        touchpoints.touch_kind,
        min(touchpoints.touched_at) filter (
            where
            touchpoints.touch_kind <> 'visit'
            or touchpoints.contact_kind is not null
        ) over (
            partition by deals_in_order.account_id, deals_in_order.deal_id
        ) as contact_touched_at
    from deals_in_order
    inner join touchpoint_persons
        on deals_in_order.person_id = touchpoint_persons.person_id
    inner join touchpoints
        on
            touchpoint_persons.touchpoint_id = touchpoints.touchpoint_id
            and deals_in_order.created_at >= touchpoints.touched_at
            and deals_in_order.story_begins_at < touchpoints.touched_at

),

-- the session in which the person called does not count as one before
stories as (

    select
        account_id,
        deal_id,
        min(touched_at) as story_touched_at,
        min(contact_touched_at) as contact_touched_at,
        count(*) filter (
            where
            touch_kind = 'visit'
            and (contact_touched_at is null or touched_at < contact_touched_at)
        ) as sessions_before_contact
    from story_touches
    group by account_id, deal_id

),

person_phones as (

    select
        person_id,
        count(*) as phones_count
    from identifiers
    where kind = 'phone'
    group by person_id

),

-- phones before e-mails, the oldest first
person_masks as (

    select distinct on (identifiers.person_id)
        identifiers.person_id,
        token_facts.masked
    from identifiers
    inner join token_facts on identifiers.identifier = token_facts.token
    where identifiers.kind in ('phone', 'email')
    order by
        identifiers.person_id asc,
        identifiers.kind desc,
        identifiers.first_seen_at asc,
        identifiers.identifier asc

),

journal as (

    select
        deals.account_id,
        deals.deal_id,
        deals.lead_id,
        deals.person_id,
        person_masks.masked as client_masked,
        deals.created_at,
        deals.created_date,
        deals.closed_at,
        deals.closed_date,
        deals.semantic as status,
        deals.category_name,
        deals.stage_name,
        deals.canonical_stage,
        deals.manager_id,
        leads.contact_channel,
        paths.first_channel,
        paths.last_channel,
        paths.last_non_direct_channel,
        paths.platform,
        paths.campaign_name,
        paths.keyword,
        paths.touches,
        deals.amount,
        deals.refund_amount,
        deals.margin_amount,
        journal_conversions.is_new_customer,
        reasons.attribution_reason,
        cast(paths.ad_cost_share as numeric(18, 6)) as ad_cost_share,
        coalesce(
            stories.contact_touched_at, leads.created_at, deals.created_at
        ) as contacted_at,
        deals.closed_date
        - coalesce(leads.created_date, deals.created_date) as days_to_close,
        deals.semantic = 'won' and coalesce(deals.amount, 0) > 0 as is_sale,
        coalesce(person_phones.phones_count, 0) as phones_count,
        coalesce(paths.touches_count, 0) as touches_count,
        coalesce(stories.sessions_before_contact, 0) as sessions_before_contact,
        coalesce(stories.story_touched_at, deals.created_at) as story_touched_at
    from deals
    left join leads
        on
            deals.account_id = leads.account_id
            and deals.lead_id = leads.lead_id
    left join journal_conversions
        on
            deals.account_id = journal_conversions.account_id
            and deals.deal_id = journal_conversions.deal_id
    left join paths
        on
            deals.account_id = paths.account_id
            and deals.deal_id = paths.deal_id
    left join reasons
        on journal_conversions.conversion_id = reasons.conversion_id
    left join stories
        on
            deals.account_id = stories.account_id
            and deals.deal_id = stories.deal_id
    left join person_phones on deals.person_id = person_phones.person_id
    left join person_masks on deals.person_id = person_masks.person_id

),

with_days_to_contact as (

    select
        *,
        cast(
            floor(
                greatest(extract(epoch from contacted_at - story_touched_at), 0) / 86400
            ) as integer
        ) as days_to_contact
    from journal

)

select * from with_days_to_contact
