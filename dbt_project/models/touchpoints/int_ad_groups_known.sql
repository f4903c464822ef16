{{ config(materialized='view') }}

with

direct_ad_groups as (

    select * from {{ ref('stg_yandex_direct__ad_groups') }}

),

google_ad_groups as (

    select * from {{ ref('stg_google_ads__ad_groups') }}

),

meta_adsets as (

    select * from {{ ref('stg_meta_ads__adsets') }}

),

vk_ad_groups as (

    select * from {{ ref('stg_vk_ads__ad_groups') }}

),

unioned as (

    select
        'yandex_direct' as platform,
        account_id,
        ad_group_id,
        ad_group_name,
        tracking_params
    from direct_ad_groups

    union all

    select
        'google_ads' as platform,
        account_id,
        ad_group_id,
        ad_group_name,
        null::text as tracking_params
    from google_ad_groups

    union all

    select
        'meta_ads' as platform,
        account_id,
        ad_group_id,
        ad_group_name,
        null::text as tracking_params
    from meta_adsets

    union all

    select
        'vk_ads' as platform,
        account_id,
        ad_group_id,
        ad_group_name,
        null::text as tracking_params
    from vk_ad_groups

)

select * from unioned
