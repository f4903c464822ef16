{#
    Whose paths changed is noted in attribution.path_changes when a table that paths are
    made of is written: then its rows and those of the build before are both there to
    compare, until dbt drops the old ones at the commit. A note counts until a build that
    saw it is published: one that a gate held back, or that failed, is not forgotten.
    A note of nobody is of everybody. By hand, without a build id, all paths are made.
#}
{% macro this_build() -%}
    cast(nullif(current_setting('throughline.build_id', true), '') as bigint)
{%- endmacro %}


{% macro is_unpublished(build_id) -%}
    (
        {{ build_id }} is null
        or {{ build_id }} > (
            select coalesce(max(builds.build_id), 0)
            from {{ source('ops', 'builds') }} as builds
            where builds.state = 'published'
        )
    )
{%- endmacro %}


{% macro every_path_changed() -%}
    (
        {{ this_build() }} is null
        or exists (
            select 1
            from {{ source('attribution', 'path_changes') }} as changes
            where
                changes.person_id is null
                and changes.touchpoint_id is null
                and {{ is_unpublished('changes.build_id') }}
        )
    )
{%- endmacro %}


{#
    The post-hook of such a table. `key` names its rows, `watched` are the columns that
    paths depend on, `person` whose path a row is on (an expression), `touch` which touch
    it is, and `only` which rows matter at all.
#}
{% macro note_path_changes(key, person, watched=[], touch='cast(null as text)', only='true') %}
{%- set before = load_cached_relation(make_backup_relation(this, 'table')) %}
insert into {{ source('attribution', 'path_changes') }} (
    build_id, touchpoint_id, person_id
)
{%- if before is none %}
values ({{ this_build() }}, null, null)
{%- else %}
with

{% for name, relation in [('before', before), ('after', this)] %}
{{ name }}_rows as (

    select
        {{ (key + watched) | unique | join(', ') }},
        {{ person }} as path_person_id,
        {{ touch }} as touch
    from {{ relation }}
    where {{ only }}

),

{% endfor %}
differing as (

    select
        coalesce(after_rows.touch, before_rows.touch) as touch,
        before_rows.path_person_id as person_before,
        after_rows.path_person_id as person_after
    from before_rows
    full outer join after_rows
        on
            {% for name in key %}
            {{ 'and ' if not loop.first }}before_rows.{{ name }} = after_rows.{{ name }}
            {% endfor %}
    where
        before_rows.{{ key[0] }} is null
        or after_rows.{{ key[0] }} is null
        {% for name in watched %}
        or before_rows.{{ name }} is distinct from after_rows.{{ name }}
        {% endfor %}

)

select distinct
    {{ this_build() }},
    differing.touch,
    persons.person_id
from differing
cross join lateral (
    values (differing.person_before), (differing.person_after)
) as persons (person_id)
where differing.touch is not null or persons.person_id is not null
{%- endif %}
{% endmacro %}


{#
    Before it is read whose paths changed: notes made by hand become this build's, those
    that a published build saw go, and a changed setting or rank is everybody's change.
#}
{% macro keep_path_changes() %}
{% set changes = source('attribution', 'path_changes') %}
{% set choices = tojson(var('attribution')) ~ tojson(var('markov_fitted_kind')) %}
update {{ changes }} as changes set build_id = {{ this_build() }}
where changes.build_id is null and {{ this_build() }} is not null;

delete from {{ changes }} as changes
where not {{ is_unpublished('changes.build_id') }} and changes.choices_hash is null;

insert into {{ changes }} (build_id, choices_hash)
select
    {{ this_build() }},
    choices.choices_hash
from (
    select
        hashtextextended('{{ choices | replace("'", "''") }}', 0)
        + coalesce(sum(hash_record_extended(source_ranks, 0)), 0) as choices_hash
    from {{ ref('source_ranks') }} as source_ranks
) as choices
where choices.choices_hash is distinct from (
    select changes.choices_hash
    from {{ changes }} as changes
    where changes.choices_hash is not null
    order by changes.build_id desc nulls first
    limit 1
);

analyze {{ changes }}
{% endmacro %}


{# Before the new rows come: what a table still holds of the paths that changed. #}
{% macro forget_changed_paths() -%}
    {%- if is_incremental() %}
    delete from {{ this }}
    where exists (
        select 1 from {{ ref('int_persons_to_credit') }} as persons
        where persons.is_everybody
    );

    delete from {{ this }} as paths
    using {{ ref('int_persons_to_credit') }} as persons
    where paths.path_person_id = persons.path_person_id
    {%- endif %}
{%- endmacro %}


{# The conversion months that no published build has shown as they are fitted now. #}
{% macro months_fitted_anew() -%}
    select
        fitted.conversion_kind,
        fitted.conversion_month
    from {{ ref('int_fitted_weights') }} as fitted
    where {{ is_unpublished('fitted.build_id') }}
{%- endmacro %}


{# The same of credits: of changed paths, and of the months that were fitted anew. #}
{% macro forget_credits() -%}
    {%- if is_incremental() %}
    {{ forget_changed_paths() }};

    delete from {{ this }} as credits
    using
        {{ ref('int_touchpoints_before_conversion') }} as paths,
        ({{ months_fitted_anew() }}) as months
    where
        credits.conversion_id = paths.conversion_id
        and credits.path_person_id = paths.path_person_id
        and paths.credited_as = months.conversion_kind
        and cast(date_trunc('month', paths.attributed_date) as date)
        = months.conversion_month
    {%- endif %}
{%- endmacro %}
