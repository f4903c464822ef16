{{ staged_by_load('amocrm', 'statuses') }}

with

landed as (

    select * from {{ source('amocrm', 'statuses') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('pipeline_id') }} as pipeline_id,
        {{ cell('id') }} as status_id,
        {{ cell('name') }} as status_name,
        {{ cell('sort') }} as sort,
        {{ cell('type') }} as status_type
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        pipeline_id,
        status_id,

        ---------- strings
        status_name,
        case status_id when '142' then 'S' when '143' then 'F' end as semantic_id,

        ---------- numerics
        {{ typed('sort', 'integer') }} as sort,

        ---------- booleans
        coalesce(status_type = '1', false) as is_unsorted
    from cells

)

select * from typed
