-- Every touch with its channel and, for a paid click, what was clicked.
{{ config(indexes=[{'columns': ['touchpoint_id'], 'unique': true}]) }}

with

touches as (

    select * from {{ ref('int_touch_sources') }}

),

channels as (

    select * from {{ ref('int_channels_by_source') }}

),

clicks as (

    select * from {{ ref('int_clicks_matched') }}

),

channel_names as (

    select * from {{ ref('channel_names') }}

),

resolved as (

    select
        touches.touchpoint_id,
        touches.touch_kind,
        touches.person_id,
        touches.touched_at,
        touches.touch_date,
        touches.visit_id,
        touches.call_id,
        touches.lead_id,
        touches.client_id,
        clicks.platform,
        clicks.account_id,
        clicks.campaign_id,
        clicks.campaign_name,
        clicks.ad_group_id,
        clicks.ad_group_name,
        clicks.ad_id,
        clicks.keyword_id,
        clicks.keyword,
        clicks.keyword_key,
        clicks.placement,
        clicks.match_step,
        coalesce(clicks.channel, channels.channel) as channel,
        coalesce(
            touches.utm_source,
            {{ platform_source('clicks.platform') }},
            touches.named_source,
            touches.referral
        ) as source,
        coalesce(
            touches.utm_medium,
            case when clicks.platform is not null then 'cpc' end,
            touches.traffic_source
        ) as medium
    from touches
    inner join channels on touches.source_key = channels.source_key
    left join clicks on touches.touchpoint_id = clicks.touchpoint_id

)

select
    resolved.*,
    channel_names.channel_group,
    channel_names.is_paid,
    channel_names.is_direct
from resolved
inner join channel_names on resolved.channel = channel_names.channel
