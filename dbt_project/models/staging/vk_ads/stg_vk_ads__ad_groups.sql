{{ staged_by_load('vk_ads', 'ad_groups') }}

with

landed as (

    select * from {{ source('vk_ads', 'ad_groups') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as ad_group_id,
        {{ cell('ad_plan_id') }} as campaign_id,
        {{ cell('name') }} as ad_group_name,
        {{ cell('status') }} as status,
        {{ cell('utm') }} as utm,
        {{ cell('enable_utm') }} as adds_utm
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
        utm,

        ---------- booleans
        {{ flag('adds_utm') }} as adds_utm
    from cells

)

select * from typed
