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
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('campaign.id') }} as campaign_id,
        {{ cell('adGroup.id') }} as ad_group_id,
        {{ cell('adGroup.name') }} as ad_group_name,
        {{ cell('segments.adNetworkType') }} as network,
        {{ cell('segments.device') }} as raw_device,
        {{ cell('metrics.impressions') }} as impressions,
        {{ cell('metrics.clicks') }} as clicks,
        {{ cell('cost') }} as spend_amount,
        {{ cell('segments.date') }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        campaign_id,
        ad_group_id,

        ---------- strings
        ad_group_name,
        network,
        {{ google_placement('network') }} as placement,
        {{ google_device('raw_device') }} as device,
        currency_code,

        ---------- numerics
        {{ typed('impressions', 'integer') }} as impressions,
        {{ typed('clicks', 'integer') }} as clicks,
        {{ typed('spend_amount', 'amount') }} as spend_amount,

        ---------- booleans
        vat_included,

        ---------- timestamps
        {{ typed('spend_date', 'date') }} as spend_date,

        {{ unreadable({
            'impressions': 'integer',
            'clicks': 'integer',
            'spend_amount': 'amount',
            'spend_date': 'date',
        }) }} as unreadable_columns
    from cells

)

select * from typed
