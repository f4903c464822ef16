-- For every model and date basis, what first sales brought, attributed or not, is what
-- they brought; predicted_ltv is that times one number, as the test
-- performance_daily_has_no_double_count sees.
with

conversions as (

    select * from {{ ref('int_conversions') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

customers as (

    select coalesce(sum(revenue_amount), 0) as first_revenue
    from conversions
    where credited_as = 'sale'

),

attributed as (

    select
        attribution_model,
        date_basis,
        sum(first_revenue) as first_revenue
    from results
    group by attribution_model, date_basis

)

select
    attributed.attribution_model,
    attributed.date_basis,
    attributed.first_revenue as attributed_first_revenue,
    customers.first_revenue
from attributed
cross join customers
where attributed.first_revenue <> customers.first_revenue
