with

versions as (

    select * from {{ source('attribution', 'fitted_versions') }}
    where is_current

),

weights as (

    select * from {{ source('attribution', 'fitted_weights') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

kinds (conversion_kind, fitted_kind) as (

    values
    {%- for conversion_kind, fitted_kind in pairs_of('markov_fitted_kind') %}
    ('{{ conversion_kind }}', '{{ fitted_kind }}'){{ ',' if not loop.last }}
    {%- endfor %}

),

-- what nobody touched is not Markov's to share out
without_touch as (

    select conversion_id
    from credits
    where touches_count = 0

),

totals as (

    select
        conversions.credited_as as conversion_kind,
        cast(date_trunc('month', conversions.attributed_date) as date)
            as conversion_month,
        without_touch.conversion_id is null as is_touched,
        -- later payments and refunds belong to the sale that they follow
        count(*) filter (
            where conversions.conversion_kind = conversions.credited_as
        ) as conversions,
        sum(conversions.revenue_amount) as revenue,
        sum(conversions.margin_amount) as margin
    from conversions
    left join without_touch
        on conversions.conversion_id = without_touch.conversion_id
    group by
        cast(date_trunc('month', conversions.attributed_date) as date),
        conversions.credited_as,
        without_touch.conversion_id is null

),

shares as (

    select
        versions.conversion_month,
        kinds.conversion_kind,
        weights.channel,
        versions.version_id,
        versions.period_from,
        weights.removal_effect,
        -- running shares in billionths; their differences add up to 1
        round(
            cast(
                sum(weights.effect_share) over so_far
                / nullif(sum(weights.effect_share) over all_channels, 0) as numeric
            ), 9
        ) as share_so_far
    from versions
    inner join weights on versions.version_id = weights.version_id
    inner join kinds on versions.fitted_kind = kinds.fitted_kind
    window
        so_far as (
            partition by versions.version_id, kinds.conversion_kind
            order by weights.channel collate "C"
            rows between unbounded preceding and current row
        ),
        all_channels as (
            partition by versions.version_id, kinds.conversion_kind
            order by weights.channel collate "C"
            rows between unbounded preceding and unbounded following
        )

),

whole_shares as (

    select
        conversion_month,
        conversion_kind,
        channel,
        version_id,
        period_from,
        removal_effect,
        share_so_far - lag(share_so_far, 1, 0) over (
            partition by conversion_month, conversion_kind
            order by channel collate "C"
        ) as effect_share
    from shares
    where share_so_far is not null

),

shared as (

    select
        totals.conversion_month,
        totals.conversion_kind,
        whole_shares.version_id,
        whole_shares.period_from,
        whole_shares.removal_effect,
        totals.conversions,
        totals.revenue,
        totals.margin,
        coalesce(whole_shares.channel, '(not attributed)') as channel,
        coalesce(whole_shares.effect_share, 1) as effect_share
    from totals
    left join whole_shares
        on
            totals.conversion_month = whole_shares.conversion_month
            and totals.conversion_kind = whole_shares.conversion_kind
            and totals.is_touched

),

summed as (

    select
        conversion_month,
        conversion_kind,
        channel,
        cast(
            max(effect_share) filter (where channel <> '(not attributed)')
            as numeric(10, 9)
        ) as effect_share,
        cast(sum(effect_share * conversions) as numeric(20, 9)) as conversions,
        cast(sum(effect_share * revenue) as numeric(28, 11)) as revenue,
        cast(sum(effect_share * margin) as numeric(28, 11)) as margin,
        max(version_id) as version_id,
        max(period_from) as period_from,
        max(removal_effect) as removal_effect
    from shared
    group by conversion_month, conversion_kind, channel

)

select * from summed
