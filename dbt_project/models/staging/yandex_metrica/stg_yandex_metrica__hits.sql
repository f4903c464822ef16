{{ staged_by_load('yandex_metrica', 'hits') }}

with

landed as (

    select * from {{ source('yandex_metrica', 'hits') }}
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
        {{ cell('ym:pv:watchID') }} as hit_id,
        {{ cell('ym:pv:counterID') }} as counter_id,
        {{ some_id(cell('ym:pv:clientID')) }} as client_id,
        {{ cell('ym:pv:URL') }} as url,
        {{ cell('ym:pv:title') }} as title,
        {{ cell('ym:pv:referer') }} as referer,
        {{ cell('ym:pv:goalsID', ['[]']) }} as goal_ids,
        {{ cell('ym:pv:isPageView') }} as is_page_view,
        {{ cell('ym:pv:link') }} as is_link,
        {{ cell('ym:pv:download') }} as is_download,
        {{ cell('ym:pv:dateTime') }} as hit_at
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        hit_id,
        counter_id,
        client_id,
        -- [1,2] is a list in Metrica's spelling and in JSON
        case
            when pg_input_is_valid(goal_ids, 'jsonb') then goal_ids::jsonb
        end as goal_ids,

        ---------- strings
        url,
        title,
        referer,

        ---------- booleans
        {{ flag('is_page_view') }} as is_page_view,
        {{ flag('is_link') }} as is_link,
        {{ flag('is_download') }} as is_download,

        ---------- timestamps
        -- the counter's own time zone
        {{ typed('hit_at', 'local') }} at time zone time_zone as hit_at,

        {{ unreadable({'hit_at': 'local'}) }} as unreadable_columns
    from cells

)

select
    *,
    {{ reporting_date('hit_at') }} as hit_date
from typed
