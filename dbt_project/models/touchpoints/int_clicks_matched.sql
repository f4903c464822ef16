-- Which campaign and keyword each paid click belongs to, from the surest sign to none:
-- the platform's own ids, ids in the tags, names in the tags.
{{ config(indexes=[{'columns': ['touchpoint_id'], 'unique': true}]) }}

with

touches as (

    select * from {{ ref('int_touch_sources') }}

),

channels as (

    select * from {{ ref('int_channels_by_source') }}

),

utm_values as (

    select * from {{ ref('int_utm_values') }}

),

campaigns as (

    select * from {{ ref('int_campaigns_known') }}

),

ads as (

    select * from {{ ref('stg_yandex_direct__ads') }}

),

keywords as (

    select * from {{ ref('int_keywords_known') }}

),

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

ad_groups as (

    select * from {{ ref('stg_yandex_direct__ad_groups') }}

),

campaign_ids as (

    select
        platform,
        account_id,
        campaign_id,
        campaign_name,
        placement
    from campaigns
    where is_latest_name

),

clicks as (

    select
        touches.touchpoint_id,
        touches.touch_date,
        channels.channel as platform,
        touches.direct_campaign_id,
        touches.direct_ad_group_id,
        touches.direct_ad_id,
        touches.direct_criterion_id,
        touches.direct_phrase,
        touches.utm_campaign,
        touches.utm_term,
        {{ name_text('touches.utm_campaign') }} as utm_campaign_text,
        in_campaign.campaign_id as utm_campaign_id,
        coalesce(in_content.ad_group_id, in_term.ad_group_id, in_campaign.ad_group_id)
            as utm_ad_group_id,
        coalesce(in_content.ad_id, in_term.ad_id, in_campaign.ad_id) as utm_ad_id,
        coalesce(
            in_term.criterion_id, in_content.criterion_id, in_campaign.criterion_id
        ) as utm_criterion_id,
        coalesce(in_term.keyword, in_content.keyword, in_campaign.keyword)
            as utm_keyword,
        coalesce(in_content.placement, in_term.placement, in_campaign.placement)
            as utm_placement
    from touches
    inner join channels on touches.source_key = channels.source_key
    left join utm_values as in_campaign
        on
            touches.utm_campaign = in_campaign.tag_value
            and in_campaign.parameter = 'utm_campaign'
    left join utm_values as in_content
        on
            touches.utm_content = in_content.tag_value
            and in_content.parameter = 'utm_content'
    left join utm_values as in_term
        on
            touches.utm_term = in_term.tag_value
            and in_term.parameter = 'utm_term'
    where channels.channel = any({{ text_array(var('ad_platforms')) }})

),

-- of several campaigns with one name, the one that bore it nearest to the click
named_campaigns as (

    select distinct on (clicks.touchpoint_id)
        clicks.touchpoint_id,
        campaigns.account_id,
        campaigns.campaign_id
    from clicks
    inner join campaigns
        on
            clicks.platform = campaigns.platform
            and clicks.utm_campaign_text = campaigns.name_text
    where clicks.direct_campaign_id is null
    order by
        clicks.touchpoint_id asc,
        greatest(
            campaigns.named_from - clicks.touch_date,
            clicks.touch_date - campaigns.named_to,
            0
        ) asc,
        campaigns.campaign_id asc

),

-- three steps; each is taken only where the one before found nothing
with_campaign as (

    select
        clicks.*,
        utm_ads.ad_id as known_utm_ad_id,
        utm_ads.ad_group_id as ad_group_id_of_utm_ad,
        case
            when clicks.direct_campaign_id is not null then 'vendor_ids'
            when coalesce(by_utm_id.campaign_id, utm_ads.campaign_id) is not null
                then 'utm_ids'
            when named_campaigns.campaign_id is not null then 'utm_names'
            else 'unknown'
        end as match_step,
        coalesce(
            clicks.direct_campaign_id,
            by_utm_id.campaign_id,
            utm_ads.campaign_id,
            named_campaigns.campaign_id
        ) as campaign_id
    from clicks
    left join campaign_ids as by_utm_id
        on
            clicks.platform = by_utm_id.platform
            and clicks.utm_campaign_id = by_utm_id.campaign_id
    left join ads as utm_ads on clicks.utm_ad_id = utm_ads.ad_id
    left join named_campaigns on clicks.touchpoint_id = named_campaigns.touchpoint_id

),

-- ids below the campaign count only when they are of the same campaign
with_ad as (

    select
        with_campaign.*,
        coalesce(with_campaign.direct_ad_id, ads.ad_id) as ad_id,
        coalesce(
            with_campaign.direct_ad_group_id,
            ads.ad_group_id,
            with_campaign.utm_ad_group_id
        ) as ad_group_id
    from with_campaign
    left join ads
        on
            coalesce(with_campaign.direct_ad_id, with_campaign.known_utm_ad_id)
            = ads.ad_id
            and with_campaign.campaign_id = ads.campaign_id

),

