{#
    A keyword as people say it: lower case, ё as е, without operators (! + " [ ] ( ) |)
    and minus words. NULL stays NULL, and so does a text of nothing else.
#}
{% macro keyword_text(keyword) -%}
    nullif(
        btrim(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        translate(lower({{ keyword }}), 'ё', 'е'),
                        '(^|\s)-[^-\s]\S*', ' ', 'g'
                    ),
                    '[!+"\[\]()|]', '', 'g'
                ),
                '\s+', ' ', 'g'
            )
        ),
        ''
    )
{%- endmacro %}

{#  A name to compare by: case, spaces at the ends and kinds of spaces do not count.  #}
{% macro name_text(name) -%}
    nullif(
        btrim(
            regexp_replace(
                lower(replace({{ name }}, chr(160), ' ')), '\s+', ' ', 'g'
            )
        ),
        ''
    )
{%- endmacro %}
