-- columns first, so that the marts can be built on them; rows follow
select
    cast(null as text) as ad_spend_id,
    cast(null as date) as spend_date,
    cast(null as text) as platform,
    cast(null as text) as account_id,
    cast(null as text) as campaign_id,
    cast(null as text) as campaign_name,
    cast(null as text) as ad_group_id,
    cast(null as text) as ad_group_name,
    cast(null as text) as ad_id,
    cast(null as text) as keyword_id,
    cast(null as text) as keyword,
    cast(null as text) as keyword_key,
    cast(null as text) as placement,
    cast(null as text) as device,
    cast(null as bigint) as impressions,
    cast(null as bigint) as clicks,
    cast(null as numeric(18,6)) as spend_amount,
    cast(null as numeric(18,6)) as spend_amount_with_vat,
    cast(null as text) as currency_code,
    cast(null as text) as channel
where false
