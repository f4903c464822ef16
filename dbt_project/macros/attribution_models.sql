{#
    The list of attribution models: one line adds one.

    A model gives either `touch`, the number of the one touch that gets all, or `weight`,
    an SQL expression over a row of int_touchpoints_before_conversion (its .yml says what
    each column is). Weights need no common scale: a credit is a weight's share in the
    conversion's sum, and where every weight is zero all touches share equally.
    `fitted` models take weights that were fitted for the conversion's month, and are
    computed after the rule-based ones.
#}
{% macro attribution_models(fitted=none) %}
{% set models = [
    {'name': 'first_touch', 'touch': '1'},
    {'name': 'last_touch', 'touch': 'touches_count'},
    {'name': 'last_non_direct', 'touch': 'last_non_direct_number'},
    {'name': 'last_paid', 'touch': 'last_paid_number'},
    {'name': 'source_rank', 'touch': 'best_rank_number'},
    {'name': 'linear', 'weight': '1'},
    {'name': 'time_decay', 'weight': 'decay_weight'},
    {'name': 'position_based', 'weight': 'position_weight'},
    {'name': 'w_shaped', 'weight': 'w_shaped_weight'},
    {'name': 'shapley', 'weight': '1.0 / touches_of_channel'},
    {'name': 'markov_split', 'weight': 'removal_effect', 'fitted': true},
] %}
{% if fitted is none %}{{ return(models) }}{% endif %}
{% set chosen = [] %}
{% for model in models if (model.fitted is true) == fitted %}
    {% do chosen.append(model) %}
{% endfor %}
{{ return(chosen) }}
{% endmacro %}


{# The dates a result may be shown on; each is a column <name>_date of credited rows. #}
{% macro date_bases() %}
{{ return(['by_click', 'by_lead', 'by_payment']) }}
{% endmacro %}


{# A ratio of sums: NULL where there is nothing to divide by. #}
{% macro ratio(numerator, denominator) -%}
cast({{ numerator }} / nullif(greatest({{ denominator }}, 0), 0) as numeric(28, 9))
{%- endmacro %}
