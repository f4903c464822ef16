{{ staged_by_load('meta_ads', 'ads') }}

with

landed as (

    select * from {{ source('meta_ads', 'ads') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as ad_id,
        {{ cell('adset_id') }} as ad_group_id,
        {{ cell('campaign_id') }} as campaign_id,
        {{ cell('name') }} as ad_name,
        {{ cell('status') }} as status,
        {{ cell('effective_status') }} as effective_status,
        landed.record #>> '{creative,url_tags}' as url_tags,
        coalesce(
            landed.record #>> '{creative,object_story_spec,link_data,link}',
            landed.record #>> '{creative,asset_feed_spec,link_urls,0,website_url}'
        ) as href
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        ad_id,
        ad_group_id,
        campaign_id,

        ---------- strings
        ad_name,
        status,
        effective_status,
        url_tags,
        href
    from cells

)

select * from typed
