{{ config(materialized='view') }}

with

counter_visits as (

    select * from {{ ref('stg_yandex_metrica__visits') }}

),

tracker_visits as (

    select * from {{ ref('stg_comagic__visits') }}

),

unioned as (

    select
        'yandex_metrica' as source,
        account_id,
        visit_id,
        'ym_client_id' as browser_kind,
        client_id as browser_id,
        client_id,
        started_at,
        visit_date,
        duration_s,
        page_views,
        is_bounce,
        is_new_user,
        traffic_source,
        adv_engine,
        referral_source,
        search_engine,
        social_network,
        start_url,
        referer,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        device,
        city,
        yclid,
        substring(start_url from '[?&]gclid=([^&#]+)') as gclid,
        direct_campaign_id as vendor_campaign_id,
        direct_ad_group_id as vendor_ad_group_id,
        direct_ad_id as vendor_ad_id,
        null::text as vendor_criterion_id,
        direct_phrase as vendor_phrase
    from counter_visits

    union all

    select
        'comagic' as source,
        account_id,
        visit_id,
        'visitor' as browser_kind,
        {{ crm_identifier('account_id', 'visitor_id', crm='comagic') }} as browser_id,
        coalesce(client_id, ga_client_id, visitor_id) as client_id,
        started_at,
        visit_date,
        duration_s,
        page_views,
        is_bounce,
        is_new_user,
        traffic_source,
        adv_engine,
        referral_source,
        search_engine,
        social_network,
        start_url,
        referer,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        device,
        city,
        yclid,
        gclid,
        source_campaign_id as vendor_campaign_id,
        source_ad_group_id as vendor_ad_group_id,
        source_ad_id as vendor_ad_id,
        source_keyword_id as vendor_criterion_id,
        null::text as vendor_phrase
    from tracker_visits

)

select * from unioned
