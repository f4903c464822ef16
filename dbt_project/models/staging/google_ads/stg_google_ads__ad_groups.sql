{{ staged_by_load('google_ads', 'ad_groups') }}

with

landed as (

    select * from {{ source('google_ads', 'ad_groups') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroup.name') }} as ad_group_name,
        {{ cell('adGroup.type') }} as ad_group_type,
        {{ cell('adGroup.status') }} as status
    from landed

)

select * from typed
