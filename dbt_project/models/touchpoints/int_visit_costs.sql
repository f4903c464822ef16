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

costs as (

    select
        spend_amount,
        {{ cost_key('spend_date') }} as cost_key
    from spend

),

costs_of_keys as (

    select
        cost_key,
        sum(spend_amount) as cost_amount
    from costs
    group by cost_key

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
