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


{#
    The day and place of a cost as one key, in the columns of a touch or a cost: visits
    and costs meet by it.
#}
{% macro cost_key(day) -%}
    {%- set places = [day, 'channel'] -%}
    {%- for part in [
        'platform', 'account_id', 'campaign_id', 'ad_group_id', 'keyword_key', 'placement'
    ] -%}
        {%- do places.append("coalesce(" ~ part ~ ", '(none)')") -%}
    {%- endfor -%}
    {{ surrogate_key(places) }}
{%- endmacro %}
