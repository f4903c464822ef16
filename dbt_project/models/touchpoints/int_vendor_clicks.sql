-- Clicks that a platform lists one by one, by the id that the visit's address carries.
with

google_clicks as (

    select * from {{ ref('stg_google_ads__clicks') }}

),

one_of_each as (

    select distinct on (gclid)
        'google_ads' as platform,
        gclid as click_id,
        campaign_id,
        ad_group_id,
        ad_id,
        keyword_id,
        keyword,
        placement
    from google_clicks
    order by
        gclid asc,
        click_date asc,
        account_id asc,
        record_key asc

)

select * from one_of_each
