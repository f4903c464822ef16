{{ config(indexes=[{'columns': ['touchpoint_id'], 'unique': true}]) }}

with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where touch_kind = 'visit'

),

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

-- day and place as one text: the planner takes eight equal columns for eight reasons to
-- expect one row
visits as (

    select
        touchpoint_id,
        touch_date,
        platform,
        match_step,
        {{ cost_key('touch_date') }} as cost_key
    from touchpoints

),

visits_of_keys as (

    select
        cost_key,
        count(*) as visits
    from visits
    group by cost_key

),

costs_of_days as (

    select
        spend_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(spend_amount) as cost_amount
    from spend
    group by
        spend_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement

),

costs_of_keys as (

    select
        {{ cost_key('spend_date') }} as cost_key,
        sum(cost_amount) as cost_amount
    from costs_of_days
    group by {{ cost_key('spend_date') }}

),

-- what one visit by a keyword cost on a day, whatever the attribution model
costs_of_visits as (

    select
        costs_of_keys.cost_key,
        cast(
            costs_of_keys.cost_amount / visits_of_keys.visits as numeric(28, 12)
        ) as visit_cost
    from costs_of_keys
    inner join visits_of_keys on costs_of_keys.cost_key = visits_of_keys.cost_key

),

visit_costs as (

    select
        visits.touchpoint_id,
        visits.touch_date,
        visits.platform,
        visits.match_step,
        visits.cost_key,
        costs_of_visits.visit_cost
    from visits
    inner join costs_of_visits on visits.cost_key = costs_of_visits.cost_key

)

select * from visit_costs
