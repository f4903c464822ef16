-- Every touch with all that says where it came from, in one shape.
with

visits as (

    select * from {{ ref('int_visits_unioned') }}

),

calls as (

    select * from {{ ref('int_calls_placed') }}

),

leads as (

    select * from {{ ref('int_leads_placed') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

touches as (

    select
        {{ visit_touchpoint_id('visits') }} as touchpoint_id,
        'visit' as touch_kind,
        assigned.person_id,
        visits.started_at as touched_at,
        visits.visit_date as touch_date,
        visits.visit_id,
        null as call_id,
        null as lead_id,
        visits.client_id,
        visits.traffic_source,
        -- a click id names the advertising system when the counter could not
        coalesce(
            visits.adv_engine,
            case
                when visits.yclid is not null then 'ya_direct'
                when visits.gclid is not null then 'google_ads'
            end
        ) as adv_engine,
        visits.utm_source,
        visits.utm_medium,
        visits.utm_campaign,
        visits.utm_content,
        visits.utm_term,
        -- site and first folder of the page they came from
        lower(
            substring(
                visits.referer from '^https?://(?:www[.])?([^/?#]+(?:/[^/?#]*)?)'
            )
        ) as referral,
        coalesce(
            visits.search_engine,
            visits.social_network,
            visits.referral_source
        ) as named_source,
        visits.gclid,
        visits.vendor_campaign_id,
        visits.vendor_ad_group_id,
        visits.vendor_ad_id,
        visits.vendor_criterion_id,
        visits.vendor_phrase
    from visits
    left join assigned
        on
            visits.browser_kind = assigned.kind
            and visits.browser_id = assigned.identifier

    union all

    select
        touchpoint_id,
        'call' as touch_kind,
        person_id,
        called_at as touched_at,
        call_date as touch_date,
        null as visit_id,
        call_id,
        null as lead_id,
        client_id,
        null as traffic_source,
        case when yclid is not null then 'ya_direct' end as adv_engine,
        coalesce(static_source, utm_source, source_name) as utm_source,
        coalesce(static_medium, utm_medium, medium) as utm_medium,
        case when not is_static_number then utm_campaign end as utm_campaign,
        utm_content,
        utm_term,
        null as referral,
        null as named_source,
        null as gclid,
        direct_campaign_id as vendor_campaign_id,
        direct_ad_group_id as vendor_ad_group_id,
        direct_ad_id as vendor_ad_id,
        direct_criterion_id as vendor_criterion_id,
        keyword as vendor_phrase
    from calls
    where visit_id is null

    union all

    select
        touchpoint_id,
        case contact_channel when 'form' then 'form' else 'other' end as touch_kind,
        person_id,
        created_at as touched_at,
        created_date as touch_date,
        null as visit_id,
        null as call_id,
        lead_id,
        ym_client_id as client_id,
        null as traffic_source,
        null as adv_engine,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        null as referral,
        null as named_source,
        null as gclid,
        null as vendor_campaign_id,
        null as vendor_ad_group_id,
        null as vendor_ad_id,
        null as vendor_criterion_id,
        null as vendor_phrase
    from leads
    where is_own_touch

),

keyed as (

    select
        *,
        {{ surrogate_key([
            'traffic_source', 'adv_engine', 'utm_source', 'utm_medium', 'referral',
        ]) }} as source_key
    from touches

)

select * from keyed
