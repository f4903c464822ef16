{{ staged_by_load('google_ads', 'search_terms') }}

with

landed as (

    select * from {{ source('google_ads', 'search_terms') }}
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
        {{ cell('segments.keyword.adGroupCriterion') }} as criterion,
        {{ cell('segments.keyword.info.text') }} as keyword,
        {{ cell('searchTermView.searchTerm') }} as search_term,
        {{ cell('segments.searchTermMatchType') }} as match_type
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        record_key as platform_key,
        campaign_id,
        ad_group_id,
        keyword,
        search_term,
        match_type,
        {{ google_report_columns() }},
        {{ google_last_id('criterion') }} as keyword_id
    from cells

)

select * from typed
