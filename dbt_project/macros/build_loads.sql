{#
    Staging is incremental by load: a build stages what its loads wrote, and nothing
    else. `staged_by_load` is the config of such a model, `rows_of_this_build` is its
    `where`.

    A full build reads every live row of raw. An incremental one reads the live rows that
    the loads of this build wrote (`ops.build_loads`), and the post-hook takes out what
    those loads found gone at the vendor. The loads are put into an array first, so that
    the index on raw's load ids can be used.

    The session says which build this is (throughline.build_id, set by the pipeline
    through PGOPTIONS): as a var of dbt it would make each build parse the whole project
    again. Without it, by hand, an incremental run reads everything again.
#}
{% macro staged_by_load(source_name, table_name) -%}
    {%- set indexes = [{'columns': ['account_id', 'record_key'], 'unique': true}] -%}
    {#- identity reads what a build's loads staged, and the days around it -#}
    {%- set days = {
        'visits': 'visit_date', 'calls': 'call_date', 'number_leases': 'shown_from'
    } -%}
    {%- for each in var('identity_sources')
        if this.name == 'stg_' ~ each['source'] ~ '__' ~ each['contract']
        and each['changes'] == 'load' -%}
        {%- do indexes.append({'columns': ['load_id']}) -%}
        {%- if each['contract'] in days -%}
            {%- do indexes.append({'columns': [days[each['contract']]]}) -%}
        {%- endif -%}
    {%- endfor %}
    {{ config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['account_id', 'record_key'],
        on_schema_change='fail',
        indexes=indexes,
        post_hook=[
            "{{ remove_tombstones('" ~ source_name ~ "', '" ~ table_name ~ "') }}",
            'analyze {{ this }}',
        ]
    ) }}
{%- endmacro %}

{% macro loads_of_this_build() -%}
    {%- set build_id = "nullif(current_setting('throughline.build_id', true), '')" -%}
    any(
        array(
            select load_id from {{ source('ops', 'build_loads') }}
            where build_id = {{ build_id }}::bigint
            union all
            select load_id from {{ source('ops', 'loads') }}
            where {{ build_id }} is null
        )
    )
{%- endmacro %}

{% macro rows_of_this_build() -%}
    deleted_load_id is null
    {%- if is_incremental() %}
    and load_id = {{ loads_of_this_build() }}
    {%- endif %}
{%- endmacro %}

{% macro remove_tombstones(source_name, table_name) -%}
    {%- if is_incremental() %}
    delete from {{ this }} as staged
    using {{ source(source_name, table_name) }} as landed
    where
        landed.account_id = staged.account_id
        and landed.record_key = staged.record_key
        and landed.deleted_load_id = {{ loads_of_this_build() }}
    {%- endif %}
{%- endmacro %}
