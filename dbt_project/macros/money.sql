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
