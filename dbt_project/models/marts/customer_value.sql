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

ltv_curve as (

    select * from {{ ref('ltv_curve') }}
    where is_prediction

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
        ltv_curve.repeat_ratio,
        ltv_curve.age_days as ltv_days,
        (turned_long.customers)::numeric(20, 9) as new_customers,
        (turned_long.revenue)::numeric(28, 11) as first_revenue,
        (turned_long.revenue * (1 + ltv_curve.repeat_ratio))::numeric(28, 11)
            as predicted_ltv,
        coalesce(ltv_curve.customers, 0) as matured_customers
    from turned_long
    left join ltv_curve on true
    where turned_long.customers <> 0 or turned_long.revenue <> 0

)

select * from predicted
