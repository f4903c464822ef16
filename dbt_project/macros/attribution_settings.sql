{#
    How each kind of conversion looks back, as rows of a `values` list: the var
    `attribution` with what a kind leaves out taken from its `default`. Refunds and later
    payments take their sale's credits, so they have its settings.
    Raises a compilation error that names the kind and the setting for a typo.
#}
{% macro attribution_kinds() %}
{{ return(['lead', 'qualified_lead', 'deal', 'sale', 'repeat_sale']) }}
{% endmacro %}


{% macro attribution_settings(kind) %}
{% set given = var('attribution') %}
{% if given is not mapping %}{# a linter knows no vars #}
    {{ return({
        'window_days': 1, 'cycle': 'all_touches', 'converting_touch_counts': true,
        'half_life_days': 1, 'position_weights': [], 'w_shaped_weights': [],
        'more_direct_channels': [],
    }) }}
{% endif %}
{% for name in given if name not in ['default'] + attribution_kinds() %}
    {{ exceptions.raise_compiler_error(
        "var attribution: no conversion kind '" ~ name ~ "', choose one of: default, "
        ~ attribution_kinds() | join(', ')
    ) }}
{% endfor %}
{% set settings = dict(given['default']) %}
{% for name, value in (given.get(kind) or {}).items() %}
    {% if name not in settings %}
        {{ exceptions.raise_compiler_error(
            "var attribution: " ~ kind ~ " has a setting '" ~ name
            ~ "' that default does not have: " ~ settings | join(', ')
        ) }}
    {% endif %}
    {% do settings.update({name: value}) %}
{% endfor %}
{% if settings.cycle not in ['all_touches', 'since_previous'] %}
    {{ exceptions.raise_compiler_error(
        "var attribution: cycle of " ~ kind ~ " is '" ~ settings.cycle
        ~ "', choose all_touches or since_previous"
    ) }}
{% endif %}
{{ return(settings) }}
{% endmacro %}


{% macro attribution_settings_rows() -%}
    select
        kinds.conversion_kind,
        cast(kinds.window_days as integer) as window_days,
        cast(kinds.looks_past_previous as boolean) as looks_past_previous,
        cast(kinds.converting_touch_counts as boolean) as converting_touch_counts,
        cast(kinds.half_life_days as double precision) as half_life_days,
        cast(kinds.position_weights as double precision []) as position_weights,
        cast(kinds.w_shaped_weights as double precision []) as w_shaped_weights,
        cast(kinds.more_direct_channels as text []) as more_direct_channels
    from (
        values
        {%- for kind in attribution_kinds() %}
        {%- set settings = attribution_settings(kind) %}
        (
            '{{ kind }}', {{ settings.window_days }},
            {{ settings.cycle == 'all_touches' }},
            {{ settings.converting_touch_counts }},
            {{ settings.half_life_days }},
            '{{ '{' ~ settings.position_weights | join(',') ~ '}' }}',
            '{{ '{' ~ settings.w_shaped_weights | join(',') ~ '}' }}',
            '{{ '{' ~ settings.more_direct_channels | join(',') ~ '}' }}'
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as kinds (
        conversion_kind,
        window_days,
        looks_past_previous,
        converting_touch_counts,
        half_life_days,
        position_weights,
        w_shaped_weights,
        more_direct_channels
    )
{%- endmacro %}


{# The pairs of a var that is a mapping, as a list; a linter knows no vars. #}
{% macro pairs_of(name) %}
{% set given = var(name) %}
{{ return(given.items() | list if given is mapping else [('key', [])]) }}
{% endmacro %}
