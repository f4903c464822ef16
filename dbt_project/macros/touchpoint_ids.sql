{#  The touch that a visit is; counters and trackers bear different account names.  #}
{% macro visit_touchpoint_id(relation) -%}
    {{ surrogate_key(["'visit'", relation ~ '.account_id', relation ~ '.visit_id']) }}
{%- endmacro %}


{#  From the first page of a visit until so many minutes after its last.  #}
{% macro contacts_until(relation) -%}
    {{ relation }}.started_at
    + make_interval(secs => coalesce({{ relation }}.duration_s, 0))
    + make_interval(mins => {{ var('contact_after_visit_minutes') }})
{%- endmacro %}


{#  The source_key of a cost that people wrote down: a source and a medium, no more.  #}
{% macro manual_source_key(relation) -%}
    {{ surrogate_key([
        'null', 'null', relation ~ '.source_name', relation ~ '.medium', 'null',
    ]) }}
{%- endmacro %}
