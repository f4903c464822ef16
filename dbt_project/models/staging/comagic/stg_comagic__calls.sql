{{ staged_by_load('comagic', 'calls') }}

with

landed as (

    select * from {{ source('comagic', 'calls') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'comagic'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.time_zone,
        landed.record -> 'tags' as tags,
        nullif(landed.record -> 'attributes', 'null') as attributes,
        {{ cell('id') }} as call_id,
        {{ cell('site_id') }} as site_id,
        {{ some_id(cell('visitor_session_id')) }} as session_id,
        {{ some_id(cell('visitor_id')) }} as visitor_id,
        {{ some_id(cell('person_id')) }} as tracker_person_id,
        {{ some_id(cell('ym_client_id')) }} as ym_client_id,
        {{ cell('ua_client_id') }} as ga_client_id,
        {{ cell('communication_id') }} as communication_id,
        {{ cell('gclid') }} as gclid,
        {{ cell('yclid') }} as yclid,
        -- a cell with two numbers came as two tokens
        coalesce(
            landed.record #>> '{contact_phone_number,0}',
            {{ cell('contact_phone_number') }}
        ) as caller_phone,
        {{ cell('contact_full_name') }} as name_token,
        {{ cell('virtual_phone_number') }} as phone_number,
        {{ cell('operator_phone_number') }} as redirect_number,
        {{ cell('scenario_name') }} as pool_name,
        {{ cell('last_answered_employee_full_name') }} as manager,
        {{ cell('direction') }} as direction,
        {{ cell('source') }} as call_source,
        {{ cell('campaign_name') }} as tracker_campaign,
        {{ cell('source_name') }} as source_name,
        coalesce({{ cell('channel') }}, {{ cell('channel_code') }}) as channel,
        {{ cell('search_query') }} as keyword,
        {{ cell('utm_source') }} as utm_source,
        {{ cell('utm_medium') }} as utm_medium,
        {{ cell('utm_campaign') }} as utm_campaign,
        {{ cell('utm_content') }} as utm_content,
        {{ cell('utm_term') }} as utm_term,
        {{ cell('entrance_page') }} as url,
        {{ cell('communication_page_url') }} as call_url,
        {{ cell('referrer') }} as referer,
        {{ cell('visitor_city') }} as city,
        {{ cell('visitor_device') }} as device,
        {{ cell('talk_duration') }} as duration_s,
        {{ cell('wait_duration') }} as wait_s,
        {{ cell('is_lost') }} as is_lost,
        {{ cell('start_time') }} as called_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

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
        -- a call has none of the ad system's ids: its session has them
        null::text as direct_campaign_id,
        null::text as direct_ad_group_id,
        null::text as direct_ad_id,
        null::text as direct_criterion_id,
        yclid,

        ---------- strings
        -- digits only, so that 7812… and +7 (812) … are one number
        regexp_replace(phone_number, '[^0-9]', '', 'g') as phone_number,
        redirect_number,
        pool_name,
        manager,
        coalesce(utm_source, source_name) as source,
        coalesce(
            utm_medium,
            case channel
                when 'paid' then 'cpc'
                when 'display' then 'cpm'
                else channel
            end
        ) as medium,
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
        jsonb_path_query_array(tags, 'lax $[*].tag_name') as tags,

        ---------- numerics
        {{ typed('duration_s', 'integer') }} as duration_s,
        {{ typed('wait_s', 'integer') }} as wait_s,

        ---------- booleans
        not {{ flag('is_lost') }} as is_successful,
        attributes ? 'primary' as is_unique_by_tracker,
        attributes ? 'target' as is_target_by_tracker,
        attributes ?& array['primary', 'target'] as is_unique_target_by_tracker,
        call_source in (
            'callback', 'sitephone', 'lead', 'auto_back_call',
            'auto_back_call_by_lost_call'
        ) as is_callback,

        ---------- timestamps
        -- the account's own time zone: the vendor's times have no offset
        {{ typed('called_at', 'local') }} at time zone time_zone as called_at,

        {{ unreadable({
            'duration_s': 'integer',
            'wait_s': 'integer',
            'called_at': 'local',
        }) }} as unreadable_columns,

        ---------- what only this tracker has
        visitor_id,
        tracker_person_id,
        communication_id,
        gclid,
        name_token,
        direction,
        call_source,
        tracker_campaign
    from cells

)

select
    *,
    {{ reporting_date('called_at') }} as call_date
from typed
