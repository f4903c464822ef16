{{ staged_by_load('comagic', 'sessions') }}

with

landed as (

    select * from {{ source('comagic', 'sessions') }}
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
        {{ cell('id') }} as visit_id,
        {{ cell('site_id') }} as counter_id,
        {{ some_id(cell('ym_client_id')) }} as ym_client_id,
        {{ cell('ua_client_id') }} as ga_client_id,
        {{ some_id(cell('visitor_id')) }} as visitor_id,
        {{ some_id(cell('person_id')) }} as tracker_person_id,
        {{ cell('yclid') }} as yclid,
        {{ cell('gclid') }} as gclid,
        {{ cell('entrance_page') }} as start_url,
        {{ cell('exit_page') }} as end_url,
        {{ cell('referrer') }} as referer,
        {{ cell('referrer_domain') }} as referral_source,
        {{ cell('visitor_country') }} as country,
        {{ cell('visitor_city') }} as city,
        {{ cell('visitor_device') }} as device,
        {{ cell('channel') }} as channel,
        {{ cell('source_name') }} as source_name,
        {{ cell('search_engine') }} as search_engine,
        {{ cell('search_query') }} as search_query,
        {{ cell('utm_source') }} as utm_source,
        {{ cell('utm_medium') }} as utm_medium,
        {{ cell('utm_campaign') }} as utm_campaign,
        {{ cell('utm_content') }} as utm_content,
        {{ cell('utm_term') }} as utm_term,
        landed.record #>> '{integrated_campaign_data,adv_system}' as ad_system,
        landed.record #>> '{integrated_campaign_data,ext_campaign_id}' as campaign_id,
        landed.record #>> '{integrated_campaign_data,group_id}' as ad_group_id,
        landed.record #>> '{integrated_campaign_data,current_banner_id}' as ad_id,
        landed.record #>> '{integrated_campaign_data,keyword_id}' as keyword_id,
        {{ cell('hits_count') }} as page_views,
        {{ cell('duration') }} as duration_s,
        {{ cell('visitor_type') }} as visitor_type,
        {{ cell('date_time') }} as started_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

named as (

    select
        *,
        {{ some_id("nullif(campaign_id, '')") }} as source_campaign_id,
        {{ some_id("nullif(ad_group_id, '')") }} as source_ad_group_id,
        {{ some_id("nullif(ad_id, '')") }} as source_ad_id,
        {{ some_id("nullif(keyword_id, '')") }} as source_keyword_id,
        coalesce(ad_system = 'yandex.direct', false) as is_direct_ad
    from cells

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        visit_id,
        counter_id,
        -- Metrica's cookie, when the tracker saw it
        ym_client_id as client_id,
        case when is_direct_ad then source_campaign_id end as direct_campaign_id,
        case when is_direct_ad then source_ad_group_id end as direct_ad_group_id,
        case when is_direct_ad then source_ad_id end as direct_ad_id,
        yclid,
        null::jsonb as goal_ids,

        ---------- strings
        start_url,
        end_url,
        referer,
        country,
        city,
        device,
        -- in Metrica's words, which the rules of channels are written in
        case channel
            when 'paid' then 'ad'
            when 'display' then 'ad'
            when 'affiliate' then 'referral'
            when 'recommendation' then 'recommend'
            when 'cashed' then 'saved'
            else channel
        end as traffic_source,
        case ad_system
            when 'yandex.direct' then 'ya_direct'
            when 'google.adwords' then 'google_adwords'
            else replace(ad_system, '.', '_')
        end as adv_engine,
        case when channel = 'referral' then referral_source end as referral_source,
        search_engine,
        case when channel = 'social' then source_name end as social_network,
        null::text as direct_phrase,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,

        ---------- numerics
        {{ typed('page_views', 'integer') }} as page_views,
        {{ typed('duration_s', 'integer') }} as duration_s,

        ---------- booleans
        null::boolean as is_bounce,
        case visitor_type
            when 'Новый' then true
            when 'Вернувшийся' then false
        end as is_new_user,

        ---------- timestamps
        -- the account's own time zone: the vendor's times have no offset
        {{ typed('started_at', 'local') }} at time zone time_zone as started_at,

        {{ unreadable({
            'page_views': 'integer',
            'duration_s': 'integer',
            'started_at': 'local',
        }) }} as unreadable_columns,

        ---------- what only this tracker has
        coalesce(gclid, substring(start_url from '[?&]gclid=([^&#]+)')) as gclid,
        substring(start_url from '[?&]fbclid=([^&#]+)') as fbclid,
        ga_client_id,
        visitor_id,
        tracker_person_id,
        ad_system,
        source_campaign_id,
        source_ad_group_id,
        source_ad_id,
        source_keyword_id,
        search_query
    from named

)

select
    *,
    {{ reporting_date('started_at') }} as visit_date
from typed
