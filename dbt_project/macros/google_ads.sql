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
