with

match_steps as (

    select * from {{ ref('int_match_steps') }}

),

visit_costs as (

    select * from {{ ref('int_visit_costs') }}

),

daily_costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

costs as (

    select
        platform,
        cost_date,
        cost_amount,
        {{ cost_key('cost_date') }} as cost_key
    from daily_costs

),

costs_of_visits as (

    select
        platform,
        match_step,
        date_trunc('month', touch_date)::date as cost_month,
        sum(visit_cost) as cost_amount
    from visit_costs
    group by date_trunc('month', touch_date)::date, platform, match_step

),

costs_without_visits as (

    select
        platform,
        '(no visit)' as match_step,
        date_trunc('month', cost_date)::date as cost_month,
        sum(cost_amount) as cost_amount
    from costs
    where
        not exists (
            select 1
            from visit_costs
            where visit_costs.cost_key = costs.cost_key
        )
    group by date_trunc('month', cost_date)::date, platform

),

costs_of_steps as (

    select * from costs_of_visits
    union all
    select * from costs_without_visits

),

counted as (

    select
        platform,
        match_step,
        date_trunc('month', touch_date)::date as cost_month,
        sum(touches_count) as visits,
        sum(with_keyword_count) as visits_with_keyword,
        sum(with_cost_count) as visits_with_cost
    from match_steps
    where touch_kind = 'visit'
    group by date_trunc('month', touch_date)::date, platform, match_step

),

steps as (

    select
        coalesce(counted.cost_month, costs_of_steps.cost_month) as cost_month,
        coalesce(counted.platform, costs_of_steps.platform) as platform,
        coalesce(counted.match_step, costs_of_steps.match_step) as match_step,
        coalesce(counted.visits, 0) as visits,
        coalesce(counted.visits_with_keyword, 0) as visits_with_keyword,
        coalesce(counted.visits_with_cost, 0) as visits_with_cost,
        coalesce(costs_of_steps.cost_amount, 0) as cost_amount
    from counted
    full outer join costs_of_steps
        on
            counted.cost_month = costs_of_steps.cost_month
            and counted.platform = costs_of_steps.platform
            and counted.match_step = costs_of_steps.match_step

),

with_shares as (

    select
        cost_month,
        platform,
        match_step,
        visits::bigint as visits,
        visits_with_keyword::bigint as visits_with_keyword,
        visits_with_cost::bigint as visits_with_cost,
        cost_amount::numeric(18, 6) as cost_amount,
        (visits / nullif(sum(visits) over whole, 0))::numeric(10, 9) as visits_share,
        (cost_amount / nullif(sum(cost_amount) over whole, 0))::numeric(10, 9)
            as cost_share
    from steps
    window whole as (partition by cost_month, platform)

)

select * from with_shares
