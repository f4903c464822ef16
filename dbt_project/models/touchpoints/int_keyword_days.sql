-- What each keyword cost and brought on a day: what a click can be tied to.
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
        sum(clicks) as clicks,
        sum(spend_amount) as spend_amount
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
