-- The view joins costs, traffic, results and names: no total may grow or shrink by it.
-- Two pairs of model and basis stand for all: every pair is made by the same crossing.
with

performance as (

    select * from {{ ref('performance_daily') }}
    where
        (attribution_model = 'linear' and date_basis = 'by_click')
        or (attribution_model = 'last_non_direct' and date_basis = 'by_payment')

),

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

traffic as (

    select * from {{ ref('fct_traffic_daily') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

ltv_curve as (

    select * from {{ ref('ltv_curve') }}
    where is_prediction

),

cost_totals as (

    select
        coalesce(sum(cost_amount), 0) as cost_amount,
        coalesce(sum(clicks), 0) as clicks
    from costs

),

traffic_totals as (

    select
        coalesce(sum(visits), 0) as visits,
        coalesce(sum(calls), 0) as calls
    from traffic

),

result_totals as (

    select
        attribution_model,
        date_basis,
        sum(leads_raw) as leads_raw,
        sum(sales) as sales,
        sum(revenue) as revenue,
        sum(margin) as margin,
        sum(first_revenue) * (1 + (select ltv_curve.repeat_ratio from ltv_curve))
            as predicted_ltv
    from results
    group by attribution_model, date_basis

),

shown as (

    select
        attribution_model,
        date_basis,
        sum(cost_amount) as cost_amount,
        sum(clicks) as clicks,
        sum(visits) as visits,
        sum(calls) as calls,
        sum(leads_raw) as leads_raw,
        sum(sales) as sales,
        sum(revenue) as revenue,
        sum(margin) as margin,
        sum(predicted_ltv) as predicted_ltv
    from performance
    group by attribution_model, date_basis

),

compared as (

    select
        shown.attribution_model,
        shown.date_basis,
        metrics.metric,
        metrics.stored_total,
        metrics.shown_total
    from shown
    cross join cost_totals
    cross join traffic_totals
    left join result_totals
        on
            shown.attribution_model = result_totals.attribution_model
            and shown.date_basis = result_totals.date_basis
    cross join lateral (
        values
        ('cost_amount', cost_totals.cost_amount, shown.cost_amount),
        ('clicks', cost_totals.clicks, shown.clicks),
        ('visits', traffic_totals.visits, shown.visits),
        ('calls', traffic_totals.calls, shown.calls),
        ('leads_raw', coalesce(result_totals.leads_raw, 0), shown.leads_raw),
        ('sales', coalesce(result_totals.sales, 0), shown.sales),
        ('revenue', coalesce(result_totals.revenue, 0), shown.revenue),
        ('margin', coalesce(result_totals.margin, 0), shown.margin),
        (
            'predicted_ltv',
            coalesce(result_totals.predicted_ltv, 0),
            coalesce(shown.predicted_ltv, 0)
        )
    ) as metrics (metric, stored_total, shown_total)

)

select * from compared
where stored_total <> shown_total
