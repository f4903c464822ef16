{{ staged_by_load('google_ads', 'ad_group_performance') }}

with

landed as (

    select * from {{ source('google_ads', 'ad_group_performance') }}
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
        {{ cell('adGroup.name') }} as ad_group_name
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        ad_group_id,
        ad_group_name,
        {{ google_report_columns() }}
    from cells

)

select * from typed
