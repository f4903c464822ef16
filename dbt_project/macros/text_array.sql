{#  A list of texts as an array of Postgres.  #}
{% macro text_array(texts) -%}
    array['{{ texts | join("', '") }}']::text []
{%- endmacro %}
