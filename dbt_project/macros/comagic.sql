{#
    A chat or a message left while nobody was there: they differ in the field that says
    through what they came. A chat has neither e-mail nor name, and so none is found.
#}
{% macro comagic_messages(stream, kind, came_through) -%}
with

landed as (

    select * from {{ source('comagic', stream) }}
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
        {{ cell('id') }} as message_id,
        {{ some_id(cell('visitor_session_id')) }} as visit_id,
        {{ some_id(cell('visitor_id')) }} as visitor_id,
        {{ some_id(cell('person_id')) }} as tracker_person_id,
        {{ some_id(cell('ym_client_id')) }} as ym_client_id,
        {{ cell('ua_client_id') }} as ga_client_id,
        jsonb_path_query_array(
            landed.record,
            'lax $.visitor_phone_number[*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
        ) as phones,
        jsonb_path_query_array(
            landed.record,
            'lax $.visitor_email[*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
        ) as emails,
        {{ cell('visitor_name') }} as name_token,
        {{ cell('employee_full_name') }} as manager,
        {{ cell('utm_source') }} as utm_source,
        {{ cell('utm_medium') }} as utm_medium,
        {{ cell('utm_campaign') }} as utm_campaign,
        {{ cell('utm_content') }} as utm_content,
        {{ cell('utm_term') }} as utm_term,
        coalesce(
            {{ cell('communication_page_url') }}, {{ cell('entrance_page') }}
        ) as page_url,
        {{ cell('source_name') }} as source_name,
        coalesce({{ cell('channel') }}, {{ cell('channel_code') }}) as channel,
        {{ cell('communication_id') }} as communication_id,
        {{ cell(came_through) }} as came_through,
        {{ cell('date_time') }} as sent_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

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
        '{{ kind }}' as kind,
        manager,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
        page_url,
        coalesce(utm_source, source_name) as source,
        coalesce(
            utm_medium,
            case channel
                when 'paid' then 'cpc'
                when 'display' then 'cpm'
                else channel
            end
        ) as medium,

        ---------- timestamps
        -- the account's own time zone: the vendor's times have no offset
        {{ typed('sent_at', 'local') }} at time zone time_zone as sent_at,

        {{ unreadable({'sent_at': 'local'}) }} as unreadable_columns,

        ---------- what only this tracker has
        tracker_person_id,
        communication_id,
        came_through
    from cells

)

select
    *,
    {{ reporting_date('sent_at') }} as message_date
from typed
{%- endmacro %}
