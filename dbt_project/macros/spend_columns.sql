{#
    What every report of an ad platform by day tells, typed: whose it is, what was shown,
    clicked and spent, and what could not be read. `more` names columns of one report that
    are read like them, with their kinds.
#}
{% macro spend_columns(more={}) -%}
    {%- set kinds = {'impressions': 'integer', 'clicks': 'integer'} -%}
    {%- do kinds.update(more) -%}
    {%- do kinds.update({'spend_amount': 'amount', 'spend_date': 'date'}) -%}
    account_id,
        record_key,
        load_id,
        currency_code,
        vat_included,
        {%- for column, kind in kinds.items() %}
        {{ typed(column, kind) }} as {{ column }},
        {%- endfor %}
        {{ unreadable(kinds) }} as unreadable_columns
{%- endmacro %}
