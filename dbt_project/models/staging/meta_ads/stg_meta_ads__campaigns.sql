{{ staged_by_load('meta_ads', 'campaigns') }}

with

landed as (

    select * from {{ source('meta_ads', 'campaigns') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as campaign_id,
        {{ cell('name') }} as campaign_name,
        {{ cell('objective') }} as objective,
        {{ cell('status') }} as status,
        {{ cell('effective_status') }} as effective_status
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        campaign_id,

        ---------- strings
        campaign_name,
        objective,
        status,
        effective_status
    from cells

)

select * from typed
