with

conversions as (

    select * from {{ ref('int_conversions') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

-- a person's own touches, and those from a phone that the person shares with others
touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

persons_touchpoints as (

    select
        touchpoint_persons.person_id,
        touchpoints.touchpoint_id,
        touchpoints.touched_at,
        touchpoints.touch_date,
        touchpoints.is_direct
    from touchpoint_persons
    inner join touchpoints
        on touchpoint_persons.touchpoint_id = touchpoints.touchpoint_id

),

-- hours and not calendar days, so that a change of clocks moves no touch; a conversion
-- without a touch stays as one row without a touchpoint
touchpoints_in_window as (

    select
        conversions.conversion_id,
        conversions.person_id,
        conversions.attributed_at,
        conversions.attributed_date,
        persons_touchpoints.touchpoint_id,
        persons_touchpoints.touched_at,
        persons_touchpoints.touch_date,
        persons_touchpoints.is_direct
    from conversions
    left join persons_touchpoints
        on
            conversions.person_id = persons_touchpoints.person_id
            and conversions.attributed_at >= persons_touchpoints.touched_at
            and conversions.attributed_at - make_interval(
                hours => 24 * {{ var('attribution_window_days') }}
            ) < persons_touchpoints.touched_at

),

-- one sort serves every window; touches of one moment stand in the order of their ids
numbered as (

    select
        conversion_id,
        person_id,
        attributed_at,
        attributed_date,
        touchpoint_id,
        touched_at,
        touch_date,
        is_direct,
        row_number() over so_far as touch_number,
        count(touchpoint_id) over whole_path as touches_count,
        cast(
            extract(epoch from max(touched_at) over whole_path - touched_at)
            as double precision
        ) / 86400 as days_before_last
    from touchpoints_in_window
    window
        so_far as (
            partition by conversion_id
            order by touched_at, touchpoint_id collate "C"
        ),
        whole_path as (
            partition by conversion_id
            order by touched_at, touchpoint_id collate "C"
            rows between unbounded preceding and unbounded following
        )

),

with_last_non_direct as (

    select
        *,
        max(touch_number) filter (where not is_direct) over (
            partition by conversion_id
        ) as last_non_direct_number
    from numbered

)

select * from with_last_non_direct
