{{ staged_by_load('vk_ads', 'ad_plans') }}

with

landed as (

    select * from {{ source('vk_ads', 'ad_plans') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as campaign_id,
        {{ cell('name') }} as campaign_name,
        {{ cell('status') }} as status,
        {{ cell('objective') }} as objective,
        {{ cell('date_start') }} as start_date
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
        status,
        objective,

        ---------- timestamps
        {{ typed('start_date', 'date') }} as start_date,

        {{ unreadable({
            'start_date': 'date',
        }) }} as unreadable_columns
    from cells

)

select * from typed
