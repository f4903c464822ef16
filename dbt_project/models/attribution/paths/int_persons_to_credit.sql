-- Whose paths have to be walked again: a fingerprint over everything that a person's
-- paths are made of, and the build that last saw it change.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='path_person_id',
    on_schema_change='fail',
    indexes=[{'columns': ['changed_build_id']}],
    post_hook='analyze {{ this }}'
) }}

{% set choices = tojson(var('attribution')) ~ tojson(var('markov_fitted_kind')) %}

with

conversions as (

    select * from {{ ref('int_conversions') }}

),

touchpoints as not materialized (

    select * from {{ ref('int_touchpoints') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

source_ranks as (

    select * from {{ ref('source_ranks') }}

),

-- a changed setting or rank changes every path
choices as (

    select
        hashtextextended('{{ choices | replace("'", "''") }}', 0)
        + coalesce(sum(hash_record_extended(source_ranks, 0)), 0) as choices_hash
    from source_ranks

),

of_conversions as (

    select
        coalesce(person_id, conversion_id) as path_person_id,
        sum(
            hash_record_extended(
                row(
                    conversion_id,
                    conversion_kind,
                    credited_as,
                    person_id,
                    converting_touchpoint_id,
                    lead_created_at,
                    deal_created_at,
                    attributed_at,
                    attributed_date,
                    previous_at
                ),
                1
            )
        ) as conversions_hash
    from conversions
    group by coalesce(person_id, conversion_id)

),

touches_of_persons as (

    select
        person_id,
        touch_hash
    from touchpoints
    where person_id is not null

    union all

    select
        touchpoint_persons.person_id,
        touchpoints.touch_hash
    from touchpoint_persons
    inner join touchpoints
        on touchpoint_persons.touchpoint_id = touchpoints.touchpoint_id
    where touchpoint_persons.is_shared

),

of_touches as (

    select
        person_id as path_person_id,
        sum(touch_hash) as touches_hash
    from touches_of_persons
    group by person_id

),

fingerprints as (

    select
        of_conversions.path_person_id,
        of_conversions.conversions_hash
        + coalesce(of_touches.touches_hash, 0)
        + choices.choices_hash as fingerprint
    from of_conversions
    cross join choices
    left join of_touches
        on of_conversions.path_person_id = of_touches.path_person_id

)
{% if is_incremental() %},

known as (

    select * from {{ this }}

),

changed as (

    select
        coalesce(fingerprints.path_person_id, known.path_person_id) as path_person_id,
        -- NULL: the person has no conversion any more
        fingerprints.fingerprint,
        {{ this_build() }} as changed_build_id
    from fingerprints
    full outer join known on fingerprints.path_person_id = known.path_person_id
    where
        fingerprints.fingerprint is distinct from known.fingerprint
        -- was credited by hand, outside of builds: once more by this one
        or known.changed_build_id is null

)

select * from changed
{% else %}

select
    path_person_id,
    fingerprint,
    {{ this_build() }} as changed_build_id
from fingerprints
{% endif %}
