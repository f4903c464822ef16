{#  The identifier of a CRM object: ids of two CRMs or portals never meet.  #}
{% macro crm_identifier(account_id, object_id, crm='bitrix24') -%}
    '{{ crm }}:' || {{ account_id }} || ':' || {{ object_id }}
{%- endmacro %}
