{% set models = attribution_models() %}
{% set sources = var('identity_sources') %}
{% set hubs = {'visits': 'visit', 'calls': 'call', 'leads': 'crm_lead'} %}

with

deals as (

    select * from {{ ref('int_deals') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

paths as (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

reasons as (

    select * from {{ ref('int_unattributed_conversions') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

visits as (

    select * from {{ ref('int_visits') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

token_facts as (

    select * from {{ source('identity', 'token_facts') }}

),

keywords as (

    select * from {{ ref('dim_keyword') }}

),

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

traffic as (

    select * from {{ ref('fct_traffic_daily') }}

),

-- the path of a deal is that of its sale, and of its creation until it is sold
journal_conversions as (

    select distinct on (account_id, deal_id)
        account_id,
        deal_id,
        person_id,
        conversion_id,
        conversion_kind
    from conversions
    where
        deal_id is not null
        and conversion_kind in ('deal', 'sale', 'repeat_sale')
    order by account_id asc, deal_id asc, conversion_kind = 'deal' asc

),

-- a touch without credit in a model that gives all to one says which touch has it
touches_of_deals as (

    select
        journal_conversions.account_id,
        journal_conversions.deal_id,
        journal_conversions.person_id,
        journal_conversions.conversion_id,
        journal_conversions.conversion_kind,
        credits.touchpoint_id,
        credits.touch_number,
        credits.touches_count,
        credits.markov_version_id,
        {% for model in models %}
        credits.{{ model.name }},
        {% endfor %}
        paths.touches_of_channel,
        paths.last_non_direct_number,
        paths.last_paid_number,
        paths.best_rank_number,
        paths.source_rank as rank_of_source,
        paths.lead_touch_number,
        paths.deal_touch_number,
        paths.days_before_last
    from journal_conversions
    inner join credits
        on journal_conversions.conversion_id = credits.conversion_id
    left join paths
        on
            credits.conversion_id = paths.conversion_id
            and credits.touchpoint_id = paths.touchpoint_id

),

explained as (

    select
        touches_of_deals.account_id,
        touches_of_deals.deal_id,
        touches_of_deals.touchpoint_id,
        jsonb_build_object(
            {% for model in models %}
            '{{ model.name }}', case
                when touches_of_deals.touches_count = 0 then 'there is no other touch'
                {% if model.touch is defined %}
                when touches_of_deals.{{ model.name }} = 0
                    then
                        'touch ' || {{ model.touch if model.touch == '1'
                            else 'touches_of_deals.' ~ model.touch }}::text
                        || ' takes all'
                {% endif %}
                else {{ model.why | replace('source_rank', 'rank_of_source') }}
            end{{ ',' if not loop.last }}
            {% endfor %}
        ) as why
    from touches_of_deals

),

-- the records that a touch is made of, by the ids that identity gives them
records_of_touches as (

    select
        touchpoint_id,
        'visit' as left_kind,
        counter_account_id as record_account_id,
        visit_id as object_id
    from visits

    union all

    select
        touchpoint_id,
        'call' as left_kind,
        account_id as record_account_id,
        call_id as object_id
    from calls

    union all

    select
        touchpoint_id,
        'crm_lead' as left_kind,
        account_id as record_account_id,
        lead_id as object_id
    from leads

),

touches_to_explain as (

    select distinct
        person_id,
        touchpoint_id
    from touches_of_deals
    where touches_count > 0

),

named_records as (

    select
        touches_to_explain.touchpoint_id,
        touches_to_explain.person_id,
        records_of_touches.left_kind,
        sources.source,
        sources.contract,
        sources.source || ':' || records_of_touches.record_account_id || ':'
        || records_of_touches.object_id as left_id
    from touches_to_explain
    inner join records_of_touches
        on touches_to_explain.touchpoint_id = records_of_touches.touchpoint_id
    inner join (
        values
        {%- for each in sources if each['contract'] in hubs %}
        (
            '{{ each["source"] }}', '{{ each["contract"] }}',
            '{{ hubs[each["contract"]] }}'
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as sources (source, contract, left_kind)
        on records_of_touches.left_kind = sources.left_kind

),

said as (

    select
        named_records.touchpoint_id,
        named_records.person_id,
        evidence.source,
        evidence.contract,
        evidence.account_id,
        evidence.record_key,
        evidence.evidence,
        evidence.right_kind,
        evidence.right_id,
        evidence.confidence,
        identifiers.person_id is not null as is_of_person,
        coalesce(token_facts.masked, evidence.right_id) as shown_id
    from named_records
    inner join evidence
        on
            named_records.left_kind = evidence.left_kind
            and named_records.left_id = evidence.left_id
            and named_records.source = evidence.source
            and named_records.contract = evidence.contract
    left join identifiers
        on
            named_records.person_id = identifiers.person_id
            and evidence.right_kind = identifiers.kind
            -- the collation that the index has
            and evidence.right_id collate "default"  -- noqa: RF02
            = identifiers.identifier
    left join token_facts on evidence.right_id = token_facts.token

),

records as (

    select
        touchpoint_id,
        person_id,
        jsonb_agg(
            distinct jsonb_build_object(
                'source', source,
                'stream', contract,
                'account', account_id,
                'record_key', record_key
            )
        ) as raw_records,
        jsonb_agg(
            distinct jsonb_build_object(
                'kind', right_kind,
                'identifier', shown_id,
                'evidence', evidence,
                'confidence', confidence
            )
        ) filter (where is_of_person) as joined_by
    from said
    group by touchpoint_id, person_id

),

-- what one visit by a keyword cost on a day, whatever the attribution model; by one
-- key, as the planner takes seven equal columns for seven reasons to expect one row
costs_by_key as (

    select
        costs.cost_amount,
        {{ cost_key('costs', 'cost_date') }} as cost_key
    from costs

),

traffic_by_key as (

    select
        traffic.visits,
        {{ cost_key('traffic', 'traffic_date') }} as cost_key
    from traffic
    where traffic.visits > 0

),

visit_costs as (

    select
        costs_by_key.cost_key,
        costs_by_key.cost_amount / traffic_by_key.visits as visit_cost
    from costs_by_key
    inner join traffic_by_key on costs_by_key.cost_key = traffic_by_key.cost_key

),

marked_touchpoints as (

    select
        touchpoint_id,
        touched_at,
        touch_date,
        touch_kind,
        contact_kind,
        channel,
        source,
        medium,
        match_step,
        coalesce(platform, '(none)') as platform,
        coalesce(account_id, '(none)') as account_id,
        coalesce(campaign_id, '(none)') as campaign_id,
        coalesce(ad_group_id, '(none)') as ad_group_id,
        coalesce(keyword_key, '(none)') as keyword_key,
        coalesce(placement, '(none)') as placement
    from touchpoints

),

journal as (

    select
        touches_of_deals.account_id,
        touches_of_deals.deal_id,
        deals.created_date,
        touches_of_deals.person_id,
        touches_of_deals.conversion_id,
        touches_of_deals.conversion_kind,
        cast(touches_of_deals.touch_number as integer) as touch_number,
        cast(touches_of_deals.touches_count as integer) as touches_count,
        touches_of_deals.touchpoint_id,
        reasons.attribution_reason,
        marked_touchpoints.touched_at,
        marked_touchpoints.touch_kind,
        marked_touchpoints.contact_kind,
        marked_touchpoints.source,
        marked_touchpoints.medium,
        marked_touchpoints.match_step,
        keywords.campaign_name,
        keywords.keyword,
        records.joined_by,
        records.raw_records,
        {% for model in models %}
        touches_of_deals.{{ model.name }},
        {% endfor %}
        explained.why,
        coalesce(marked_touchpoints.channel, '(not attributed)') as channel,
        coalesce(marked_touchpoints.platform, '(none)') as platform,
        cast(
            case
                when marked_touchpoints.touch_kind = 'visit' then visit_costs.visit_cost
            end as numeric(18, 6)
        ) as ad_cost
    from touches_of_deals
    inner join deals
        on
            touches_of_deals.account_id = deals.account_id
            and touches_of_deals.deal_id = deals.deal_id
    inner join explained
        on
            touches_of_deals.account_id = explained.account_id
            and touches_of_deals.deal_id = explained.deal_id
            and touches_of_deals.touchpoint_id = explained.touchpoint_id
    left join reasons
        on touches_of_deals.conversion_id = reasons.conversion_id
    left join records
        on
            touches_of_deals.touchpoint_id = records.touchpoint_id
            and touches_of_deals.person_id = records.person_id
    left join marked_touchpoints
        on touches_of_deals.touchpoint_id = marked_touchpoints.touchpoint_id
    left join keywords
        on
            marked_touchpoints.platform = keywords.platform
            and marked_touchpoints.account_id = keywords.account_id
            and marked_touchpoints.campaign_id = keywords.campaign_id
            and marked_touchpoints.ad_group_id = keywords.ad_group_id
            and marked_touchpoints.keyword_key = keywords.keyword_key
    left join visit_costs
        on
            {{ cost_key('marked_touchpoints', 'touch_date') }}
            = visit_costs.cost_key

)

select * from journal
