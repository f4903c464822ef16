{{ staged_by_load('comagic', 'communications') }}

with

landed as (

    select * from {{ source('comagic', 'communications') }}
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
        {{ cell('id') }} as communication_id,
        {{ cell('communication_type') }} as kind,
        {{ some_id(cell('visitor_session_id')) }} as visit_id,
        {{ some_id(cell('visitor_id')) }} as visitor_id,
        {{ some_id(cell('person_id')) }} as tracker_person_id,
        {{ some_id(cell('ym_client_id')) }} as ym_client_id,
        {{ cell('ua_client_id') }} as ga_client_id,
        {{ cell('gclid') }} as gclid,
        {{ cell('yclid') }} as yclid,
        {{ cell('source_name') }} as source_name,
        coalesce({{ cell('channel') }}, {{ cell('channel_code') }}) as channel,
        {{ cell('utm_source') }} as utm_source,
        {{ cell('utm_medium') }} as utm_medium,
        {{ cell('utm_campaign') }} as utm_campaign,
        {{ cell('utm_content') }} as utm_content,
        {{ cell('utm_term') }} as utm_term,
        {{ cell('communication_page_url') }} as page_url,
        {{ cell('date_time') }} as happened_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        communication_id,
        visit_id,
        visitor_id,
        tracker_person_id,
        ym_client_id,
        ga_client_id,
        gclid,
        yclid,

        ---------- strings
        kind,
        coalesce(utm_source, source_name) as source,
        coalesce(
            utm_medium,
            case channel
                when 'paid' then 'cpc'
                when 'display' then 'cpm'
                else channel
            end
        ) as medium,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        page_url,

        ---------- timestamps
        -- the account's own time zone: the vendor's times have no offset
        {{ typed('happened_at', 'local') }} at time zone time_zone as happened_at,

        {{ unreadable({'happened_at': 'local'}) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('happened_at') }} as communication_date
from typed
