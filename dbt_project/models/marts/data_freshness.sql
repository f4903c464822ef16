with

loads as (

    select * from {{ source('ops', 'loads') }}

),

published_loads as (

    select * from {{ source('ops', 'published_loads') }}

),

build_info as (

    select * from {{ ref('build_info') }}

),

shown_loads as (

    select
        loads.source,
        loads.account_id,
        loads.stream,
        loads.load_id,
        loads.rows_read,
        loads.state,
        loads.finished_at,
        coalesce(
            loads.date_to - 1,
            cast(
                loads.finished_at at time zone
                '{{ var("reporting_time_zone") }}' as date
            )
        ) as known_until
    from loads
    inner join published_loads on loads.load_id = published_loads.load_id
    where loads.state in ('ok', 'ok_empty')

),

latest as (

    select
        source,
        account_id,
        stream,
        max(finished_at) as last_loaded_at,
        max(known_until) as last_ok_date,
        (array_agg(rows_read order by load_id desc))[1] as last_rows_read,
        (array_agg(state order by load_id desc))[1] as last_state
    from shown_loads
    group by source, account_id, stream

),

with_lag as (

    select
        latest.source,
        latest.account_id,
        latest.stream,
        latest.last_loaded_at,
        latest.last_ok_date,
        latest.last_rows_read,
        latest.last_state,
        greatest(build_info.as_of - latest.last_ok_date, 0) as lag_days
    from latest
    left join build_info on true

)

select * from with_lag
