{{ staged_by_load('google_ads', 'keywords') }}

with

landed as (

    select * from {{ source('google_ads', 'keywords') }}
    where {{ rows_of_this_build() }}

),

typed as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('adGroupCriterion.criterionId') }} as keyword_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroupCriterion.keyword.text') }} as keyword,
        {{ cell('adGroupCriterion.keyword.matchType') }} as match_type,
        {{ cell('adGroupCriterion.status') }} as status,
        {{ flag("landed.record ->> 'adGroupCriterion.negative'") }} as is_negative
    from landed

)

select * from typed
