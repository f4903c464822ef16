{#
    The list of attribution models: one line adds one.

    A model gives either `touch`, the number of the one touch that gets all, or `weight`,
    an SQL expression over a row of int_touchpoints_before_conversion (its .yml says what
    each column is). Weights need no common scale: a credit is a weight's share in the
    conversion's sum, and where every weight is zero all touches share equally.
    `why` is an SQL expression over the same row that says in words what a touch with
    credit has it for (mart deal_touches).
    `fitted` models take weights that were fitted for the conversion's month, and are
    computed after the rule-based ones.
#}
{% macro attribution_models(fitted=none) %}
{% set models = [
    {'name': 'first_touch', 'touch': '1', 'why': "'the oldest touch'"},
    {'name': 'last_touch', 'touch': 'touches_count', 'why': "'the newest touch'"},
    {
        'name': 'last_non_direct',
        'touch': 'last_non_direct_number',
        'why': "'the newest touch that is not direct, else the newest'",
    },
    {
        'name': 'last_paid',
        'touch': 'last_paid_number',
        'why': "'the newest paid touch, else the newest'",
    },
    {
        'name': 'source_rank',
        'touch': 'best_rank_number',
        'why': "'rank ' || source_rank || ', the highest of the path'",
    },
    {'name': 'linear', 'weight': '1', 'why': "'1 of ' || touches_count || ' touches'"},
    {
        'name': 'time_decay',
        'weight': 'decay_weight',
        'why': "round(days_before_last::numeric, 1) || ' days before the newest touch'",
    },
    {
        'name': 'position_based',
        'weight': 'position_weight',
        'why': place_in_path(),
    },
    {
        'name': 'w_shaped',
        'weight': 'w_shaped_weight',
        'why': place_in_path(milestones=true),
    },
    {
        'name': 'shapley',
        'weight': '1.0 / touches_of_channel',
        'why': "'1 of ' || touches_of_channel || ' touches of the channel'",
    },
    {
        'name': 'markov_split',
        'weight': 'removal_effect',
        'fitted': true,
        'why': "coalesce('removal effect of the channel, version ' || markov_version_id,"
        ~ " 'no weights are fitted: shared equally')",
    },
] %}
{% if fitted is none %}{{ return(models) }}{% endif %}
{% set chosen = [] %}
{% for model in models if (model.fitted is true) == fitted %}
    {% do chosen.append(model) %}
{% endfor %}
{{ return(chosen) }}
{% endmacro %}


{# Where a touch stands in its path, in words. #}
{% macro place_in_path(milestones=false) %}
{% set place -%}
coalesce(
    nullif(
        concat_ws(
            ', ',
            case when touch_number = 1 then 'the oldest touch' end
            {%- if milestones %},
            case
                when touch_number = lead_touch_number then 'the one before the lead'
            end,
            case
                when touch_number = deal_touch_number then 'the one before the deal'
            end
            {%- else %},
            case when touch_number = touches_count then 'the newest touch' end
            {%- endif %}
        ), ''
    ), 'one of the others'
)
{%- endset %}
{{ return(place) }}
{% endmacro %}


{#
    The credit of a touch: all or nothing of the one touch that a model names, else the
    difference of the running shares, which are in billionths.
#}
{% macro credit_of(model) -%}
    {%- if model.touch is defined -%}
        case
            when touches_count = 0 or touch_number = {{ model.touch }} then 1.000000000
            else 0.000000000
        end
    {%- else -%}
        0.000000001 * (
            {{ model.name }}_share - lag({{ model.name }}_share, 1, 0) over in_order
        )
    {%- endif -%}
{%- endmacro %}


{# The dates a result may be shown on; each is a column <name>_date of credited rows. #}
{% macro date_bases() %}
{{ return(['by_click', 'by_lead', 'by_payment']) }}
{% endmacro %}


{# A ratio of sums: NULL where there is nothing to divide by. #}
{% macro ratio(numerator, denominator) -%}
cast({{ numerator }} / nullif(greatest({{ denominator }}, 0), 0) as numeric(28, 9))
{%- endmacro %}
