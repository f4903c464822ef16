with

conversions as (

    select * from {{ ref('int_conversions') }}

),

builds as (

    select * from {{ source('ops', 'builds') }}

),

-- the build in the making is the newest one
this_build as (

    select as_of
    from builds
    order by build_id desc
    limit 1

),

-- payments and refunds of a sale are its money, on its day
money as (

    select
        conversions.credited_as,
        conversions.attributed_date,
        conversions.revenue_amount,
        this_build.as_of,
        coalesce(conversions.person_id, conversions.conversion_id) as customer_id
    from conversions
    inner join this_build on conversions.attributed_date <= this_build.as_of
    where conversions.credited_as in ('sale', 'repeat_sale')

),

customers as (

    select
        customer_id,
        min(attributed_date) as first_sold_date,
        min(as_of - attributed_date) as days_seen,
        sum(revenue_amount) as first_revenue
    from money
    where credited_as = 'sale'
    group by customer_id

),

seen_for as (

    select
        days_seen,
        count(*) as customers,
        sum(first_revenue) as first_revenue
    from customers
    group by days_seen

),

repeated_at as (

    select
        money.attributed_date - customers.first_sold_date as age_days,
        sum(money.revenue_amount) as repeat_revenue
    from money
    inner join customers on money.customer_id = customers.customer_id
    where money.credited_as = 'repeat_sale'
    group by money.attributed_date - customers.first_sold_date

),

ages as (

    select generate_series(0, {{ var('ltv_days') }}) as age_days

),

-- at each age only those count who were seen for as long
seen_until as (

    select
        ages.age_days,
        sum(seen_for.customers) as customers,
        sum(seen_for.first_revenue) as first_revenue
    from ages
    inner join seen_for on ages.age_days <= seen_for.days_seen
    group by ages.age_days

),

curve as (

    select
        seen_until.age_days,
        seen_until.customers,
        seen_until.first_revenue,
        coalesce(repeated_at.repeat_revenue, 0) as repeat_revenue,
        sum(
            coalesce(repeated_at.repeat_revenue, 0)
            / nullif(greatest(seen_until.first_revenue, 0), 0)
        ) over (order by seen_until.age_days) as repeat_ratio
    from seen_until
    left join repeated_at on seen_until.age_days = repeated_at.age_days
    where seen_until.customers >= {{ var('ltv_min_customers') }}

)

select
    age_days,
    customers::bigint as customers,
    first_revenue::numeric(18, 2) as first_revenue,
    repeat_revenue::numeric(18, 2) as repeat_revenue,
    -- four digits, so that what is multiplied by it stays exact
    round(repeat_ratio, 4)::numeric(20, 9) as repeat_ratio,
    age_days = max(age_days) over () as is_prediction
from curve
