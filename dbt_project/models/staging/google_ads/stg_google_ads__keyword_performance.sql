{{ staged_by_load('google_ads', 'keyword_performance') }}

with

landed as (

    select * from {{ source('google_ads', 'keyword_performance') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'google_ads'

),

cells as (

    select
        {{ google_report_cells() }},
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ cell('adGroupAd.ad.id') }} as ad_id,
        {{ cell('segments.keyword.adGroupCriterion') }} as criterion,
        {{ cell('segments.keyword.info.text') }} as keyword,
        {{ cell('segments.keyword.info.matchType') }} as match_type
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        ad_group_id,
        ad_id,
        keyword,
        match_type,
        {{ google_report_columns() }},
        {{ google_last_id('criterion') }} as keyword_id
    from cells

)

select * from typed
