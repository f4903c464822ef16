with

campaign_report as (

    {{ union_of('campaign_performance', var('ad_platforms'), [
        'account_id', 'spend_date', 'impressions', 'clicks', 'spend_amount',
        'vat_included',
    ]) }}

),

vat_rates as (

    select * from {{ ref('vat_rates') }}

),

raw_totals as (

    select * from {{ ref('stg_raw_daily_totals') }}

),

ad_spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

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

deals as (

    select * from {{ ref('int_deals') }}

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

-- the account's own total is the report by campaign: fewer columns, nothing cut off
campaign_report_without_vat as (

    select
        campaign_report.source,
        campaign_report.account_id,
        campaign_report.spend_date,
        campaign_report.impressions,
        campaign_report.clicks,
        {{ without_vat(
            'campaign_report.spend_amount', 'campaign_report.vat_included',
            'vat_rates.rate'
        ) }} as spend_amount
    from campaign_report
    left join vat_rates
        on
            campaign_report.spend_date >= vat_rates.valid_from
            and campaign_report.spend_date <= vat_rates.valid_to

),

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

results_by_payment as (

    select * from results
    where date_basis = 'by_payment' and attribution_model = 'linear'

),

raw_ad_figures as (

    select
        'raw' as place,
        campaign_report_without_vat.spend_date as figure_date,
        campaign_report_without_vat.source,
        campaign_report_without_vat.account_id,
        metrics.metric,
        metrics.figure
    from campaign_report_without_vat
    cross join lateral (
        values
        ('spend', campaign_report_without_vat.spend_amount),
        ('impressions', campaign_report_without_vat.impressions),
        ('clicks', campaign_report_without_vat.clicks)
    ) as metrics (metric, figure)

),

staged_ad_figures as (

    select
        'staged' as place,
        ad_spend.spend_date as figure_date,
        ad_spend.platform as source,
        ad_spend.account_id,
        metrics.metric,
        metrics.figure
    from ad_spend
    cross join lateral (
        values
        ('spend', ad_spend.spend_amount),
        ('impressions', ad_spend.impressions),
        ('clicks', ad_spend.clicks)
    ) as metrics (metric, figure)

),

mart_ad_figures as (

    select
        'mart' as place,
        costs.cost_date as figure_date,
        costs.platform as source,
        costs.account_id,
        metrics.metric,
        metrics.figure
    from costs
    cross join lateral (
        values
        ('spend', costs.cost_amount),
        ('impressions', costs.impressions),
        ('clicks', costs.clicks)
    ) as metrics (metric, figure)

),

mart_traffic_figures as (

    select
        'mart' as place,
        traffic.traffic_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        metrics.metric,
        metrics.figure
    from traffic
    cross join lateral (
        values
        ('visits', traffic.visits),
        ('calls', traffic.calls)
    ) as metrics (metric, figure)

),

staged_sale_figures as (

    select
        'staged' as place,
        sale_lines.line_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        metrics.metric,
        metrics.figure
    from sale_lines
    cross join lateral (
        values
        ('sales', case when sale_lines.line_kind = 'sale' then 1 else 0 end),
        ('revenue', sale_lines.line_amount)
    ) as metrics (metric, figure)

),

mart_result_figures as (

    select
        'mart' as place,
        results_by_payment.result_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        metrics.metric,
        metrics.figure
    from results_by_payment
    cross join lateral (
        values
        ('leads', results_by_payment.leads_raw),
        ('deals', results_by_payment.deals),
        ('sales', results_by_payment.sales_gross),
        ('revenue', results_by_payment.revenue)
    ) as metrics (metric, figure)

),

-- one row per figure and place it was read in: the source's own words (raw), staging,
-- marts; CRM, calls and visits are compared over all accounts, marts keep none of them
figures as (

    select * from raw_ad_figures
    union all
    select * from staged_ad_figures
    union all
    select * from mart_ad_figures
    union all
    select
        'raw' as place,
        record_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        metric,
        live_rows as figure
    from raw_totals
    union all
    select
        'staged' as place,
        visit_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        'visits' as metric,
        1 as figure
    from visits
    union all
    select
        'staged' as place,
        call_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        'calls' as metric,
        1 as figure
    from calls
    union all
    select * from mart_traffic_figures
    union all
    select
        'staged' as place,
        created_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        'leads' as metric,
        1 as figure
    from leads
    union all
    select
        'staged' as place,
        created_date as figure_date,
        '(all)' as source,
        '(all)' as account_id,
        'deals' as metric,
        1 as figure
    from deals
    union all
    select * from staged_sale_figures
    union all
    select * from mart_result_figures

),

-- raw rows are not counted into deals and sales: what those are, staging decides
totals as (

    select
        figure_date,
        source,
        account_id,
        metric,
        case
            when metric not in ('deals', 'sales', 'revenue')
                then coalesce(sum(figure) filter (where place = 'raw'), 0)
        end as raw_total,
        coalesce(sum(figure) filter (where place = 'staged'), 0) as staged_total,
        coalesce(sum(figure) filter (where place = 'mart'), 0) as mart_total
    from figures
    where figure_date is not null and figure <> 0
    group by figure_date, source, account_id, metric

),

compared as (

    select
        *,
        mart_total - coalesce(raw_total, staged_total) as difference,
        case
            when metric in ('spend', 'revenue') then 0.01 else 0
        end as tolerance,
        abs(coalesce(raw_total, staged_total) - staged_total) as lost_before_staging,
        abs(staged_total - mart_total) as lost_before_marts,
        abs(
            sum(mart_total - coalesce(raw_total, staged_total)) over (
                partition by source, account_id, metric
            )
        ) as difference_of_all_days
    from totals

),

judged as (

    select
        figure_date,
        source,
        account_id,
        metric,
        tolerance,
        raw_total,
        staged_total,
        mart_total,
        difference,
        case
            when abs(difference) <= tolerance and lost_before_marts <= tolerance
                then 'ok'
            when
                lost_before_marts <= tolerance and difference_of_all_days <= tolerance
                then 'other_day'
            else 'differs'
        end as status,
        case
            when lost_before_marts > tolerance then 'staging and marts differ'
            when lost_before_staging <= tolerance then null
            when difference_of_all_days <= tolerance
                then 'the source counts it on another day'
            when metric in ('spend', 'impressions', 'clicks')
                then 'the reports by keyword and by campaign differ'
            else 'rows of raw that staging does not hold'
        end as cause
    from compared

),

typed as (

    select
        figure_date as date,
        source,
        account_id,
        metric,
        status,
        cause,
        cast(raw_total as numeric(28, 6)) as raw_total,
        cast(staged_total as numeric(28, 6)) as staged_total,
        cast(mart_total as numeric(28, 6)) as mart_total,
        cast(difference as numeric(28, 6)) as difference,
        cast(tolerance as numeric(28, 6)) as tolerance
    from judged

)

select * from typed
