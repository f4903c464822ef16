{{ staged_by_load('meta_ads', 'ad_insights') }}

with

landed as (

    select * from {{ source('meta_ads', 'ad_insights') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'meta_ads'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('campaign_id') }} as campaign_id,
        {{ cell('adset_id') }} as ad_group_id,
        {{ cell('ad_id') }} as ad_id,
        {{ cell('campaign_name') }} as campaign_name,
        {{ cell('adset_name') }} as ad_group_name,
        {{ cell('ad_name') }} as ad_name,
        {{ cell('publisher_platform') }} as publisher_platform,
        {{ cell('impressions') }} as impressions,
        {{ cell('clicks') }} as clicks,
        {{ cell('inline_link_clicks') }} as link_clicks,
        {{ cell('spend') }} as spend_amount,
        {{ cell('date_start') }} as spend_date,
        landed.record -> 'actions' as actions,
        landed.record -> 'action_values' as action_values
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        campaign_id,
        ad_group_id,
        ad_id,
        campaign_name,
        ad_group_name,
        ad_name,
        publisher_platform,
        actions,
        action_values,
        {{ spend_columns({'link_clicks': 'integer'}) }}
    from cells

)

select * from typed
