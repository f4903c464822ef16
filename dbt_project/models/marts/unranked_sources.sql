with

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

paths as (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),

source_ranks as (

    select * from {{ ref('source_ranks') }}

),

named as (

    select
        touchpoint_id,
        touch_date,
        channel,
        lower(coalesce(source, '')) as source,
        lower(coalesce(medium, '')) as medium
    from touchpoints

),

unranked as (

    select
        named.source,
        named.medium,
        count(*) as touches_count,
        min(named.touch_date) as first_touch_date,
        max(named.touch_date) as last_touch_date,
        mode() within group (order by named.channel) as channel
    from named
    left join source_ranks
        on
            named.source = coalesce(source_ranks.source, '')
            and named.medium = coalesce(source_ranks.medium, '')
            and named.touch_date
            between source_ranks.valid_from and source_ranks.valid_to
    where source_ranks.source_rank is null
    group by named.source, named.medium

),

conversions_of_sources as (

    select
        lower(coalesce(source, '')) as source,
        lower(coalesce(medium, '')) as medium,
        count(distinct conversion_id) as conversions_count
    from paths
    where touchpoint_id is not null and source_rank = 0
    group by lower(coalesce(source, '')), lower(coalesce(medium, ''))

),

with_conversions as (

    select
        unranked.source,
        unranked.medium,
        unranked.channel,
        unranked.touches_count,
        unranked.first_touch_date,
        unranked.last_touch_date,
        coalesce(conversions_of_sources.conversions_count, 0) as conversions_count
    from unranked
    left join conversions_of_sources
        on
            unranked.source = conversions_of_sources.source
            and unranked.medium = conversions_of_sources.medium

)

select * from with_conversions
