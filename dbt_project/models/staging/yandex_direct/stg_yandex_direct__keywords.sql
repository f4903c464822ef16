{{ staged_by_load('yandex_direct', 'keywords') }}

with

landed as (

    select * from {{ source('yandex_direct', 'keywords') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        ---------- ids
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('Id') }} as keyword_id,
        {{ cell('AdGroupId') }} as ad_group_id,
        {{ cell('CampaignId') }} as campaign_id,

        ---------- strings
        {{ cell('Keyword') }} as keyword,
        {{ cell('State') }} as state,
        {{ cell('Status') }} as status
    from landed

)

select * from typed
