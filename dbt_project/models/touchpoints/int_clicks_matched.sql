-- Which campaign and keyword each paid click belongs to, and where it was shown.
{{ config(indexes=[{'columns': ['touchpoint_id'], 'unique': true}]) }}

with

clicks as (

    select * from {{ ref('int_ad_clicks') }}

),

click_keywords as (

    select * from {{ ref('int_click_keywords') }}

),

campaigns as (

    select * from {{ ref('int_campaigns_known') }}
    where is_latest_name

),

ad_groups as (

    select * from {{ ref('int_ad_groups_known') }}

),

keyword_days as (

    select * from {{ ref('int_keyword_days') }}

),

placement_clicks as (

    select
        platform,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(clicks) as clicks
    from keyword_days
    group by platform, campaign_id, ad_group_id, keyword_key, placement

),

keyword_placements as (

    select distinct on (platform, campaign_id, ad_group_id, keyword_key)
        platform,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement
    from placement_clicks
    order by
        platform asc,
        campaign_id asc,
        ad_group_id asc,
        keyword_key asc,
        clicks desc,
        placement asc

),

with_keyword as (

    select
        clicks.touchpoint_id,
        clicks.touch_date,
        clicks.platform,
        clicks.campaign_id,
        clicks.ad_id,
        clicks.match_step,
        clicks.utm_placement,
        coalesce(clicks.ad_group_id, click_keywords.ad_group_id) as ad_group_id,
        coalesce(click_keywords.keyword_id, clicks.criterion_id) as keyword_id,
        coalesce(click_keywords.keyword, clicks.keyword) as keyword,
        coalesce(
            click_keywords.keyword_key, clicks.criterion_id, clicks.plain_text
        ) as keyword_key
    from clicks
    left join click_keywords on clicks.click_key = click_keywords.click_key

),

matched as (

    select
        with_keyword.touchpoint_id,
        with_keyword.touch_date,
        with_keyword.platform,
        campaigns.account_id,
        with_keyword.campaign_id,
        with_keyword.ad_group_id,
        ad_groups.ad_group_name,
        with_keyword.ad_id,
        with_keyword.keyword_id,
        with_keyword.keyword,
        with_keyword.keyword_key,
        with_keyword.match_step,
        coalesce(campaigns.campaign_name, '(unknown campaign)') as campaign_name,
        coalesce(
            with_keyword.utm_placement,
            keyword_placements.placement,
            campaigns.placement
        ) as placement
    from with_keyword
    left join campaigns
        on
            with_keyword.platform = campaigns.platform
            and with_keyword.campaign_id = campaigns.campaign_id
    left join ad_groups
        on
            with_keyword.platform = ad_groups.platform
            and with_keyword.ad_group_id = ad_groups.ad_group_id
    left join keyword_placements
        on
            with_keyword.platform = keyword_placements.platform
            and with_keyword.campaign_id = keyword_placements.campaign_id
            and with_keyword.ad_group_id = keyword_placements.ad_group_id
            and with_keyword.keyword_key = keyword_placements.keyword_key

)

select
    *,
    {{ ad_channel('platform', 'placement') }} as channel
from matched
