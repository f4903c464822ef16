{{ staged_by_load('google_ads', 'campaigns') }}

with

landed as (

    select * from {{ source('google_ads', 'campaigns') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('campaign.name') }} as campaign_name,
        {{ cell('campaign.advertisingChannelType') }} as campaign_type,
        {{ cell('campaign.status') }} as status
    from landed

)

select * from typed
