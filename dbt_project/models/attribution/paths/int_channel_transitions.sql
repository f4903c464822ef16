-- Steps between channels, for the Markov chain: every path ends in its conversion or,
-- when the person did not convert, in nothing.
{{ config(materialized='table') }}

with

paths as (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

-- the paths that a chain of each kind is fitted on
fitted_kinds as (

    select
        kinds.fitted_kind,
        kinds.conversion_kind
    from (
        values
        {%- for fitted_kind, members in pairs_of('markov_conversion_kinds') %}
        {%- set outer_last = loop.last %}
        {%- for member in members %}
        ('{{ fitted_kind }}', '{{ member }}'){{ ',' if not (loop.last and outer_last) }}
        {%- endfor %}
        {%- endfor %}
    ) as kinds (fitted_kind, conversion_kind)

),

chains as (

    select distinct fitted_kind
    from fitted_kinds

),

converting_touches as (

    select
        fitted_kinds.fitted_kind,
        paths.conversion_id as path_id,
        paths.channel,
        paths.touch_number,
        paths.touches_count,
        date_trunc('month', paths.attributed_date)::date as path_month,
        '(conversion)' as path_end
    from paths
    inner join fitted_kinds
        on
            paths.conversion_kind = fitted_kinds.conversion_kind
            and paths.credited_as = paths.conversion_kind
    where paths.touchpoint_id is not null

),

last_conversions as (

    select
        fitted_kinds.fitted_kind,
        conversions.person_id,
        max(conversions.attributed_at) as last_converted_at
    from conversions
    inner join fitted_kinds
        on conversions.conversion_kind = fitted_kinds.conversion_kind
    where conversions.person_id is not null
    group by fitted_kinds.fitted_kind, conversions.person_id

),

-- what a person did after the last conversion, or ever
touches_without_conversion as (

    select
        chains.fitted_kind,
        touchpoints.person_id,
        touchpoints.channel,
        touchpoints.touched_at,
        touchpoints.touchpoint_id,
        max(touchpoints.touched_at) over whole_path as last_touched_at,
        max(touchpoints.touch_date) over whole_path as last_touch_date
    from touchpoints
    cross join chains
    left join last_conversions
        on
            touchpoints.person_id = last_conversions.person_id
            and chains.fitted_kind = last_conversions.fitted_kind
    where
        touchpoints.person_id is not null
        and (
            last_conversions.last_converted_at is null
            or touchpoints.touched_at > last_conversions.last_converted_at
        )
    window whole_path as (partition by chains.fitted_kind, touchpoints.person_id)

),

null_touches as (

    select
        fitted_kind,
        person_id as path_id,
        channel,
        row_number() over in_order as touch_number,
        count(*) over whole_path as touches_count,
        date_trunc('month', last_touch_date)::date as path_month,
        '(null)' as path_end
    from touches_without_conversion
    where
        touched_at > last_touched_at - make_interval(
            hours => 24 * {{ var('attribution')['default']['window_days'] }}
        )
    window
        in_order as (
            partition by fitted_kind, person_id
            order by touched_at, touchpoint_id collate "C"
        ),
        whole_path as (
            partition by fitted_kind, person_id
            order by touched_at, touchpoint_id collate "C"
            rows between unbounded preceding and unbounded following
        )

),

all_touches as (

    select * from converting_touches
    union all
    select * from null_touches

),

with_next as (

    select
        fitted_kind,
        path_month,
        path_end,
        channel,
        touch_number,
        touch_number = touches_count as is_last,
        lead(channel) over (
            partition by fitted_kind, path_end, path_id order by touch_number
        ) as next_channel
    from all_touches

),

-- from each touch to the next or to the end; and from the start to the first
steps as (

    select
        fitted_kind,
        path_month,
        channel as from_state,
        case when is_last then path_end else next_channel end as to_state
    from with_next

    union all

    select
        fitted_kind,
        path_month,
        '(start)' as from_state,
        channel as to_state
    from with_next
    where touch_number = 1

)

select
    fitted_kind,
    path_month,
    from_state,
    to_state,
    count(*) as transitions
from steps
group by fitted_kind, path_month, from_state, to_state
