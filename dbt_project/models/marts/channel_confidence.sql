{% set figures = ['sales', 'revenue', 'margin'] %}

with

intervals as (

    select * from {{ source('attribution', 'channel_intervals') }}

),

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

models (attribution_model) as (

    values
    {%- for model in attribution_models() %}
    ('{{ model.name }}'){{ ',' if not loop.last }}
    {%- endfor %}

),

costs_of_months as (

    select
        channel,
        date_trunc('month', cost_date)::date as conversion_month,
        sum(cost_amount) as cost_amount
    from costs
    group by date_trunc('month', cost_date)::date, channel

),

-- sales whose margin nobody knows make every margin too low
without_margin as (

    select
        channel,
        attribution_model,
        date_trunc('month', result_date)::date as conversion_month,
        sum(sales_without_margin) as sales_without_margin
    from results
    where date_basis = 'by_payment'
    group by date_trunc('month', result_date)::date, channel, attribution_model

),

estimated as (

    select
        {% for figure in figures %}
        {% for bound in ['value', 'low', 'high'] %}
        max({{ bound }}) filter (where figure = '{{ figure }}')
            as {{ figure }}_{{ bound }},
        {% endfor %}
        {% endfor %}
        conversion_month,
        channel,
        attribution_model,
        max(replicates) as replicates
    from intervals
    group by conversion_month, channel, attribution_model

),

-- a channel that cost and brought nothing has its row as well
cells as (

    select
        conversion_month,
        channel
    from estimated
    union
    select
        conversion_month,
        channel
    from costs_of_months

),

filled as (

    select
        cells.conversion_month,
        cells.channel,
        models.attribution_model,
        {% for figure in figures %}
        {% for bound in ['value', 'low', 'high'] %}
        coalesce(estimated.{{ figure }}_{{ bound }}, 0) as {{ figure }}_{{ bound }},
        {% endfor %}
        {% endfor %}
        coalesce(estimated.replicates, 0) as replicates,
        coalesce(costs_of_months.cost_amount, 0) as cost_amount,
        coalesce(without_margin.sales_without_margin, 0) as sales_without_margin
    from cells
    cross join models
    left join estimated
        on
            cells.conversion_month = estimated.conversion_month
            and cells.channel = estimated.channel
            and models.attribution_model = estimated.attribution_model
    left join costs_of_months
        on
            cells.conversion_month = costs_of_months.conversion_month
            and cells.channel = costs_of_months.channel
    left join without_margin
        on
            cells.conversion_month = without_margin.conversion_month
            and cells.channel = without_margin.channel
            and models.attribution_model = without_margin.attribution_model

),

compared as (

    select
        *,
        cost_amount > 0 and sales_without_margin = 0 as is_judged,
        avg(revenue_value) over all_models as revenue_of_models,
        max(revenue_value) over all_models
        - min(revenue_value) over all_models as revenue_between_models,
        count(*) over all_models as models_count,
        count(*) filter (
            where margin_value > cost_amount and cost_amount > 0
        ) over all_models as profitable_models
    from filled
    window all_models as (partition by conversion_month, channel)

),

judged as (

    select
        conversion_month,
        channel,
        attribution_model,
        replicates::integer as replicates,
        cost_amount::numeric(18, 6) as cost_amount,
        {% for figure in figures %}
        cast({{ figure }}_value as numeric(20, 6)) as {{ figure }},
        cast({{ figure }}_low as numeric(20, 6)) as {{ figure }}_low,
        cast({{ figure }}_high as numeric(20, 6)) as {{ figure }}_high,
        {% endfor %}
        {% for bound, name in [
            ('value', 'romi'), ('low', 'romi_low'), ('high', 'romi_high')
        ] %}
        case
            when is_judged
                then
                    cast(
                        (margin_{{ bound }} - cost_amount) / cost_amount
                        as numeric(20, 9)
                    )
        end as {{ name }},
        {% endfor %}
        sales_without_margin::numeric(20, 9) as sales_without_margin,
        (
            revenue_between_models / nullif(greatest(revenue_of_models, 0), 0)
        )::numeric(20, 9) as disagreement,
        case
            when is_judged then margin_low < cost_amount and margin_high > cost_amount
        end as crosses_break_even,
        case when cost_amount > 0 then profitable_models::integer end
            as profitable_models,
        models_count::integer as models_count,
        case
            when is_judged
                then format(
                    'profitable under %s of %s models; '
                    || 'the interval crosses break-even: %s',
                    profitable_models, models_count,
                    case
                        when margin_low < cost_amount and margin_high > cost_amount
                            then 'yes'
                        else 'no'
                    end
                )
            when cost_amount > 0 then 'some margins are unknown'
            else 'no cost is known'
        end as verdict
    from compared

)

select * from judged
