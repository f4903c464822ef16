{#
    One text key from several expressions. A separator keeps ('a', 'bc') apart from
    ('ab', 'c'), a marker keeps NULL apart from the empty text.
#}
{% macro surrogate_key(expressions) -%}
    md5(
        concat_ws(
            '|'
            {%- for expression in expressions %},
            coalesce(replace(({{ expression }})::text, '|', '\|'), '\N')
            {%- endfor %}
        )
    )
{%- endmacro %}