with_keyword_signs as (

    select
        touchpoint_id,
        touch_date,
        platform,
        campaign_id,
        ad_group_id,
        ad_id,
        match_step,
        utm_placement,
        coalesce(direct_criterion_id, utm_criterion_id) as criterion_id,
        case
            when match_step <> 'unknown'
                then coalesce(direct_phrase, utm_keyword, utm_term)
        end as keyword
    from with_ad

),

with_keyword_texts as (

    select
        *,
        lower(btrim(keyword)) as raw_text,
        {{ keyword_text('keyword') }} as plain_text
    from with_keyword_signs

),

spend_by_day as (

    select
        platform,
        spend_date,
        campaign_id,
        keyword_key,
        sum(clicks) as clicks
    from spend
    group by platform, spend_date, campaign_id, keyword_key

),

-- keywords that fit, the best first: by id, by the same spelling, by the same words; of
-- equals the one that was clicked most on that day
fitting_keywords as (

    select distinct on (with_keyword_texts.touchpoint_id)
        with_keyword_texts.touchpoint_id,
        keywords.ad_group_id,
        keywords.keyword_id,
        keywords.keyword,
        keywords.keyword_key
    from with_keyword_texts
    inner join keywords
        on
            with_keyword_texts.platform = keywords.platform
            and with_keyword_texts.campaign_id = keywords.campaign_id
            and (
                with_keyword_texts.ad_group_id is null
                or with_keyword_texts.ad_group_id = keywords.ad_group_id
            )
    left join spend_by_day
        on
            keywords.platform = spend_by_day.platform
            and keywords.campaign_id = spend_by_day.campaign_id
            and keywords.keyword_key = spend_by_day.keyword_key
            and with_keyword_texts.touch_date = spend_by_day.spend_date
    where
        with_keyword_texts.criterion_id = keywords.keyword_id
        or with_keyword_texts.plain_text = keywords.plain_text
        or with_keyword_texts.raw_text = keywords.raw_text
        or (
            -- an audience has no words to be told by, but is alone in its group
            with_keyword_texts.plain_text is null
            and with_keyword_texts.criterion_id is null
            and with_keyword_texts.ad_group_id is not null
            and keywords.keywords_in_ad_group = 1
        )
    order by
        with_keyword_texts.touchpoint_id asc,
        (
            with_keyword_texts.criterion_id is not distinct from keywords.keyword_id
        ) desc,
        (with_keyword_texts.raw_text is not distinct from keywords.raw_text) desc,
        coalesce(spend_by_day.clicks, 0) desc,
        keywords.clicks desc,
        keywords.keyword_id asc,
        keywords.ad_group_id asc

),

placement_clicks as (

    select
        platform,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(clicks) as clicks
    from spend
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
        with_keyword_texts.touchpoint_id,
        with_keyword_texts.touch_date,
        with_keyword_texts.platform,
        with_keyword_texts.campaign_id,
        with_keyword_texts.ad_id,
        with_keyword_texts.match_step,
        with_keyword_texts.utm_placement,
        coalesce(with_keyword_texts.ad_group_id, fitting_keywords.ad_group_id)
            as ad_group_id,
        coalesce(fitting_keywords.keyword_id, with_keyword_texts.criterion_id)
            as keyword_id,
        coalesce(fitting_keywords.keyword, with_keyword_texts.keyword) as keyword,
        coalesce(
            fitting_keywords.keyword_key,
            with_keyword_texts.criterion_id,
            with_keyword_texts.plain_text
        ) as keyword_key
    from with_keyword_texts
    left join fitting_keywords
        on with_keyword_texts.touchpoint_id = fitting_keywords.touchpoint_id

),

matched as (

    select
        with_keyword.touchpoint_id,
        with_keyword.touch_date,
        with_keyword.platform,
        campaign_ids.account_id,
        with_keyword.campaign_id,
        with_keyword.ad_group_id,
        ad_groups.ad_group_name,
        with_keyword.ad_id,
        with_keyword.keyword_id,
        with_keyword.keyword,
        with_keyword.keyword_key,
        with_keyword.match_step,
        coalesce(campaign_ids.campaign_name, '(unknown campaign)') as campaign_name,
        coalesce(
            with_keyword.utm_placement,
            keyword_placements.placement,
            campaign_ids.placement
        ) as placement
    from with_keyword
    left join campaign_ids
        on
            with_keyword.platform = campaign_ids.platform
            and with_keyword.campaign_id = campaign_ids.campaign_id
    left join ad_groups on with_keyword.ad_group_id = ad_groups.ad_group_id
    left join keyword_placements
        on
            with_keyword.platform = keyword_placements.platform
            and with_keyword.campaign_id = keyword_placements.campaign_id
            and with_keyword.ad_group_id = keyword_placements.ad_group_id
            and with_keyword.keyword_key = keyword_placements.keyword_key

)

select
    *,
    platform || '_' || coalesce(placement, 'unknown') as channel
from matched
