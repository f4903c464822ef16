{{ staged_by_load('meta_ads', 'adsets') }}

with

landed as (

    select * from {{ source('meta_ads', 'adsets') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as ad_group_id,
        {{ cell('campaign_id') }} as campaign_id,
        {{ cell('name') }} as ad_group_name,
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
        ad_group_id,
        campaign_id,

        ---------- strings
        ad_group_name,
        status,
        effective_status
    from cells

)

select * from typed
