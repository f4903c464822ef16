{{ config(materialized='table', post_hook='analyze {{ this }}') }}

{% set models = attribution_models() %}

with

touchpoints as (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),

all_touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

identifiers as (

    select * from {{ ref('int_person_identifiers') }}

),

persons_first_touches as (

    select
        touchpoint_persons.person_id,
        min(all_touchpoints.touched_at) as first_touched_at
    from touchpoint_persons
    inner join all_touchpoints
        on touchpoint_persons.touchpoint_id = all_touchpoints.touchpoint_id
    group by touchpoint_persons.person_id

),

-- an id of the CRM alone ties nobody to a visit or a call
persons_with_identifier as (

    select distinct person_id
    from identifiers
    where kind not in ('crm_contact', 'crm_lead', 'crm_deal')

),

weighted as (

    select
        {% for model in models %}
        cast(
            {{ model.weight }} as double precision
        ) as {{ model.name }}_weight,
        {% endfor %}
        *
    from touchpoints

),

-- the share of the path up to and with this touch; sums run in the order of the
-- touches, so that floating point gives the same figure on every run
accumulated as (

    select
        {% for model in models %}
        case
            when touch_number >= touches_count then cast(1 as numeric(10, 9))
            else cast(
                sum({{ model.name }}_weight) over so_far
                / sum({{ model.name }}_weight) over whole_path
                as numeric(10, 9)
            )
        end as {{ model.name }}_share,
        {% endfor %}
        *
    from weighted
    window
        so_far as (
            partition by conversion_id
            order by touch_number
            rows between unbounded preceding and current row
        ),
        whole_path as (
            partition by conversion_id
            order by touch_number
            rows between unbounded preceding and unbounded following
        )

),

-- differences of the rounded running share: they cannot be negative, and their sum
-- over a conversion is the last share, which is 1
credited as (

    select
        conversion_id,
        person_id,
        attributed_at,
        attributed_date,
        touchpoint_id,
        touch_date,
        touch_number,
        {% for model in models %}
        {{ model.name }}_share - lag({{ model.name }}_share, 1, 0.0)
            over in_order as {{ model.name }},
        {% endfor %}
        touches_count
    from accumulated
    window in_order as (partition by conversion_id order by touch_number)

),

with_reason as (

    select
        credited.conversion_id,
        coalesce(credited.touchpoint_id, '(not attributed)') as touchpoint_id,
        coalesce(credited.touch_date, credited.attributed_date) as touch_date,
        cast(
            least(credited.touch_number, credited.touches_count) as integer
        ) as touch_number,
        cast(credited.touches_count as integer) as touches_count,
        {% for model in models %}
        cast(
            credited.{{ model.name }} as numeric(10, 9)
        ) as {{ model.name }},
        {% endfor %}
        case
            when credited.touchpoint_id is not null then null
            when
                persons_first_touches.first_touched_at <= credited.attributed_at
                then 'no touch in window'
            when
                persons_first_touches.first_touched_at > credited.attributed_at
                then 'touches only after the conversion'
            when persons_with_identifier.person_id is null then 'no identifier'
            else 'no touch of the person'
        end as attribution_reason
    from credited
    left join persons_first_touches
        on
            credited.person_id = persons_first_touches.person_id
            and credited.touchpoint_id is null
    left join persons_with_identifier
        on
            credited.person_id = persons_with_identifier.person_id
            and credited.touchpoint_id is null

)

select * from with_reason
