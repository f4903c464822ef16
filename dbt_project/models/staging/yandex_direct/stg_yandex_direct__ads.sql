{{ staged_by_load('yandex_direct', 'ads') }}

with

landed as (

    select * from {{ source('yandex_direct', 'ads') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        ---------- ids
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('Id') }} as ad_id,
        {{ cell('AdGroupId') }} as ad_group_id,
        {{ cell('CampaignId') }} as campaign_id,

        ---------- strings
        {{ cell('Type') }} as ad_type,
        {{ cell('State') }} as state,
        {{ cell('Status') }} as status,
        landed.record #>> '{TextAd,Title}' as title,
        landed.record #>> '{TextAd,Title2}' as title_2,
        landed.record #>> '{TextAd,Href}' as href
    from landed

)

select * from typed
