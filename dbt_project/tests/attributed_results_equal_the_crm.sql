-- Under every model and date basis the leads, deals and sales are those of the CRM.
with

leads as (

    select * from {{ ref('int_leads') }}

),

deals as (

    select * from {{ ref('int_deals') }}

),

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

offline_sales as (

    select * from {{ ref('int_offline_sales') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

lead_counts as (

    select
        count(*) as leads_raw,
        count(*) filter (where is_valid) as leads,
        count(*) filter (where is_spam) as leads_spam,
        count(*) filter (where is_duplicate) as leads_duplicate,
        count(*) filter (where is_valid and is_qualified) as qualified_leads
    from leads

),

deal_counts as (

    select count(*) as deals
    from deals

),

sale_counts as (

    select
        count(*) filter (where amounts.line_kind = 'sale') as sales_gross,
        count(*) filter (where amounts.line_kind = 'sale')
        - count(*) filter (where amounts.is_full_refund) as sales,
        count(
            distinct coalesce(
                deals.person_id,
                offline_sales.person_id,
                concat_ws('|', amounts.account_id, amounts.deal_id, amounts.sale_id)
            )
        ) filter (where amounts.line_kind = 'sale') as new_customers
    from sale_lines as amounts
    left join deals
        on
            amounts.account_id = deals.account_id
            and amounts.deal_id = deals.deal_id
    left join offline_sales
        on
            amounts.account_id = offline_sales.account_id
            and amounts.sale_id = offline_sales.sale_id

),

totals as (

    select
        attribution_model,
        date_basis,
        sum(leads_raw) as leads_raw,
        sum(leads) as leads,
        sum(leads_spam) as leads_spam,
        sum(leads_duplicate) as leads_duplicate,
        sum(qualified_leads) as qualified_leads,
        sum(deals) as deals,
        sum(sales_gross) as sales_gross,
        sum(sales) as sales,
        sum(new_customers) as new_customers
    from results
    group by attribution_model, date_basis

),

compared as (

    select
        totals.attribution_model,
        totals.date_basis,
        metrics.metric,
        metrics.crm_count,
        metrics.attributed_count
    from totals
    cross join lead_counts
    cross join deal_counts
    cross join sale_counts
    cross join lateral (
        values
        ('leads_raw', lead_counts.leads_raw, totals.leads_raw),
        ('leads', lead_counts.leads, totals.leads),
        ('leads_spam', lead_counts.leads_spam, totals.leads_spam),
        ('leads_duplicate', lead_counts.leads_duplicate, totals.leads_duplicate),
        ('qualified_leads', lead_counts.qualified_leads, totals.qualified_leads),
        ('deals', deal_counts.deals, totals.deals),
        ('sales_gross', sale_counts.sales_gross, totals.sales_gross),
        ('sales', sale_counts.sales, totals.sales),
        ('new_customers', sale_counts.new_customers, totals.new_customers)
    ) as metrics (metric, crm_count, attributed_count)

)

select * from compared
where crm_count <> attributed_count
