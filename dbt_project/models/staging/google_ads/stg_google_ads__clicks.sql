{{ staged_by_load('google_ads', 'click_view') }}

with

landed as (

    select * from {{ source('google_ads', 'click_view') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('clickView.gclid') }} as gclid,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ google_last_id(cell('clickView.adGroupAd')) }} as ad_id,
        {{ google_last_id(cell('clickView.keyword')) }} as keyword_id,
        {{ cell('clickView.keywordInfo.text') }} as keyword,
        {{ cell('segments.clickType') }} as click_type,
        {{ google_placement(cell('segments.adNetworkType')) }} as placement,
        {{ google_device(cell('segments.device')) }} as device,
        landed.record_date as click_date
    from landed

)

select * from typed
