-- depends_on: {{ ref('int_persons_to_credit') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['path_person_id']}],
    pre_hook="{{ forget_changed_paths() }}"
) }}

with

conversions as (

    select * from {{ ref('int_conversions') }}

),

-- read twice: written out in between it would cost as much as all that follows
touchpoints as not materialized (

    select * from {{ ref('int_touchpoints') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

{% if is_incremental() %}
persons_to_credit as not materialized (

    select * from {{ ref('int_persons_to_credit') }}

),
{% endif %}

source_ranks as (

    select * from {{ ref('source_ranks') }}

),

settings as (

    {{ attribution_settings_rows() | indent(4) }}

),

-- who bought without being known is a path of its own; a run chooses its few before it
-- joins their touches
conversions_to_credit as materialized (

    select
        conversions.conversion_id,
        conversions.conversion_kind,
        conversions.credited_as,
        conversions.person_id,
        conversions.attributed_at,
        conversions.attributed_date,
        conversions.lead_created_at,
        conversions.deal_created_at,
        settings.more_direct_channels,
        coalesce(conversions.person_id, conversions.conversion_id) as path_person_id,
        -- sorted by, before the text that it stands for: numbers compare faster
        hashtextextended(conversions.conversion_id, 0) as conversion_hash,
        case
            when not settings.converting_touch_counts
                then conversions.converting_touchpoint_id
        end as touchpoint_left_out,
        greatest(
            conversions.attributed_at
            - make_interval(hours => 24 * settings.window_days),
            case when not settings.looks_past_previous then conversions.previous_at end
        ) as looks_back_to
    from conversions
    inner join settings on conversions.credited_as = settings.conversion_kind
    {% if is_incremental() %}
    inner join persons_to_credit
        on
            coalesce(conversions.person_id, conversions.conversion_id)
            = persons_to_credit.path_person_id
    {% endif %}

),

-- a person's own touches, and those from a phone that the person shares with others
persons_touchpoints as (

    select
        touchpoints.person_id,
        touchpoints.touchpoint_id,
        touchpoints.touched_at,
        touchpoints.touch_date,
        touchpoints.channel,
        touchpoints.source,
        touchpoints.medium,
        touchpoints.is_direct,
        touchpoints.is_paid
    from touchpoints
    {% if is_incremental() %}
    inner join persons_to_credit
        on touchpoints.person_id = persons_to_credit.path_person_id
    {% endif %}
    where touchpoints.person_id is not null

    union all

    select
        touchpoint_persons.person_id,
        touchpoints.touchpoint_id,
        touchpoints.touched_at,
        touchpoints.touch_date,
        touchpoints.channel,
        touchpoints.source,
        touchpoints.medium,
        touchpoints.is_direct,
        touchpoints.is_paid
    from touchpoint_persons
    inner join touchpoints
        on touchpoint_persons.touchpoint_id = touchpoints.touchpoint_id
    {% if is_incremental() %}
    inner join persons_to_credit
        on touchpoint_persons.person_id = persons_to_credit.path_person_id
    {% endif %}
    where touchpoint_persons.is_shared

),

-- hours and not calendar days, so that a change of clocks moves no touch; a conversion
-- without a touch stays as one row without a touchpoint
touchpoints_in_window as (

    select
        conversions_to_credit.conversion_hash,
        conversions_to_credit.conversion_id,
        conversions_to_credit.conversion_kind,
        conversions_to_credit.credited_as,
        conversions_to_credit.person_id,
        conversions_to_credit.path_person_id,
        conversions_to_credit.attributed_at,
        conversions_to_credit.attributed_date,
        conversions_to_credit.lead_created_at,
        conversions_to_credit.deal_created_at,
        persons_touchpoints.touchpoint_id,
        persons_touchpoints.touched_at,
        persons_touchpoints.touch_date,
        persons_touchpoints.channel,
        persons_touchpoints.source,
        persons_touchpoints.medium,
        persons_touchpoints.is_paid,
        persons_touchpoints.is_direct
        or persons_touchpoints.channel
        = any(conversions_to_credit.more_direct_channels) as is_direct
    from conversions_to_credit
    left join persons_touchpoints
        on
            conversions_to_credit.person_id = persons_touchpoints.person_id
            and conversions_to_credit.attributed_at >= persons_touchpoints.touched_at
            and conversions_to_credit.looks_back_to < persons_touchpoints.touched_at
            and conversions_to_credit.touchpoint_left_out
            is distinct from persons_touchpoints.touchpoint_id

),

ranked as (

    select
        touchpoints_in_window.*,
        coalesce(source_ranks.source_rank, 0) as source_rank
    from touchpoints_in_window
    left join source_ranks
        on
            lower(coalesce(touchpoints_in_window.source, ''))
            = coalesce(source_ranks.source, '')
            and lower(coalesce(touchpoints_in_window.medium, ''))
            = coalesce(source_ranks.medium, '')
            and touchpoints_in_window.attributed_date
            between source_ranks.valid_from and source_ranks.valid_to

),

-- the next sort begins with the same two columns, so this one costs little
with_channel_counts as (

    select
        *,
        count(*) over (
            partition by conversion_hash, conversion_id, channel
        ) as touches_of_channel
    from ranked

),

-- touches of one moment stand in the order of their ids
numbered as (

    select
        *,
        row_number() over so_far as touch_number,
        count(touchpoint_id) over whole_path as touches_count,
        max(touched_at) over whole_path as last_touched_at,
        max(source_rank) over whole_path as best_rank,
        count(*) filter (
            where touched_at <= lead_created_at
        ) over whole_path as lead_touch_number,
        count(*) filter (
            where touched_at <= deal_created_at
        ) over whole_path as deal_touch_number
    from with_channel_counts
    window
        so_far as (
            partition by conversion_hash, conversion_id
            order by touched_at, touchpoint_id collate "C"
        ),
        whole_path as (
            partition by conversion_hash, conversion_id
            order by touched_at, touchpoint_id collate "C"
            rows between unbounded preceding and unbounded following
        )

),

with_numbers as (

    select
        *,
        max(touch_number) filter (where not is_direct) over whole_path
            as last_non_direct_number,
        max(touch_number) filter (where is_paid) over whole_path as last_paid_number,
        min(touch_number) filter (where source_rank = best_rank) over whole_path
            as best_rank_number,
        cast(extract(epoch from last_touched_at - touched_at) as double precision)
        / 86400 as days_before_last,
        touches_count
        - 1
        - cast(lead_touch_number > 1 as integer)
        - cast(
            deal_touch_number > 1
            and deal_touch_number is distinct from lead_touch_number as integer
        ) as touches_between
    from numbered
    window whole_path as (
        partition by conversion_hash, conversion_id
        order by touched_at, touchpoint_id collate "C"
        rows between unbounded preceding and unbounded following
    )

),

-- milestones on one touch add up
with_milestones as (

    select
        with_numbers.*,
        settings.half_life_days,
        settings.position_weights,
        settings.w_shaped_weights,
        cast(with_numbers.touch_number = 1 as integer) * settings.w_shaped_weights[1]
        + cast(with_numbers.touch_number = with_numbers.lead_touch_number as integer)
        * settings.w_shaped_weights[2]
        + cast(with_numbers.touch_number = with_numbers.deal_touch_number as integer)
        * settings.w_shaped_weights[3] as milestone_weight
    from with_numbers
    inner join settings on with_numbers.credited_as = settings.conversion_kind

),

with_weight_between as (

    select
        *,
        case
            when milestone_weight > 0 or touches_between < 1 then 0
            else w_shaped_weights[4] / touches_between
        end as weight_between
    from with_milestones

),

weighed as (

    select
        conversion_id,
        conversion_kind,
        credited_as,
        person_id,
        path_person_id,
        attributed_at,
        attributed_date,
        touchpoint_id,
        touched_at,
        touch_date,
        channel,
        source,
        medium,
        cast(touch_number as integer) as touch_number,
        cast(touches_count as integer) as touches_count,
        cast(touches_of_channel as integer) as touches_of_channel,
        cast(coalesce(last_non_direct_number, touches_count) as integer)
            as last_non_direct_number,
        cast(coalesce(last_paid_number, touches_count) as integer)
            as last_paid_number,
        cast(best_rank_number as integer) as best_rank_number,
        source_rank,
        cast(nullif(lead_touch_number, 0) as integer) as lead_touch_number,
        cast(nullif(deal_touch_number, 0) as integer) as deal_touch_number,
        days_before_last,
        power(0.5, least(days_before_last / half_life_days, 1000)) as decay_weight,
        case
            when touches_count = 2
                then position_weights[touch_number * 2 - 1] + position_weights[2] / 2
            when touch_number = 1 then position_weights[1]
            when touch_number = touches_count then position_weights[3]
            else position_weights[2] / (touches_count - 2)
        end as position_weight,
        case
            when lead_touch_number > 0 and deal_touch_number > 0
                then milestone_weight + weight_between
        end as milestones_weight
    from with_weight_between

),

paths as (

    select
        *,
        -- without a lead or a deal there are no milestones: as position_based
        coalesce(milestones_weight, position_weight) as w_shaped_weight
    from weighed

)

select * from paths
