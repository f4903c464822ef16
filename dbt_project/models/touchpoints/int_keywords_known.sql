-- Every keyword that ever cost something or stands in the account, with the ways a
-- click may spell it.
with

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

listed as (

    select * from {{ ref('stg_yandex_direct__keywords') }}

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
        'yandex_direct' as platform,
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
