{{ staged_by_load('yandex_direct', 'search_queries') }}

with

landed as (

    select * from {{ source('yandex_direct', 'search_queries') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'yandex_direct'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        accounts.currency_code,
        accounts.vat_included,
        {{ cell('CampaignId', ['--']) }} as campaign_id,
        {{ cell('AdGroupId', ['--']) }} as ad_group_id,
        {{ cell('AdId', ['--']) }} as ad_id,
        {{ cell('CriterionId', ['--']) }} as keyword_id,
        {{ cell('Criterion', ['--']) }} as keyword,
        {{ cell('CriterionType', ['--']) }} as criterion_type,
        {{ cell('MatchType', ['--']) }} as match_type,
        {{ cell('Query', ['--']) }} as search_term,
        {{ cell('Impressions', ['--']) }} as impressions,
        {{ cell('Clicks', ['--']) }} as clicks,
        {{ cell('Cost', ['--']) }} as spend_amount,
        {{ cell('Date', ['--']) }} as spend_date
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        record_key as platform_key,
        campaign_id,
        ad_group_id,
        ad_id,
        keyword_id,
        keyword,
        criterion_type,
        match_type,
        search_term,
        {{ spend_columns() }},
        -- search partners among it: the report does not tell them apart
        'search' as placement,
        null::text as device
    from cells

)

select * from typed
