-- Every keyword that ever cost something or stands in the account, with the ways a
-- click may spell it.
with

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

direct_keywords as (

    select * from {{ ref('stg_yandex_direct__keywords') }}

),

google_keywords as (

    select * from {{ ref('stg_google_ads__keywords') }}
    where is_negative is distinct from true

),

listed as (

    select
        'yandex_direct' as platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_id,
        keyword
    from direct_keywords
    union all
    select
        'google_ads' as platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_id,
        keyword
    from google_keywords

),

keywords as (

    select
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_id,
        keyword_key,
        max(keyword) as keyword,
        sum(clicks) as clicks
    from spend
    where keyword_key is not null
    group by
        platform, account_id, campaign_id, ad_group_id, keyword_id, keyword_key

    union all

    select
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_id,
        keyword_id as keyword_key,
        keyword,
        0 as clicks
    from listed

),

known as (

    select
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_id,
        keyword_key,
        max(keyword) as keyword,
        sum(clicks) as clicks
    from keywords
    group by
        platform, account_id, campaign_id, ad_group_id, keyword_id, keyword_key

),

spelled as (

    select
        *,
        lower(btrim(keyword)) as raw_text,
        {{ keyword_text('keyword') }} as plain_text,
        count(*) over (
            partition by platform, account_id, campaign_id, ad_group_id
        ) as keywords_in_ad_group
    from known

)

select * from spelled
