{#  The CRM's semantics (P, S, F) in our words.  #}
{% macro semantic(semantic_id) -%}
    case {{ semantic_id }} when 'S' then 'won' when 'F' then 'lost' else 'process' end
{%- endmacro %}

{#  The stage in our words when the seed stage_map does not know it.  #}
{% macro stage_by_semantic(semantic_id) -%}
    case {{ semantic_id }} when 'S' then 'won' when 'F' then 'lost' else 'in_work' end
{%- endmacro %}

{#  NEW, whatever the funnel: C2:NEW is the NEW of funnel 2.  #}
{% macro stage_without_funnel(stage_id) -%}
    regexp_replace({{ stage_id }}, '^C[0-9]+:', '')
{%- endmacro %}
