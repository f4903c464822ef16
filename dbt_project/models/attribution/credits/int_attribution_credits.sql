-- depends_on: {{ ref('int_persons_to_credit') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['path_person_id']}],
    pre_hook="{{ forget_credits() }}"
) }}

{% set models = attribution_models() %}
{% set weighing = models | selectattr('weight', 'defined') | list %}

with

{% if is_incremental() %}
all_paths as not materialized (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),

persons_to_credit as not materialized (

    select * from {{ ref('int_persons_to_credit') }}

),

months as (

    {{ months_fitted_anew() | indent(4) }}

),

-- of everybody whose paths changed, and of months that were fitted anew
paths as (

    select all_paths.*
    from all_paths
    inner join persons_to_credit
        on all_paths.path_person_id = persons_to_credit.path_person_id

    union all

    select all_paths.*
    from months
    inner join all_paths
        on
            months.conversion_kind = all_paths.credited_as
            and months.conversion_month
            = cast(date_trunc('month', all_paths.attributed_date) as date)
    left join persons_to_credit
        on all_paths.path_person_id = persons_to_credit.path_person_id
    where persons_to_credit.path_person_id is null

),
{% else %}
paths as (

    select * from {{ ref('int_touchpoints_before_conversion') }}

),
{% endif %}

fitted_weights as (

    select * from {{ ref('int_fitted_weights') }}

),

-- a channel without a fitted weight weighs nothing; where all of a path's weigh
-- nothing its touches share equally
with_fitted_weights as (

    select
        paths.*,
        fitted_weights.version_id as markov_version_id,
        coalesce(
            cast(fitted_weights.weights ->> paths.channel as double precision), 0
        ) as removal_effect
    from paths
    left join fitted_weights
        on
            paths.credited_as = fitted_weights.conversion_kind
            and cast(date_trunc('month', paths.attributed_date) as date)
            = fitted_weights.conversion_month

),

weighted as (

    select
        {% for model in weighing %}
        cast({{ model.weight }} as double precision) as weight_of_{{ model.name }},
        {% endfor %}
        {% for number in models | map(attribute='touch') | select('defined') | unique
            if number not in ['1', 'touches_count'] %}
        {{ number }},
        {% endfor %}
        conversion_id,
        hashtextextended(conversion_id, 0) as conversion_hash,
        path_person_id,
        attributed_date,
        touchpoint_id,
        touch_date,
        touch_number,
        touches_count,
        markov_version_id
    from with_fitted_weights

),

-- the share of the path up to and with this touch, in billionths; sums run in the
-- order of the touches, so that floating point gives the same figure on every run
accumulated as (

    select
        {% for model in weighing %}
        case
            when touch_number >= touches_count then 1000000000
            else cast(
                coalesce(
                    sum(weight_of_{{ model.name }}) over so_far
                    / nullif(sum(weight_of_{{ model.name }}) over whole_path, 0),
                    cast(touch_number as double precision) / touches_count
                ) * 1000000000 as integer
            )
        end as {{ model.name }}_share,
        {% endfor %}
        *
    from weighted
    window
        so_far as (
            partition by conversion_hash, conversion_id
            order by touch_number
            rows between unbounded preceding and current row
        ),
        whole_path as (
            partition by conversion_hash, conversion_id
            order by touch_number
            rows between unbounded preceding and unbounded following
        )

),

-- differences of the rounded running share: they cannot be negative, and their sum
-- over a conversion is the last share, which is 1
credited as (

    select
        conversion_id,
        path_person_id,
        attributed_date,
        touchpoint_id,
        touch_date,
        touch_number,
        touches_count,
        {% for model in models %}
        {{ credit_of(model) }} as {{ model.name }},
        {% endfor %}
        markov_version_id
    from accumulated
    window in_order as (
        partition by conversion_hash, conversion_id order by touch_number
    )

),

labelled as (

    select
        credited.conversion_id,
        credited.path_person_id,
        coalesce(credited.touchpoint_id, '(not attributed)') as touchpoint_id,
        coalesce(credited.touch_date, credited.attributed_date) as touch_date,
        least(credited.touch_number, credited.touches_count) as touch_number,
        credited.touches_count,
        {% for model in models %}
        cast(
            credited.{{ model.name }} as numeric(10, 9)
        ) as {{ model.name }},
        {% endfor %}
        credited.markov_version_id
    from credited

)

select * from labelled
