with

calls as (

    select * from {{ ref('int_calls_placed') }}

),

touches as (

    select * from {{ ref('int_touches_resolved') }}

),

judged as (

    select
        *,
        -- the tracker has written talks of less than no time
        greatest(coalesce(duration_s, 0), 0)::integer as talk_s,
        coalesce(is_successful, duration_s > 0, false) as is_answered
    from calls

),

targeted as (

    select
        *,
        coalesce(tags ?| {{ text_array(var('target_call_tags')) }}, false)
        or (is_answered and talk_s >= {{ var('target_call_seconds') }}) as is_target
    from judged

),

counted as (

    select
        *,
        row_number() over (
            partition by caller_phone order by called_at, call_id
        ) as call_number,
        row_number() over (
            partition by caller_phone, is_target order by called_at, call_id
        ) as call_number_among_equals
    from targeted

),

resolved as (

    select
        counted.call_id,
        counted.account_id as tracker_account_id,
        counted.person_id,
        counted.touchpoint_id,
        counted.visit_id,
        counted.called_at,
        counted.call_date,
        counted.caller_phone,
        counted.client_id,
        counted.phone_number,
        counted.is_static_number,
        counted.talk_s as duration_s,
        counted.wait_s::integer as wait_s,
        counted.is_answered,
        -- calls from before our first load are known to the tracker alone; hidden
        -- numbers are known to nobody
        case
            when counted.caller_phone is null
                then coalesce(counted.is_unique_by_tracker, true)
            else
                counted.call_number = 1
                and coalesce(counted.is_unique_by_tracker, true)
        end as is_unique,
        counted.is_target,
        counted.is_target
        and case
            when counted.caller_phone is null
                then coalesce(counted.is_unique_target_by_tracker, true)
            else counted.call_number_among_equals = 1
        end as is_unique_target,
        coalesce(counted.is_callback, false) as is_callback,
        counted.manager,
        counted.tags,
        {{ touch_columns('touches') }}
    from counted
    inner join touches on counted.touchpoint_id = touches.touchpoint_id

)

select * from resolved
