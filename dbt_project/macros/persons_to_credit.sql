{#
    Credits are computed again for the persons whose fingerprint changed since the last
    published build, and for nobody else: a build that a gate held back is not forgotten.
    By hand, without a build id, for everybody.
#}
{% macro this_build() -%}
    cast(nullif(current_setting('throughline.build_id', true), '') as bigint)
{%- endmacro %}


{% macro is_to_credit(relation) -%}
    (
        {{ this_build() }} is null
        or {{ relation }}.changed_build_id is null
        or {{ relation }}.changed_build_id > (
            select coalesce(max(build_id), 0)
            from {{ source('ops', 'builds') }}
            where state = 'published'
        )
    )
{%- endmacro %}


{# Before the new rows come: what the table still holds of persons to credit. #}
{% macro forget_persons_to_credit() -%}
    {%- if is_incremental() %}
    delete from {{ this }} as paths
    using {{ ref('int_persons_to_credit') }} as persons
    where
        paths.path_person_id = persons.path_person_id
        and {{ is_to_credit('persons') }}
    {%- endif %}
{%- endmacro %}


{#
    Paths whose credits are computed again: those of the persons to credit, and those of
    conversion months that were fitted anew.
#}
{% macro is_path_to_credit(paths) -%}
    (
        {{ this_build() }} is null
        or {{ paths }}.path_person_id in (
            select persons.path_person_id
            from {{ ref('int_persons_to_credit') }} as persons
            where {{ is_to_credit('persons') }}
        )
        or ({{ paths }}.credited_as, date_trunc('month', {{ paths }}.attributed_date))
        in (
            select
                fitted.conversion_kind,
                fitted.conversion_month
            from {{ ref('int_fitted_weights') }} as fitted
            where fitted.build_id > (
                select coalesce(max(build_id), 0)
                from {{ source('ops', 'builds') }}
                where state = 'published'
            )
        )
    )
{%- endmacro %}


{# Before the new rows come: the credits of conversions to credit, and of gone ones. #}
{% macro forget_credits() -%}
    {%- if is_incremental() %}
    delete from {{ this }} as credits
    where
        credits.path_person_id in (
            select persons.path_person_id
            from {{ ref('int_persons_to_credit') }} as persons
            where {{ is_to_credit('persons') }}
        )
        or credits.conversion_id in (
            select paths.conversion_id
            from {{ ref('int_touchpoints_before_conversion') }} as paths
            where {{ is_path_to_credit('paths') }}
        )
    {%- endif %}
{%- endmacro %}
