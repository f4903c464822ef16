{#
    Money without VAT and with it, from an amount that holds VAT or not.
    `rate` is the share of VAT on that day (0.22), from the seed vat_rates.
#}
{% macro without_vat(amount, vat_included, rate) -%}
    case when {{ vat_included }} then {{ amount }} / (1 + {{ rate }}) else {{ amount }} end
{%- endmacro %}

{% macro with_vat(amount, vat_included, rate) -%}
    case when {{ vat_included }} then {{ amount }} else {{ amount }} * (1 + {{ rate }}) end
{%- endmacro %}


{#  The day and place of a cost as one key: touches, costs and traffic meet by it.  #}
{% macro cost_key(relation, day) -%}
    {{ surrogate_key([
        relation ~ '.' ~ day, relation ~ '.channel', relation ~ '.platform',
        relation ~ '.account_id', relation ~ '.campaign_id', relation ~ '.ad_group_id',
        relation ~ '.keyword_key', relation ~ '.placement',
    ]) }}
{%- endmacro %}
