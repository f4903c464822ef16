{#
    The list of rule-based attribution models: one line adds one.

    `weight` is an SQL expression over a row of int_touchpoints_before_conversion:
    touch_number (1 is the oldest), touches_count, last_non_direct_number (NULL when
    every touch is direct) and days_before_last (days to the newest touch, 0 there).
    Weights need no common scale: a credit is a weight's share in the conversion's sum.
    At least one weight of a conversion must be above zero.
#}
{% macro attribution_models() %}
{% set half_life = var('time_decay_half_life_days') %}
{{ return([
        {
            'name': 'first_touch',
            'weight': 'case when touch_number = 1 then 1 else 0 end',
        },
        {
            'name': 'last_touch',
            'weight': 'case when touch_number = touches_count then 1 else 0 end',
        },
        {
            'name': 'last_non_direct',
            'weight': 'case when touch_number'
            ~ ' = coalesce(last_non_direct_number, touches_count) then 1 else 0 end',
        },
        {
            'name': 'linear',
            'weight': '1',
        },
        {
            'name': 'time_decay',
            'weight': 'power(0.5, least(days_before_last / ' ~ half_life ~ ', 1000))',
        },
        {
            'name': 'position_based',
            'weight': 'case when touch_number in (1, touches_count) then 0.4'
            ~ ' else 0.2 / (touches_count - 2) end',
        },
]) }}
{% endmacro %}


{# The dates a result may be shown on; each is a column <name>_date of credited rows. #}
{% macro date_bases() %}
{{ return(['by_click', 'by_lead', 'by_payment']) }}
{% endmacro %}


{# A ratio of sums: NULL where there is nothing to divide by. #}
{% macro ratio(numerator, denominator) -%}
cast({{ numerator }} / nullif(greatest({{ denominator }}, 0), 0) as numeric(28, 9))
{%- endmacro %}
