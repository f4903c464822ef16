{{ staged_by_load('yandex_direct', 'ad_groups') }}

with

landed as (

    select * from {{ source('yandex_direct', 'ad_groups') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        ---------- ids
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('Id') }} as ad_group_id,
        {{ cell('CampaignId') }} as campaign_id,

        ---------- strings
        {{ cell('Name') }} as ad_group_name,
        {{ cell('Type') }} as ad_group_type,
        {{ cell('Status') }} as status,
        {{ cell('TrackingParams') }} as tracking_params
    from landed

)

select * from typed
