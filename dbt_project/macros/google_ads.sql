{#
    Where Google showed an ad (segments.adNetworkType), in the words all platforms share.
    Partners of the search network and YouTube stay apart; what Google does not tell
    apart (Performance Max) is mixed.
#}
{% macro google_placement(network) -%}
    case {{ network }}
        when 'SEARCH' then 'search'
        when 'SEARCH_PARTNERS' then 'search_partners'
        when 'CONTENT' then 'network'
        when 'YOUTUBE_WATCH' then 'youtube'
        when 'YOUTUBE_SEARCH' then 'youtube'
        else lower({{ network }})
    end
{%- endmacro %}

{#  The device of a click or an impression, as all platforms have it.  #}
{% macro google_device(device) -%}
    case {{ device }} when 'CONNECTED_TV' then 'tv' else lower({{ device }}) end
{%- endmacro %}

{#
    The last part of a resource name: customers/1/adGroupCriteria/22~333 is 333. The id
    of a keyword is unique in its ad group only.
#}
{% macro google_last_id(name) -%}
    nullif(regexp_replace({{ name }}, '^.*[~/]', ''), '')
{%- endmacro %}

{#  Every report by day tells where and on what an ad was shown, and what came of it.  #}
{% macro google_report_cells() -%}
    landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('segments.adNetworkType') }} as network,
        {{ cell('segments.device') }} as raw_device,
        {{ cell('metrics.impressions') }} as impressions,
        {{ cell('metrics.clicks') }} as clicks,
        {{ cell('cost') }} as spend_amount,
        {{ cell('segments.date') }} as spend_date
{%- endmacro %}

{#  The same with their types.  #}
{% macro google_report_columns() -%}
    network,
        {{ google_placement('network') }} as placement,
        {{ google_device('raw_device') }} as device,
        {{ spend_columns() }}
{%- endmacro %}
