{#
    A field of a landed record as text, with the vendor's ways of saying "nothing"
    turned into NULL. `empty` lists them; the empty text is always one.
#}
{% macro cell(name, empty=[]) -%}
    {%- for marker in [''] + empty %}nullif({% endfor -%}
    landed.record ->> '{{ name }}'
    {%- for marker in [''] + empty %}, '{{ marker }}'){% endfor -%}
{%- endmacro %}

{#
    Whether a text can be read as a kind of value. Postgres' own numeric accepts NaN and
    Infinity, and its date accepts 'today': money and days must not.
    instant: a moment with its offset from UTC; local: a moment without one.
#}
{% macro is_readable(column, kind) -%}
    {%- if kind == 'amount' -%}
        {{ column }} ~ '^[+-]?[0-9]{1,15}([.][0-9]{0,9})?$'
    {%- elif kind == 'integer' -%}
        {{ column }} ~ '^[+-]?[0-9]{1,18}$'
    {%- elif kind == 'date' -%}
        ({{ column }} ~ '^[0-9]{4}-' and pg_input_is_valid({{ column }}, 'date'))
    {%- elif kind == 'local' -%}
        ({{ column }} ~ '^[0-9]{4}-' and pg_input_is_valid({{ column }}, 'timestamp'))
    {%- elif kind == 'instant' -%}
        (
            {{ column }} ~ '^[0-9]{4}-.*(Z|[+-][0-9]{2}:?[0-9]{2})$'
            and pg_input_is_valid({{ column }}, 'timestamptz')
        )
    {%- endif -%}
{%- endmacro %}

{#  A text as a value of its kind, or NULL when it cannot be read: see `unreadable`.  #}
{% macro typed(column, kind) -%}
    {%- set types = {
        'amount': 'numeric',
        'integer': 'bigint',
        'date': 'date',
        'local': 'timestamp',
        'instant': 'timestamptz',
    } -%}
    case
        when {{ is_readable(column, kind) }}
            then {{ column }}::{{ types[kind] }}
    end
{%- endmacro %}

{#
    The names of the columns that held something which could not be read, or NULL.
    `typed` turns such a value into NULL so that one bad cell does not stop a build; the
    tests on this column say so, and stop it when the cell was money.
#}
{% macro unreadable(kinds) -%}
    nullif(
        concat_ws(
            ', '
            {%- for column, kind in kinds.items() %},
            case when not {{ is_readable(column, kind) }} then '{{ column }}' end
            {%- endfor %}
        ),
        ''
    )
{%- endmacro %}

{#  A yes or no, as the many ways of APIs have it; NULL when it is neither.  #}
{% macro flag(column) -%}
    case
        when lower({{ column }}) in ('true', 't', 'y', 'yes', '1') then true
        when lower({{ column }}) in ('false', 'f', 'n', 'no', '0') then false
    end
{%- endmacro %}

{#  The day of a moment in the reporting time zone.  #}
{% macro reporting_date(moment) -%}
    ({{ moment }} at time zone '{{ var('reporting_time_zone') }}')::date
{%- endmacro %}

{#  Whole ids that an API writes as 0 when there is none.  #}
{% macro some_id(column) -%}
    nullif({{ column }}, '0')
{%- endmacro %}

{#
    The tokens of a multi-field (PHONE, EMAIL) as a JSON list. A value that held two phones
    holds a list of two tokens; one that could not be read as a contact holds NULL.
#}
{% macro tokens(name) -%}
    jsonb_path_query_array(
        landed.record,
        'lax $.{{ name }}[*].VALUE[*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
    )
{%- endmacro %}

{#
    A field that each account names itself: `settings.fields` of include/sources.yml says
    under which name. NULL when the account maps none.
#}
{% macro mapped_cell(field) -%}
    nullif(
        landed.record ->> (accounts.settings #>> '{fields,{{ field }}}'), ''
    )
{%- endmacro %}
