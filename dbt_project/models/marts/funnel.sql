with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

deals as (

    select * from {{ ref('int_deals') }}

),

stage_history as (

    select * from {{ ref('int_stage_history') }}

),

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

-- each lead and deal with the one touch it is credited to: a whole one, so that the
-- funnel counts whole people
credited as (

    select
        conversions.conversion_id,
        conversions.conversion_kind,
        conversions.account_id,
        conversions.lead_id,
        conversions.deal_id,
        credits.touch_date as cohort_date,
        coalesce(touchpoints.channel, '(not attributed)') as channel
    from conversions
    inner join credits
        on
            conversions.conversion_id = credits.conversion_id
            and credits.last_non_direct = 1
    left join touchpoints on credits.touchpoint_id = touchpoints.touchpoint_id
    where
        conversions.conversion_kind in ('lead', 'deal')
        or (
            conversions.conversion_kind in ('sale', 'repeat_sale')
            and conversions.deal_id is null
        )

),

last_lead_stages as (

    select distinct on (account_id, entity_id)
        account_id,
        entity_id as lead_id,
        semantic
    from stage_history
    where entity = 'lead'
    order by
        account_id asc,
        entity_id asc,
        entered_at desc,
        sort desc,
        stage_history_id desc

),

leads_with_deal as (

    select distinct
        account_id,
        lead_id
    from deals
    where lead_id is not null

),

leads_in_cohorts as (

    select
        credited.cohort_date,
        credited.channel,
        leads.account_id,
        leads.lead_id,
        leads.call_id,
        leads.is_valid,
        leads.is_qualified,
        leads_with_deal.lead_id is not null as has_deal,
        coalesce(last_lead_stages.semantic = 'lost', false) as is_lost
    from leads
    inner join credited
        on
            leads.account_id = credited.account_id
            and leads.lead_id = credited.lead_id
            and credited.conversion_kind = 'lead'
    left join last_lead_stages
        on
            leads.account_id = last_lead_stages.account_id
            and leads.lead_id = last_lead_stages.lead_id
    left join leads_with_deal
        on
            leads.account_id = leads_with_deal.account_id
            and leads.lead_id = leads_with_deal.lead_id

),

money_of_sales as (

    select
        account_id,
        deal_id,
        'sale|' || account_id || '|counter|' || sale_id as counter_id,
        sum(line_amount) as net_amount,
        bool_or(is_full_refund) as is_refunded
    from sale_lines
    group by account_id, deal_id, sale_id

),

-- a deal stays in the cohort of its lead; only one without a lead has its own
deals_in_cohorts as (

    select
        deals.semantic,
        coalesce(deals.amount, 0) as amount,
        coalesce(money_of_sales.net_amount, 0) as net_amount,
        coalesce(money_of_sales.is_refunded, false) as is_refunded,
        coalesce(leads_in_cohorts.cohort_date, credited.cohort_date) as cohort_date,
        coalesce(leads_in_cohorts.channel, credited.channel) as channel,
        money_of_sales.deal_id is not null as is_sale
    from deals
    inner join credited
        on
            deals.account_id = credited.account_id
            and deals.deal_id = credited.deal_id
            and credited.conversion_kind = 'deal'
    left join money_of_sales
        on
            deals.account_id = money_of_sales.account_id
            and deals.deal_id = money_of_sales.deal_id
    left join leads_in_cohorts
        on
            deals.account_id = leads_in_cohorts.account_id
            and deals.lead_id = leads_in_cohorts.lead_id

),

-- a lead made from a call is that call; the earliest, when a call made several
leads_of_calls as (

    select distinct on (call_id)
        call_id,
        cohort_date,
        channel,
        is_valid
    from leads_in_cohorts
    where call_id is not null
    order by call_id asc, is_valid desc, account_id asc, lead_id asc

),

steps as (

    select
        touch_date as cohort_date,
        channel,
        'visits' as funnel_stage,
        contact_kind is not null as is_reached,
        contact_kind is null as is_lost,
        0 as value_amount
    from touchpoints
    where touch_kind = 'visit'
    union all
    select
        coalesce(leads_of_calls.cohort_date, calls.call_date) as cohort_date,
        coalesce(leads_of_calls.channel, calls.channel) as channel,
        'contacts' as funnel_stage,
        coalesce(leads_of_calls.is_valid, false) as is_reached,
        not coalesce(leads_of_calls.is_valid, false) as is_lost,
        0 as value_amount
    from calls
    left join leads_of_calls on calls.call_id = leads_of_calls.call_id
    union all
    select
        cohort_date,
        channel,
        'contacts' as funnel_stage,
        is_valid as is_reached,
        not is_valid as is_lost,
        0 as value_amount
    from leads_in_cohorts
    where call_id is null
    union all
    select
        cohort_date,
        channel,
        'leads' as funnel_stage,
        is_qualified as is_reached,
        is_lost and not is_qualified as is_lost,
        0 as value_amount
    from leads_in_cohorts
    where is_valid
    union all
    select
        cohort_date,
        channel,
        'qualified' as funnel_stage,
        has_deal as is_reached,
        is_lost and not has_deal as is_lost,
        0 as value_amount
    from leads_in_cohorts
    where is_valid and is_qualified
    union all
    select
        cohort_date,
        channel,
        'deals' as funnel_stage,
        is_sale as is_reached,
        -- one that was paid and then given up was a sale
        semantic = 'lost' and not is_sale as is_lost,
        amount as value_amount
    from deals_in_cohorts
    union all
    select
        cohort_date,
        channel,
        'sales' as funnel_stage,
        not is_refunded as is_reached,
        is_refunded as is_lost,
        net_amount as value_amount
    from deals_in_cohorts
    where is_sale
    union all
    -- at the counter nobody was a lead before
    select
        credited.cohort_date,
        credited.channel,
        'sales' as funnel_stage,
        not money_of_sales.is_refunded as is_reached,
        money_of_sales.is_refunded as is_lost,
        money_of_sales.net_amount as value_amount
    from credited
    inner join money_of_sales on credited.conversion_id = money_of_sales.counter_id

),

stages (funnel_stage, stage_sort) as (

    values
    ('visits', 1),
    ('contacts', 2),
    ('leads', 3),
    ('qualified', 4),
    ('deals', 5),
    ('sales', 6)

),

counted as (

    select
        steps.cohort_date,
        steps.channel,
        steps.funnel_stage,
        stages.stage_sort,
        cast(sum(steps.value_amount) as numeric(18, 2)) as value_amount,
        count(*) as entered,
        count(*) filter (where steps.is_reached) as reached,
        count(*) filter (where steps.is_lost) as lost
    from steps
    inner join stages on steps.funnel_stage = stages.funnel_stage
    group by
        steps.cohort_date,
        steps.channel,
        steps.funnel_stage,
        stages.stage_sort

)

select * from counted
