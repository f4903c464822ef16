{{ staged_by_load('google_ads', 'campaign_performance') }}

with

landed as (

    select * from {{ source('google_ads', 'campaign_performance') }}
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
        {{ cell('campaign.name') }} as campaign_name,
        {{ cell('campaign.advertisingChannelType') }} as campaign_type
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        campaign_name,
        campaign_type,
        {{ google_report_columns() }}
    from cells

)

select * from typed
