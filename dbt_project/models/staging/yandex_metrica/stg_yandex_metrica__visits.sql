{{ staged_by_load('yandex_metrica', 'visits') }}

with

landed as (

    select * from {{ source('yandex_metrica', 'visits') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'yandex_metrica'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.time_zone,
        {{ cell('ym:s:visitID') }} as visit_id,
        {{ cell('ym:s:counterID') }} as counter_id,
        {{ some_id(cell('ym:s:clientID')) }} as client_id,
        {{ cell('ym:s:startURL') }} as start_url,
        {{ cell('ym:s:endURL') }} as end_url,
        {{ cell('ym:s:referer') }} as referer,
        {{ cell('ym:s:regionCountry') }} as country,
        {{ cell('ym:s:regionCity') }} as city,
        {{ cell('ym:s:deviceCategory') }} as device_category,
        {{ cell('ym:s:lastTrafficSource', ['undefined']) }} as traffic_source,
        {{ cell('ym:s:lastAdvEngine', ['ya_undefined']) }} as adv_engine,
        {{ cell('ym:s:lastReferalSource') }} as referral_source,
        {{ cell('ym:s:lastSearchEngine') }} as search_engine,
        {{ cell('ym:s:lastSocialNetwork') }} as social_network,
        {{ some_id(cell('ym:s:lastDirectClickOrder')) }} as direct_campaign_id,
        {{ some_id(cell('ym:s:lastDirectBannerGroup')) }} as direct_ad_group_id,
        {{ some_id(cell('ym:s:lastDirectClickBanner')) }} as direct_ad_id,
        {{ cell('ym:s:lastDirectPhraseOrCond') }} as direct_phrase,
        {{ cell('ym:s:UTMSource') }} as utm_source,
        {{ cell('ym:s:UTMMedium') }} as utm_medium,
        {{ cell('ym:s:UTMCampaign') }} as utm_campaign,
        {{ cell('ym:s:UTMContent') }} as utm_content,
        {{ cell('ym:s:UTMTerm') }} as utm_term,
        {{ cell('ym:s:goalsID', ['[]']) }} as goal_ids,
        {{ cell('ym:s:goalsDateTime', ['[]']) }} as goal_times,
        {{ cell('ym:s:pageViews') }} as page_views,
        {{ cell('ym:s:visitDuration') }} as duration_s,
        {{ cell('ym:s:bounce') }} as is_bounce,
        {{ cell('ym:s:isNewUser') }} as is_new_user,
        {{ cell('ym:s:dateTime') }} as started_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        visit_id,
        counter_id,
        client_id,
        direct_campaign_id,
        direct_ad_group_id,
        direct_ad_id,
        substring(start_url from '[?&]yclid=([0-9]+)') as yclid,
        -- [1,2] is a list in Metrica's spelling and in JSON
        case
            when pg_input_is_valid(goal_ids, 'jsonb') then goal_ids::jsonb
        end as goal_ids,
        -- and so is ['a','b'], but for the quotes
        case
            when pg_input_is_valid(replace(goal_times, '''', '"'), 'jsonb')
                then replace(goal_times, '''', '"')::jsonb
        end as goal_times,

        ---------- strings
        start_url,
        end_url,
        referer,
        country,
        city,
        case device_category
            when '1' then 'desktop'
            when '2' then 'mobile'
            when '3' then 'tablet'
            when '4' then 'tv'
            else device_category
        end as device,
        traffic_source,
        adv_engine,
        referral_source,
        search_engine,
        social_network,
        direct_phrase,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,

        ---------- numerics
        {{ typed('page_views', 'integer') }} as page_views,
        {{ typed('duration_s', 'integer') }} as duration_s,

        ---------- booleans
        {{ flag('is_bounce') }} as is_bounce,
        {{ flag('is_new_user') }} as is_new_user,

        ---------- timestamps
        -- the counter's own time zone; dateTimeUTC is UTC+3 despite its name
        {{ typed('started_at', 'local') }} at time zone time_zone as started_at,

        {{ unreadable({
            'page_views': 'integer',
            'duration_s': 'integer',
            'started_at': 'local',
        }) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('started_at') }} as visit_date
from typed
