-- To the kopeck, for every model and date basis: the total, and each month by the dates
-- that the CRM itself knows (by_click moves money to the months of the clicks).
-- Counted from the money, past int_conversions, so that an error there shows here.
with

deals as (

    select * from {{ ref('int_deals') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

sales as (

    select
        amounts.line_date,
        amounts.line_amount as revenue,
        coalesce(leads.created_date, deals.created_date, amounts.sold_date) as lead_date
    from sale_lines as amounts
    left join deals
        on
            amounts.account_id = deals.account_id
            and amounts.deal_id = deals.deal_id
    left join leads
        on
            deals.account_id = leads.account_id
            and deals.lead_id = leads.lead_id

),

crm_lines as (

    select
        'by_payment' as date_basis,
        to_char(line_date, 'YYYY-MM') as result_month,
        revenue
    from sales
    union all
    select
        'by_lead' as date_basis,
        to_char(lead_date, 'YYYY-MM') as result_month,
        revenue
    from sales
    union all
    select
        'by_click' as date_basis,
        'all' as result_month,
        revenue
    from sales

),

models (attribution_model) as (

    values
    {% for model in attribution_models() %}
    ('{{ model.name }}'){{ ',' if not loop.last }}
    {% endfor %}

),

crm_lines_by_model as (

    select
        models.attribution_model,
        crm_lines.date_basis,
        crm_lines.result_month,
        crm_lines.revenue as crm_revenue,
        0 as attributed_revenue
    from crm_lines
    cross join models

),

attributed_lines as (

    select
        results.attribution_model,
        results.date_basis,
        months.result_month,
        0 as crm_revenue,
        results.revenue as attributed_revenue
    from results
    cross join lateral (
        values
        (
            case
                when results.date_basis = 'by_click' then 'all'
                else to_char(results.result_date, 'YYYY-MM')
            end
        )
    ) as months (result_month)

),

lines as (

    select * from crm_lines_by_model
    union all
    select * from attributed_lines

),

compared as (

    select
        attribution_model,
        date_basis,
        result_month,
        sum(crm_revenue) as crm_revenue,
        sum(attributed_revenue) as attributed_revenue
    from lines
    group by attribution_model, date_basis, result_month

)

select * from compared
where crm_revenue <> attributed_revenue
