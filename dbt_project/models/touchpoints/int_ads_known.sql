{{ config(materialized='view') }}

-- The ads of every platform with their links.
with

direct_ads as (

    select * from {{ ref('stg_yandex_direct__ads') }}

),

google_ads as (

    select * from {{ ref('stg_google_ads__ads') }}

),

meta_ads as (

    select * from {{ ref('stg_meta_ads__ads') }}

),

vk_banners as (

    select * from {{ ref('stg_vk_ads__banners') }}

),

vk_ad_groups as (

    select * from {{ ref('stg_vk_ads__ad_groups') }}

),

unioned as (

    select
        'yandex_direct' as platform,
        account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        split_part(split_part(href, '?', 2), '#', 1) as link_query
    from direct_ads

    union all

    select
        'google_ads' as platform,
        account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        split_part(split_part(href, '?', 2), '#', 1) as link_query
    from google_ads

    union all

    select
        'meta_ads' as platform,
        account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        coalesce(url_tags, split_part(split_part(href, '?', 2), '#', 1)) as link_query
    from meta_ads

    union all

    select
        'vk_ads' as platform,
        vk_banners.account_id,
        vk_ad_groups.campaign_id,
        vk_banners.ad_group_id,
        vk_banners.ad_id,
        split_part(split_part(vk_banners.href, '?', 2), '#', 1) as link_query
    from vk_banners
    left join vk_ad_groups
        on
            vk_banners.account_id = vk_ad_groups.account_id
            and vk_banners.ad_group_id = vk_ad_groups.ad_group_id

)

select * from unioned
