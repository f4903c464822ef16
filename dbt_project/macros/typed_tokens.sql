{#
    The tokens of one kind (ph, em, nm) that people's cells for phone, e-mail and name
    hold, as a JSON list. A cell may hold several, and people type an address where a
    phone belongs.
#}
{% macro typed_tokens(kind) -%}
    jsonb_path_query_array(
        jsonb_build_array(
            landed.record -> 'phone',
            landed.record -> 'email',
            landed.record -> 'name'
        ),
        'lax $[*][*][*] ? (@ like_regex "^{{ kind }}[1-9]_")'
    )
{%- endmacro %}

{#
    What people typed, for comparing: case, ё, spaces and punctuation at the end make no
    difference. Patterns for it are in the seeds.
#}
{% macro folded(column) -%}
    nullif(
        rtrim(
            regexp_replace(
                translate(lower({{ column }}), 'ё', 'е'), '[[:space:]]+', ' ', 'g'
            ),
            ' .,;:!?'
        ),
        ''
    )
{%- endmacro %}
