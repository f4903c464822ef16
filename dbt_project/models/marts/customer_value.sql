{% set models = attribution_models() %}

with

conversions as (

    select * from {{ ref('int_conversions') }}

),

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

build_info as (

    select * from {{ ref('build_info') }}

),

-- payments and refunds of a sale are its money
money as (

    select
        credited_as,
        attributed_at,
        attributed_date,
        revenue_amount,
        coalesce(person_id, conversion_id) as customer_id
    from conversions
    where credited_as in ('sale', 'repeat_sale')

),

customers as (

    select
        customer_id,
        min(attributed_at) as first_sold_at,
        min(attributed_date) as first_sold_date,
        sum(revenue_amount) as first_revenue
    from money
    where credited_as = 'sale'
    group by customer_id

),

repeats as (

    select
        customers.customer_id,
        sum(money.revenue_amount) as repeat_revenue
    from customers
    inner join money
        on
            customers.customer_id = money.customer_id
            and money.credited_as = 'repeat_sale'
            and money.attributed_at < customers.first_sold_at
            + make_interval(days => {{ var('ltv_matured_days') }})
    group by customers.customer_id

),

-- one row: what a rouble of first sales has brought again, once its time was up
matured as (

    select
        count(customers.customer_id) as matured_customers,
        sum(coalesce(repeats.repeat_revenue, 0))
        / nullif(greatest(sum(customers.first_revenue), 0), 0) as repeat_ratio
    from customers
    inner join build_info
        on
            customers.first_sold_date
            <= build_info.as_of - {{ var('ltv_matured_days') }}
    left join repeats on customers.customer_id = repeats.customer_id

),

summed_wide as (

    select
        {% for model in models %}
        sum(
            credits.{{ model.name }}
            * (conversions.conversion_kind = 'sale')::integer
        ) as {{ model.name }}_customers,
        sum(credits.{{ model.name }} * conversions.revenue_amount)
            as {{ model.name }}_revenue,
        {% endfor %}
        date_trunc('month', conversions.attributed_date)::date
            as first_sale_month,
        coalesce(touchpoints.channel, '(not attributed)') as channel
    from credits
    inner join conversions on credits.conversion_id = conversions.conversion_id
    left join touchpoints on credits.touchpoint_id = touchpoints.touchpoint_id
    where conversions.credited_as = 'sale'
    group by
        date_trunc('month', conversions.attributed_date)::date,
        coalesce(touchpoints.channel, '(not attributed)')

),

turned_long as (

    select
        summed_wide.first_sale_month,
        summed_wide.channel,
        models.attribution_model,
        models.customers,
        models.revenue
    from summed_wide
    cross join lateral (
        values
        {% for model in models %}
        (
            '{{ model.name }}', summed_wide.{{ model.name }}_customers,
            summed_wide.{{ model.name }}_revenue
        ){{ ',' if not loop.last }}
        {% endfor %}
    ) as models (attribution_model, customers, revenue)

),

predicted as (

    select
        turned_long.first_sale_month,
        turned_long.channel,
        turned_long.attribution_model,
        matured.matured_customers,
        (turned_long.customers)::numeric(20, 9) as new_customers,
        (turned_long.revenue)::numeric(28, 11) as first_revenue,
        (matured.repeat_ratio)::numeric(20, 9) as repeat_ratio,
        (turned_long.revenue * (1 + matured.repeat_ratio))::numeric(28, 11)
            as predicted_ltv
    from turned_long
    cross join matured
    where turned_long.customers <> 0 or turned_long.revenue <> 0

)

select * from predicted
