{% set nothing = [
    '<не указано>', '<не заполнено>', '(not set)', '(not provided)', '(none)'
] %}
{{ staged_by_load('calltouch', 'calls') }}

with

landed as (

    select * from {{ source('calltouch', 'calls') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        landed.record -> 'callTags' as call_tags,
        {{ cell('callId') }} as call_id,
        {{ cell('siteId') }} as site_id,
        {{ cell('sessionId', ['0']) }} as session_id,
        {{ cell('yaClientId', nothing + ['0']) }} as ym_client_id,
        {{ cell('clientId', nothing) }} as ga_client_id,
        -- a cell with two numbers came as two tokens
        coalesce(
            landed.record #>> '{callerNumber,0}', {{ cell('callerNumber', nothing) }}
        ) as caller_phone,
        {{ cell('phoneNumber', nothing) }} as phone_number,
        {{ cell('redirectNumber', nothing) }} as redirect_number,
        {{ cell('subPoolName', nothing) }} as pool_name,
        {{ cell('manager', nothing) }} as manager,
        {{ cell('source', nothing) }} as source,
        {{ cell('medium', nothing) }} as medium,
        {{ cell('keyword', nothing) }} as keyword,
        {{ cell('utmSource', nothing) }} as utm_source,
        {{ cell('utmMedium', nothing) }} as utm_medium,
        {{ cell('utmCampaign', nothing) }} as utm_campaign,
        {{ cell('utmContent', nothing) }} as utm_content,
        {{ cell('utmTerm', nothing) }} as utm_term,
        {{ cell('url', nothing) }} as url,
        {{ cell('callUrl', nothing) }} as call_url,
        {{ cell('ref', nothing) }} as referer,
        {{ cell('city', nothing) }} as city,
        {{ cell('device', nothing) }} as device,
        landed.record #>> '{yandexDirect,campaignId}' as direct_campaign_id,
        landed.record #>> '{yandexDirect,adGroupId}' as direct_ad_group_id,
        landed.record #>> '{yandexDirect,adId}' as direct_ad_id,
        landed.record #>> '{yandexDirect,criteriaId}' as direct_criterion_id,
        {{ cell('duration') }} as duration_s,
        {{ cell('waitingConnect') }} as wait_s,
        {{ cell('successful') }} as is_successful,
        {{ cell('uniqueCall') }} as is_unique_by_tracker,
        {{ cell('targetCall') }} as is_target_by_tracker,
        {{ cell('uniqTargetCall') }} as is_unique_target_by_tracker,
        {{ cell('callbackCall') }} as is_callback,
        {{ cell('timestamp') }} as called_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        call_id,
        site_id,
        session_id,
        ym_client_id,
        ga_client_id,
        caller_phone,
        coalesce(
            {{ some_id('direct_campaign_id') }}, substring(url from 'yd_c:([0-9]+)')
        ) as direct_campaign_id,
        coalesce(
            {{ some_id('direct_ad_group_id') }}, substring(url from '_gb:([0-9]+)')
        ) as direct_ad_group_id,
        coalesce(
            {{ some_id('direct_ad_id') }}, substring(url from '_ad:([0-9]+)')
        ) as direct_ad_id,
        coalesce(
            {{ some_id('direct_criterion_id') }}, substring(url from '_ph:([0-9]+)')
        ) as direct_criterion_id,
        substring(url from '[?&]yclid=([0-9]+)') as yclid,

        ---------- strings
        -- digits only, so that 7495… and +7 (495) … are one number
        regexp_replace(phone_number, '[^0-9]', '', 'g') as phone_number,
        redirect_number,
        pool_name,
        manager,
        source,
        medium,
        keyword,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        url,
        call_url,
        referer,
        city,
        device,
        jsonb_path_query_array(call_tags, 'lax $[*].names[*]') as tags,

        ---------- numerics
        {{ typed('duration_s', 'integer') }} as duration_s,
        {{ typed('wait_s', 'integer') }} as wait_s,

        ---------- booleans
        {{ flag('is_successful') }} as is_successful,
        {{ flag('is_unique_by_tracker') }} as is_unique_by_tracker,
        {{ flag('is_target_by_tracker') }} as is_target_by_tracker,
        {{ flag('is_unique_target_by_tracker') }} as is_unique_target_by_tracker,
        {{ flag('is_callback') }} as is_callback,

        ---------- timestamps
        -- `date` is the cabinet's local time and `sessionDate` a 12-hour clock
        -- without am or pm: only `timestamp` tells the moment
        to_timestamp({{ typed('called_at', 'integer') }}) as called_at,

        {{ unreadable({
            'duration_s': 'integer',
            'wait_s': 'integer',
            'called_at': 'integer',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('called_at') }} as call_date
from typed
