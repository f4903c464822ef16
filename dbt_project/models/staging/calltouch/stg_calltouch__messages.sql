{% set nothing = [
    '<не указано>', '<не заполнено>', '(not set)', '(not provided)', '(none)'
] %}
{{ staged_by_load('calltouch', 'requests') }}

with

landed as (

    select * from {{ source('calltouch', 'requests') }}
    where {{ rows_of_this_build() }}

),

-- what stands inside of `session`, beside what stands outside; made once for a record,
-- not for each of its cells
opened as materialized (

    select
        account_id,
        record_key,
        load_id,
        record || coalesce(
            jsonb_strip_nulls(
                jsonb_build_object(
                    '_visit_id', record #> '{session,sessionId}',
                    '_ym', record #> '{session,yaClientId}',
                    '_ga', record #> '{session,guaClientId}',
                    '_source', record #> '{session,source}',
                    '_medium', record #> '{session,medium}',
                    '_url', record #> '{session,url}',
                    '_utm_source', record #> '{session,utmSource}',
                    '_utm_medium', record #> '{session,utmMedium}',
                    '_utm_campaign', record #> '{session,utmCampaign}',
                    '_utm_content', record #> '{session,utmContent}',
                    '_utm_term', record #> '{session,utmTerm}'
                )
            ),
            '{}'
        ) as record
    from landed

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('requestId') }} as message_id,
        {{ cell('_visit_id', ['0']) }} as visit_id,
        {{ cell('ctClientId', ['0']) }} as visitor_id,
        {{ cell('_ym', nothing + ['0']) }} as ym_client_id,
        {{ cell('_ga', nothing) }} as ga_client_id,
        jsonb_path_query_array(
            landed.record,
            'lax $."client.phones"[*][*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
        ) as phones,
        jsonb_path_query_array(
            landed.record,
            'lax $."client.contacts"[*][*] ? (@ like_regex "^em[1-9]_")'
        ) as emails,
        {{ cell('client.fio', nothing) }} as name_token,
        {{ cell('manager', nothing) }} as manager,
        {{ cell('_utm_source', nothing) }} as utm_source,
        {{ cell('_utm_medium', nothing) }} as utm_medium,
        {{ cell('_utm_campaign', nothing) }} as utm_campaign,
        {{ cell('_utm_content', nothing) }} as utm_content,
        {{ cell('_utm_term', nothing) }} as utm_term,
        {{ cell('requestUrl', nothing) }} as page_url,
        {{ cell('_url', nothing) }} as visit_url,
        {{ cell('_source', nothing) }} as source,
        {{ cell('_medium', nothing) }} as medium,
        {{ cell('subject', nothing) }} as came_through,
        {{ cell('requestNumber', nothing) }} as own_number,
        landed.record #>> '{yandexDirect,campaignId}' as direct_campaign_id,
        landed.record #>> '{yandexDirect,adGroupId}' as direct_ad_group_id,
        landed.record #>> '{yandexDirect,adId}' as direct_ad_id,
        landed.record #>> '{yandexDirect,criteriaId}' as direct_criterion_id,
        {{ cell('targetRequest') }} as is_target_by_tracker,
        {{ cell('date') }} as sent_at
    from opened as landed

),

typed as (

    select
        ---------- ids
        message_id,
        account_id,
        record_key,
        load_id,
        visit_id,
        visitor_id,
        ym_client_id,
        ga_client_id,
        phones,
        emails,
        name_token,

        ---------- strings
        'request' as kind,
        manager,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        page_url,
        source,
        medium,

        ---------- timestamps
        -- milliseconds here, where calls have seconds
        to_timestamp({{ typed('sent_at', 'integer') }} / 1000.0) as sent_at,

        {{ unreadable({'sent_at': 'integer'}) }} as unreadable_columns,

        ---------- what only this tracker has
        came_through,
        own_number,
        visit_url,
        {{ some_id('direct_campaign_id') }} as direct_campaign_id,
        {{ some_id('direct_ad_group_id') }} as direct_ad_group_id,
        {{ some_id('direct_ad_id') }} as direct_ad_id,
        {{ some_id('direct_criterion_id') }} as direct_criterion_id,
        substring(visit_url from '[?&]yclid=([0-9]+)') as yclid,
        {{ flag('is_target_by_tracker') }} as is_target_by_tracker
    from cells

)

select
    *,
    {{ reporting_date('sent_at') }} as message_date
from typed
