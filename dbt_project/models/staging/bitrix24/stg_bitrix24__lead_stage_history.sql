{{ staged_by_load('bitrix24', 'lead_stage_history') }}

with

landed as (

    select * from {{ source('bitrix24', 'lead_stage_history') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('ID') }} as history_id,
        {{ cell('OWNER_ID') }} as lead_id,
        {{ cell('TYPE_ID') }} as type_id,
        {{ cell('STATUS_ID') }} as stage_id,
        {{ cell('STATUS_SEMANTIC_ID') }} as semantic_id,
        {{ cell('CREATED_TIME') }} as entered_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        history_id,
        lead_id,
        stage_id,

        ---------- strings
        type_id,
        semantic_id,

        ---------- timestamps
        {{ typed('entered_at', 'instant') }} as entered_at,

        {{ unreadable({'entered_at': 'instant'}) }} as unreadable_columns
    from cells

)

select * from typed
