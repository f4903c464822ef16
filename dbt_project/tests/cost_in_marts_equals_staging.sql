-- Per day and account: what the platforms' staging holds is what the marts show.
with

ad_spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

performance as (

    select * from {{ ref('performance_daily') }}
    where attribution_model = 'linear' and date_basis = 'by_payment'

),

figures as (

    select
        'staged' as place,
        spend_date as cost_date,
        platform,
        account_id,
        spend_amount as cost_amount,
        spend_amount_with_vat as cost_amount_with_vat,
        impressions,
        clicks
    from ad_spend
    union all
    select
        'stored' as place,
        cost_date,
        platform,
        account_id,
        cost_amount,
        cost_amount_with_vat,
        impressions,
        clicks
    from costs
    union all
    select
        'shown' as place,
        date as cost_date,
        platform,
        account_id,
        cost_amount,
        cost_amount_with_vat,
        impressions,
        clicks
    from performance

),

-- a staged figure is right when the mart and the view hold it too
places (place, staged_sign, stored_sign) as (

    values
    ('staged', 1, 0),
    ('stored', -1, 1),
    ('shown', 0, -1)

),

differences as (

    select
        figures.cost_date,
        figures.platform,
        figures.account_id,
        sum(places.staged_sign * figures.cost_amount) as cost_lost_on_the_way,
        sum(
            places.staged_sign * figures.cost_amount_with_vat
        ) as vat_cost_lost_on_the_way,
        sum(places.staged_sign * figures.impressions) as impressions_lost_on_the_way,
        sum(places.staged_sign * figures.clicks) as clicks_lost_on_the_way,
        sum(places.stored_sign * figures.cost_amount) as cost_lost_in_the_view,
        sum(
            places.stored_sign * figures.cost_amount_with_vat
        ) as vat_cost_lost_in_the_view,
        sum(places.stored_sign * figures.impressions) as impressions_lost_in_the_view,
        sum(places.stored_sign * figures.clicks) as clicks_lost_in_the_view
    from figures
    inner join places on figures.place = places.place
    group by figures.cost_date, figures.platform, figures.account_id

)

select * from differences
where
    cost_lost_on_the_way <> 0
    or vat_cost_lost_on_the_way <> 0
    or impressions_lost_on_the_way <> 0
    or clicks_lost_on_the_way <> 0
    or cost_lost_in_the_view <> 0
    or vat_cost_lost_in_the_view <> 0
    or impressions_lost_in_the_view <> 0
    or clicks_lost_in_the_view <> 0
