-- The days on which each keyword was shown: what a click can be tied to.
{{ config(indexes=[
    {'columns': ['spend_date', 'campaign_id', 'keyword_key']},
]) }}

with

spend as (

    select * from {{ ref('int_ad_spend_unioned') }}

),

keyword_days as (

    select
        spend_date,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(clicks) as clicks
    from spend
    group by
        spend_date,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement

)

select * from keyword_days
