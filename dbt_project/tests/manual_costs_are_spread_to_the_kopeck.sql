-- What people wrote down for a period is what its days hold together.
with

costs as (

    select
        'google_sheets' as platform,
        account_id,
        record_key,
        amount
    from {{ ref('stg_google_sheets__costs') }}
    union all
    select
        'files' as platform,
        account_id,
        record_key,
        amount
    from {{ ref('stg_files__costs') }}

),

days as (

    select
        platform,
        account_id,
        platform_key,
        spend_amount
    from {{ ref('stg_google_sheets__ad_performance') }}
    union all
    select
        platform,
        account_id,
        platform_key,
        spend_amount
    from {{ ref('stg_files__ad_performance') }}

),

spread as (

    select
        platform,
        account_id,
        regexp_replace(platform_key, '[|][0-9]+$', '') as record_key,
        sum(spend_amount) as amount
    from days
    group by platform, account_id, regexp_replace(platform_key, '[|][0-9]+$', '')

)

select
    costs.*,
    spread.amount as spread_amount
from costs
left join spread
    on
        costs.platform = spread.platform
        and costs.account_id = spread.account_id
        and costs.record_key = spread.record_key
where spread.amount is distinct from costs.amount
