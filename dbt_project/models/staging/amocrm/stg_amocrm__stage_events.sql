{{ staged_by_load('amocrm', 'events') }}

with

landed as (

    select * from {{ source('amocrm', 'events') }}
    where
        {{ rows_of_this_build() }}
        and record ->> 'type' = 'lead_status_changed'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as event_id,
        {{ cell('entity_id') }} as amo_lead_id,
        landed.record #>> '{value_before,0,lead_status,id}' as status_id_before,
        landed.record #>> '{value_before,0,lead_status,pipeline_id}'
            as pipeline_id_before,
        landed.record #>> '{value_after,0,lead_status,id}' as status_id,
        landed.record #>> '{value_after,0,lead_status,pipeline_id}' as pipeline_id,
        {{ cell('created_at') }} as entered_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        event_id,
        amo_lead_id,
        status_id_before,
        pipeline_id_before,
        status_id,
        pipeline_id,

        ---------- timestamps
        to_timestamp({{ typed('entered_at', 'integer') }}) as entered_at,

        {{ unreadable({'entered_at': 'integer'}) }} as unreadable_columns
    from cells

)

select * from typed
