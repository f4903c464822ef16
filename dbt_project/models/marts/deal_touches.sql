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

visit_costs as (

    select * from {{ ref('int_visit_costs') }}

),

-- the path of a deal is that of its sale, and of its creation until it is sold
journal_conversions as (

    select distinct on (deals.account_id, deals.deal_id)
        deals.account_id,
        deals.deal_id,
        deals.created_date,
        conversions.person_id,
        conversions.conversion_id,
        conversions.conversion_kind
    from deals
    inner join conversions
        on
            deals.account_id = conversions.account_id
            and deals.deal_id = conversions.deal_id
            and conversions.conversion_kind in ('deal', 'sale', 'repeat_sale')
    order by
        deals.account_id asc,
        deals.deal_id asc,
        conversions.conversion_kind = 'deal' asc

),

-- a touch without credit in a model that gives all to one says which touch has it
touches_of_deals as (

    select
        journal_conversions.account_id,
        journal_conversions.deal_id,
        journal_conversions.created_date,
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
        *,
        jsonb_build_object(
            {% for model in models %}
            '{{ model.name }}', case
                when touches_count = 0 then 'there is no other touch'
                {% if model.touch is defined %}
                when {{ model.name }} = 0
                    then 'touch ' || ({{ model.touch }})::text || ' takes all'
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

-- by itself first: the planner takes the many columns by which evidence is joined for
-- many reasons to expect one row, and would join all records to it before the few
named_records as materialized (

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

marked_touchpoints as (

    select
        touchpoint_id,
        touched_at,
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
        coalesce(keyword_key, '(none)') as keyword_key
    from touchpoints

),

journal as (

    select
        explained.account_id,
        explained.deal_id,
        explained.created_date,
        explained.person_id,
        explained.conversion_id,
        explained.conversion_kind,
        cast(explained.touch_number as integer) as touch_number,
        cast(explained.touches_count as integer) as touches_count,
        explained.touchpoint_id,
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
        explained.{{ model.name }},
        {% endfor %}
        explained.why,
        coalesce(marked_touchpoints.channel, '(not attributed)') as channel,
        coalesce(marked_touchpoints.platform, '(none)') as platform,
        cast(visit_costs.visit_cost as numeric(18, 6)) as ad_cost
    from explained
    left join reasons
        on explained.conversion_id = reasons.conversion_id
    left join records
        on
            explained.touchpoint_id = records.touchpoint_id
            and explained.person_id = records.person_id
    left join marked_touchpoints
        on explained.touchpoint_id = marked_touchpoints.touchpoint_id
    left join keywords
        on
            marked_touchpoints.platform = keywords.platform
            and marked_touchpoints.account_id = keywords.account_id
            and marked_touchpoints.campaign_id = keywords.campaign_id
            and marked_touchpoints.ad_group_id = keywords.ad_group_id
            and marked_touchpoints.keyword_key = keywords.keyword_key
    left join visit_costs
        on explained.touchpoint_id = visit_costs.touchpoint_id

)

select * from journal
