{#
    Whether a touch's value fits a cell of the seed channel_rules: an empty cell asks
    nothing, any other is a regular expression for the whole value.
#}
{% macro fits_rule(column) -%}
    (
        coalesce(rules.{{ column }}, '') = ''
        or coalesce(combinations.{{ column }}, '')
        ~* ('^(' || rules.{{ column }} || ')$')
    )
{%- endmacro %}
