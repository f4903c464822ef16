{#
    The rows of one staging contract from all its sources, with the source in front. A
    source joins by its name in the list.
#}
{% macro union_of(contract, sources, columns) -%}
    {% for source in sources %}
    select
        '{{ source }}' as source,
        {{ columns | join(',\n        ') }}
    from {{ ref('stg_' ~ source ~ '__' ~ contract) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
{%- endmacro %}


{#  The identifier of a vendor's object, as identity has it: ids of two never meet.  #}
{% macro record_identifier(relation, object_id) -%}
    {{ relation }}.source || ':' || {{ relation }}.account_id || ':'
    || {{ relation }}.{{ object_id }}
{%- endmacro %}


{#  The channel of a click or a cost: its platform, and where it was shown.  #}
{% macro ad_channel(platform, placement) -%}
    case {{ platform }}
        when 'meta_ads' then
            case
                when {{ placement }} in ('facebook', 'instagram')
                    then 'meta_' || {{ placement }}
                when {{ placement }} is null then 'meta_unknown'
                else 'meta_other'
            end
        when 'vk_ads' then 'vk_ads'
        when 'google_ads' then
            case
                when {{ placement }} in ('search', 'search_partners')
                    then 'google_ads_search'
                when {{ placement }} is null then 'google_ads_unknown'
                else 'google_ads_network'
            end
        else {{ platform }} || '_' || coalesce({{ placement }}, 'unknown')
    end
{%- endmacro %}


{#  Who advertises: what utm_source would say of a click without tags.  #}
{% macro platform_source(platform) -%}
    case {{ platform }}
        when 'yandex_direct' then 'yandex'
        when 'google_ads' then 'google'
        when 'meta_ads' then 'facebook'
        when 'vk_ads' then 'vk_ads'
    end
{%- endmacro %}


{#
    The macros of a link in Direct's words: {campaignid} and {{ '{{campaign.id}}' }} are
    {campaign_id}, {creative} and {{ '{{ad.id}}' }} are {ad_id}.
#}
{% macro in_directs_words(platform, query) -%}
    case {{ platform }}
        when 'yandex_direct' then {{ query }}
        when 'google_ads' then
            replace(
                replace(
                    replace(
                        replace({{ query }}, '{campaignid}', '{campaign_id}'),
                        '{adgroupid}', '{adgroup_id}'
                    ),
                    '{creative}', '{ad_id}'
                ),
                '{_campaign}', '{campaign_name}'
            )
        else
            replace(
                replace(
                    regexp_replace(
                        {{ query }}, '[{][{]([a-z_]+)[.]?([a-z_]*)[}][}]',
                        '{\1_\2}', 'g'
                    ),
                    '_}', '}'
                ),
                '{adset_id}', '{adgroup_id}'
            )
    end
{%- endmacro %}
