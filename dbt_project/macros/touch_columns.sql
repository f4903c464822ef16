{#  What a touch says of its source: the same columns in every model that shows one.  #}
{% macro touch_columns(relation) -%}
    {{ relation }}.channel,
        {{ relation }}.channel_group,
        {{ relation }}.is_paid,
        {{ relation }}.is_direct,
        {{ relation }}.source,
        {{ relation }}.medium,
        {{ relation }}.platform,
        {{ relation }}.account_id,
        {{ relation }}.campaign_id,
        {{ relation }}.campaign_name,
        {{ relation }}.ad_group_id,
        {{ relation }}.ad_group_name,
        {{ relation }}.ad_id,
        {{ relation }}.keyword_id,
        {{ relation }}.keyword,
        {{ relation }}.keyword_key,
        {{ relation }}.placement,
        {{ relation }}.match_step
{%- endmacro %}
