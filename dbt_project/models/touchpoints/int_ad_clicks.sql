-- Every paid click with its campaign and all that may tell its keyword, from the surest
-- sign to none: the platform's own ids, ids in the tags, names in the tags.
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

    select * from {{ ref('int_ads_known') }}

),

vendor_clicks as (

    select * from {{ ref('int_vendor_clicks') }}

),

campaign_ids as (

    select
        platform,
        campaign_id
    from campaigns
    where is_latest_name

),

clicks as (

    select
        touches.touchpoint_id,
        touches.touch_date,
        channels.channel as platform,
        coalesce(vendor_clicks.campaign_id, touches.vendor_campaign_id)
            as vendor_campaign_id,
        coalesce(vendor_clicks.ad_group_id, touches.vendor_ad_group_id)
            as vendor_ad_group_id,
        coalesce(vendor_clicks.ad_id, touches.vendor_ad_id) as vendor_ad_id,
        coalesce(vendor_clicks.keyword_id, touches.vendor_criterion_id)
            as vendor_criterion_id,
        coalesce(vendor_clicks.keyword, touches.vendor_phrase) as vendor_phrase,
        vendor_clicks.placement as vendor_placement,
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
        coalesce(
            in_content.placement,
            in_term.placement,
            in_campaign.placement,
            -- Meta names the network in the source
            case
                when channels.channel = 'meta_ads' then
                    case
                        when touches.utm_source ~* '^(fb|facebook)$' then 'facebook'
                        when touches.utm_source ~* '^(ig|instagram)$' then 'instagram'
                        when touches.utm_source ~* '^an$' then 'audience_network'
                        when touches.utm_source ~* '^msg$' then 'messenger'
                    end
            end
        ) as utm_placement
    from touches
    inner join channels on touches.source_key = channels.source_key
    left join vendor_clicks
        on
            channels.channel = vendor_clicks.platform
            and touches.gclid = vendor_clicks.click_id
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
    where clicks.vendor_campaign_id is null
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
            when clicks.vendor_campaign_id is not null then 'vendor_ids'
            when coalesce(by_utm_id.campaign_id, utm_ads.campaign_id) is not null
                then 'utm_ids'
            when named_campaigns.campaign_id is not null then 'utm_names'
            else 'unknown'
        end as match_step,
        coalesce(
            clicks.vendor_campaign_id,
            by_utm_id.campaign_id,
            utm_ads.campaign_id,
            named_campaigns.campaign_id
        ) as campaign_id
    from clicks
    left join campaign_ids as by_utm_id
        on
            clicks.platform = by_utm_id.platform
            and clicks.utm_campaign_id = by_utm_id.campaign_id
    left join ads as utm_ads
        on
            clicks.platform = utm_ads.platform
            and clicks.utm_ad_id = utm_ads.ad_id
    left join named_campaigns on clicks.touchpoint_id = named_campaigns.touchpoint_id

),

-- ids below the campaign count only when they are of the same campaign
with_ad as (

    select
        with_campaign.*,
        coalesce(with_campaign.vendor_ad_id, ads.ad_id) as ad_id,
        coalesce(
            with_campaign.vendor_ad_group_id,
            ads.ad_group_id,
            with_campaign.utm_ad_group_id
        ) as ad_group_id
    from with_campaign
    left join ads
        on
            with_campaign.platform = ads.platform
            and coalesce(with_campaign.vendor_ad_id, with_campaign.known_utm_ad_id)
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
        coalesce(vendor_placement, utm_placement) as utm_placement,
        coalesce(vendor_criterion_id, utm_criterion_id) as criterion_id,
        case
            when match_step <> 'unknown'
                then coalesce(vendor_phrase, utm_keyword, utm_term)
        end as keyword
    from with_ad

),

with_keyword_texts as (

    select
        *,
        lower(btrim(keyword)) as raw_text,
        {{ keyword_text('keyword') }} as plain_text
    from with_keyword_signs

)

select
    *,
    {{ surrogate_key([
        'platform',
        'touch_date',
        'campaign_id',
        'ad_group_id',
        'criterion_id',
        'raw_text',
    ]) }} as click_key
from with_keyword_texts
