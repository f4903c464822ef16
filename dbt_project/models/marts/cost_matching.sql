with

match_steps as (

    select * from {{ ref('int_match_steps') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where platform is not null and touch_kind = 'visit'

),

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

visits_of_steps as (

    select
        touch_date,
        channel,
        platform,
        match_step,
        coalesce(account_id, '(none)') as account_id,
        coalesce(campaign_id, '(none)') as campaign_id,
        coalesce(ad_group_id, '(none)') as ad_group_id,
        coalesce(keyword_key, '(none)') as keyword_key,
        coalesce(placement, '(none)') as placement,
        count(*) as visits,
        sum(count(*)) over (
            partition by
                touch_date,
                channel,
                platform,
                coalesce(account_id, '(none)'),
                coalesce(campaign_id, '(none)'),
                coalesce(ad_group_id, '(none)'),
                coalesce(keyword_key, '(none)'),
                coalesce(placement, '(none)')
        ) as visits_of_key
    from touchpoints
    group by
        touch_date,
        channel,
        platform,
        match_step,
        coalesce(account_id, '(none)'),
        coalesce(campaign_id, '(none)'),
        coalesce(ad_group_id, '(none)'),
        coalesce(keyword_key, '(none)'),
        coalesce(placement, '(none)')

),

costs_of_keys as (

    select
        cost_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(cost_amount) as cost_amount
    from costs
    group by
        cost_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement

),

-- a key's cost of a day is borne by its visits, each the same
costs_of_steps as (

    select
        costs_of_keys.platform,
        date_trunc('month', costs_of_keys.cost_date)::date as cost_month,
        coalesce(visits_of_steps.match_step, '(no visit)') as match_step,
        sum(
            costs_of_keys.cost_amount
            * coalesce(visits_of_steps.visits / visits_of_steps.visits_of_key, 1)
        ) as cost_amount
    from costs_of_keys
    left join visits_of_steps
        on
            costs_of_keys.cost_date = visits_of_steps.touch_date
            and costs_of_keys.channel = visits_of_steps.channel
            and costs_of_keys.platform = visits_of_steps.platform
            and costs_of_keys.account_id = visits_of_steps.account_id
            and costs_of_keys.campaign_id = visits_of_steps.campaign_id
            and costs_of_keys.ad_group_id = visits_of_steps.ad_group_id
            and costs_of_keys.keyword_key = visits_of_steps.keyword_key
            and costs_of_keys.placement = visits_of_steps.placement
    group by
        date_trunc('month', costs_of_keys.cost_date)::date,
        costs_of_keys.platform,
        coalesce(visits_of_steps.match_step, '(no visit)')

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
