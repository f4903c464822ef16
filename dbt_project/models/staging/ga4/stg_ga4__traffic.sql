{{ staged_by_load('ga4', 'traffic') }}

with

landed as (

    select * from {{ source('ga4', 'traffic') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('sessionSource', ['(not set)']) }} as source,
        {{ cell('sessionMedium', ['(not set)']) }} as medium,
        {{ cell('sessionCampaignName', ['(not set)']) }} as campaign_name,
        {{ cell('sessionDefaultChannelGroup', ['(not set)']) }} as channel_group,
        {{ cell('sessions') }} as sessions,
        {{ cell('engagedSessions') }} as engaged_sessions,
        {{ cell('totalUsers') }} as users,  -- noqa: RF04
        {{ cell('keyEvents') }} as key_events,
        -- 20260531, in the property's zone
        regexp_replace(
            {{ cell('date') }}, '^([0-9]{4})([0-9]{2})([0-9]{2})$', '\1-\2-\3'
        ) as visit_date
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,

        ---------- strings
        source,
        medium,
        campaign_name,
        channel_group,

        ---------- numerics
        {{ typed('sessions', 'integer') }} as sessions,
        {{ typed('engaged_sessions', 'integer') }} as engaged_sessions,
        {{ typed('users', 'integer') }} as users,  -- noqa: RF04
        {{ typed('key_events', 'amount') }} as key_events,

        ---------- timestamps
        {{ typed('visit_date', 'date') }} as visit_date,

        {{ unreadable({
            'sessions': 'integer',
            'engaged_sessions': 'integer',
            'users': 'integer',
            'key_events': 'amount',
            'visit_date': 'date',
        }) }} as unreadable_columns
    from cells

)

select * from typed
