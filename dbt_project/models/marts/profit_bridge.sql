with

performance as (

    select * from {{ ref('performance_daily') }}

),

-- costs of goods are known only where the margin is; what is left of the revenue
-- stands under a name of its own, so that the steps always end at the profit
steps as (

    select
        performance.date,
        performance.date_basis,
        performance.attribution_model,
        performance.channel_name,
        performance.campaign_name,
        performance.keyword,
        steps.step,
        cast(steps.amount as numeric(28, 11)) as amount
    from performance
    cross join lateral (
        values
        ('1. Выручка', performance.revenue),
        (
            case
                when performance.sales_without_margin = 0 then '2. Себестоимость'
                else '2. Маржа неизвестна'
            end,
            performance.margin - performance.revenue
        ),
        ('3. Реклама', -performance.cost_amount)
    ) as steps (step, amount)

)

select * from steps
where amount <> 0
