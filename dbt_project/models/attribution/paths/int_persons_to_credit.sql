-- Whose paths have to be walked again: everybody's whose touches, identity or
-- conversions changed since the last published build.
-- depends_on: {{ ref('int_touchpoints') }}
-- depends_on: {{ ref('source_ranks') }}
{{ config(
    indexes=[{'columns': ['path_person_id'], 'unique': true}],
    pre_hook="{{ keep_path_changes() }}"
) }}

with

path_changes as (

    select * from {{ source('attribution', 'path_changes') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

touchpoint_persons as (

    select * from {{ ref('int_touchpoint_persons') }}

),

unpublished as (

    select
        touchpoint_id,
        person_id
    from path_changes
    where {{ is_unpublished('build_id') }}

),

persons as (

    select person_id as path_person_id
    from unpublished
    where person_id is not null

    union

    -- a changed call from a shared phone may be each holder's
    select touchpoint_persons.person_id as path_person_id
    from unpublished
    inner join touchpoint_persons
        on unpublished.touchpoint_id = touchpoint_persons.touchpoint_id
    where touchpoint_persons.is_shared

    union

    select coalesce(person_id, conversion_id) as path_person_id
    from conversions
    where {{ every_path_changed() }}

)

select
    path_person_id,
    {{ every_path_changed() }} as is_everybody
from persons
