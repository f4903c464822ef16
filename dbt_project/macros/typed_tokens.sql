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

{#
    The share of the day `day_number` (from 0) of an amount for `days_count` days: the
    rounded shares of all days add up to the amount.
#}
{% macro share_of_day(amount, decimals) -%}
    (
        round(({{ amount }})::numeric * (day_number + 1) / days_count, {{ decimals }})
        - round(({{ amount }})::numeric * day_number / days_count, {{ decimals }})
    )
{%- endmacro %}
