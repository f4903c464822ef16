{{ staged_by_load('vk_ads', 'banners') }}

with

landed as (

    select * from {{ source('vk_ads', 'banners') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('id') }} as ad_id,
        {{ cell('ad_group_id') }} as ad_group_id,
        {{ cell('name') }} as ad_name,
        {{ cell('status') }} as status,
        {{ cell('moderation_status') }} as moderation_status,
        landed.record #>> '{urls,primary,url}' as href
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

        ---------- strings
        ad_name,
        status,
        moderation_status,
        href
    from cells

)

select * from typed
