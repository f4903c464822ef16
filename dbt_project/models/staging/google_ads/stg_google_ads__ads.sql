{{ staged_by_load('google_ads', 'ads') }}

with

landed as (

    select * from {{ source('google_ads', 'ads') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('adGroupAd.ad.id') }} as ad_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroupAd.ad.type') }} as ad_type,
        {{ cell('adGroupAd.status') }} as status,
        landed.record -> 'adGroupAd.ad.finalUrls' ->> 0 as href
    from landed

)

select * from typed
