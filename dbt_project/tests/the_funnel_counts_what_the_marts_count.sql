-- Leads, qualified leads, deals, sales and revenue are the same here and there.
with

funnel as (

    select * from {{ ref('funnel') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}
    where attribution_model = 'last_non_direct' and date_basis = 'by_click'

),

result_totals as (

    select
        coalesce(sum(leads), 0) as leads,
        coalesce(sum(qualified_leads), 0) as qualified_leads,
        coalesce(sum(deals), 0) as deals,
        coalesce(sum(sales_gross), 0) as sales_gross,
        coalesce(sum(revenue), 0) as revenue
    from results

),

funnel_totals as (

    select
        coalesce(sum(entered) filter (where funnel_stage = 'leads'), 0) as leads,
        coalesce(
            sum(entered) filter (where funnel_stage = 'qualified'), 0
        ) as qualified_leads,
        coalesce(sum(entered) filter (where funnel_stage = 'deals'), 0) as deals,
        coalesce(sum(entered) filter (where funnel_stage = 'sales'), 0) as sales_gross,
        coalesce(sum(value_amount) filter (where funnel_stage = 'sales'), 0) as revenue
    from funnel

),

compared as (

    select
        metrics.metric,
        metrics.funnel_total,
        metrics.mart_total
    from funnel_totals
    cross join result_totals
    cross join lateral (
        values
        ('leads', funnel_totals.leads, result_totals.leads),
        (
            'qualified_leads',
            funnel_totals.qualified_leads,
            result_totals.qualified_leads
        ),
        ('deals', funnel_totals.deals, result_totals.deals),
        ('sales_gross', funnel_totals.sales_gross, result_totals.sales_gross),
        ('revenue', funnel_totals.revenue, result_totals.revenue)
    ) as metrics (metric, funnel_total, mart_total)

)

select * from compared
where funnel_total <> mart_total
