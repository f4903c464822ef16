-- The platform's own words end here: every ad platform has this model, with the same
-- columns. Three kinds of rows add up to the account's own total: keywords, what ads
-- had besides them (display, dynamic ads), and campaigns that have no ads in the API.
with

keyword_days as (

    select * from {{ ref('stg_google_ads__keyword_performance') }}

),

ad_days as (

    select * from {{ ref('stg_google_ads__ad_costs') }}

),

campaign_days as (

    select * from {{ ref('stg_google_ads__campaign_performance') }}

),

campaigns as (

    select * from {{ ref('stg_google_ads__campaigns') }}

),

ad_groups as (

    select * from {{ ref('stg_google_ads__ad_groups') }}

),

keywords_of_ads as (

    select
        account_id,
        spend_date,
        ad_group_id,
        ad_id,
        network,
        device,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        sum(spend_amount) as spend_amount
    from keyword_days
    group by account_id, spend_date, ad_group_id, ad_id, network, device

),

ads_of_campaigns as (

    select
        account_id,
        spend_date,
        campaign_id,
        network,
        device,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        sum(spend_amount) as spend_amount
    from ad_days
    group by account_id, spend_date, campaign_id, network, device

),

keyword_rows as (

    select
        account_id,
        'keyword|' || record_key as platform_key,
        spend_date,
        campaign_id,
        ad_group_id,
        ad_id,
        keyword_id,
        keyword,
        placement,
        device,
        currency_code,
        vat_included,
        coalesce(impressions, 0) as impressions,
        coalesce(clicks, 0) as clicks,
        coalesce(spend_amount, 0) as spend_amount
    from keyword_days

),

ad_rows as (

    select
        ad_days.account_id,
        'ad|' || ad_days.record_key as platform_key,
        ad_days.spend_date,
        ad_days.campaign_id,
        ad_days.ad_group_id,
        ad_days.ad_id,
        null::text as keyword_id,
        null::text as keyword,
        ad_days.placement,
        ad_days.device,
        ad_days.currency_code,
        ad_days.vat_included,
        coalesce(ad_days.impressions, 0) - coalesce(keywords_of_ads.impressions, 0)
            as impressions,
        coalesce(ad_days.clicks, 0) - coalesce(keywords_of_ads.clicks, 0) as clicks,
        coalesce(ad_days.spend_amount, 0) - coalesce(keywords_of_ads.spend_amount, 0)
            as spend_amount
    from ad_days
    left join keywords_of_ads
        on
            ad_days.account_id = keywords_of_ads.account_id
            and ad_days.spend_date = keywords_of_ads.spend_date
            and ad_days.ad_group_id = keywords_of_ads.ad_group_id
            and ad_days.ad_id = keywords_of_ads.ad_id
            and ad_days.network = keywords_of_ads.network
            and ad_days.device = keywords_of_ads.device

),

-- the types that connectors/google_ads/search.py calls WITHOUT_ADS
campaign_rows as (

    select
        campaign_days.account_id,
        'campaign|' || campaign_days.record_key as platform_key,
        campaign_days.spend_date,
        campaign_days.campaign_id,
        null::text as ad_group_id,
        null::text as ad_id,
        null::text as keyword_id,
        null::text as keyword,
        campaign_days.placement,
        campaign_days.device,
        campaign_days.currency_code,
        campaign_days.vat_included,
        coalesce(campaign_days.impressions, 0)
        - coalesce(ads_of_campaigns.impressions, 0) as impressions,
        coalesce(campaign_days.clicks, 0)
        - coalesce(ads_of_campaigns.clicks, 0) as clicks,
        coalesce(campaign_days.spend_amount, 0)
        - coalesce(ads_of_campaigns.spend_amount, 0) as spend_amount
    from campaign_days
    left join ads_of_campaigns
        on
            campaign_days.account_id = ads_of_campaigns.account_id
            and campaign_days.spend_date = ads_of_campaigns.spend_date
            and campaign_days.campaign_id = ads_of_campaigns.campaign_id
            and campaign_days.network = ads_of_campaigns.network
            and campaign_days.device = ads_of_campaigns.device
    where
        campaign_days.campaign_type in (
            'PERFORMANCE_MAX', 'SMART', 'LOCAL', 'LOCAL_SERVICES'
        )

),

all_rows as (

    select * from keyword_rows
    union all
    select * from ad_rows
    where impressions <> 0 or clicks <> 0 or spend_amount <> 0
    union all
    select * from campaign_rows
    where impressions <> 0 or clicks <> 0 or spend_amount <> 0

),

-- the report bears the name the campaign had when the day was read last
names_by_day as (

    select
        account_id,
        spend_date,
        campaign_id,
        max(campaign_name) as campaign_name
    from campaign_days
    group by account_id, spend_date, campaign_id

),

performance as (

    select
        all_rows.account_id,
        all_rows.platform_key,
        all_rows.spend_date,
        all_rows.campaign_id,
        all_rows.ad_group_id,
        ad_groups.ad_group_name,
        all_rows.ad_id,
        all_rows.keyword_id,
        all_rows.keyword,
        all_rows.placement,
        all_rows.device,
        all_rows.impressions,
        all_rows.clicks,
        all_rows.spend_amount,
        all_rows.currency_code,
        all_rows.vat_included,
        'google_ads' as platform,
        coalesce(names_by_day.campaign_name, campaigns.campaign_name) as campaign_name,
        case
            when all_rows.placement in ('search', 'search_partners')
                then 'google_ads_search'
            else 'google_ads_network'
        end as channel
    from all_rows
    left join names_by_day
        on
            all_rows.account_id = names_by_day.account_id
            and all_rows.spend_date = names_by_day.spend_date
            and all_rows.campaign_id = names_by_day.campaign_id
    left join campaigns
        on
            all_rows.account_id = campaigns.account_id
            and all_rows.campaign_id = campaigns.campaign_id
    left join ad_groups
        on
            all_rows.account_id = ad_groups.account_id
            and all_rows.ad_group_id = ad_groups.ad_group_id

)

select * from performance
