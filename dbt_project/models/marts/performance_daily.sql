with

costs as (

    select * from {{ ref('fct_ad_cost_daily') }}

),

traffic as (

    select * from {{ ref('fct_traffic_daily') }}

),

results as (

    select * from {{ ref('fct_result_daily') }}

),

keywords as (

    select * from {{ ref('dim_keyword') }}

),

channels as (

    select * from {{ ref('dim_channel') }}

),

build_info as (

    select * from {{ ref('build_info') }}

),

ltv_curve as (

    select * from {{ ref('ltv_curve') }}
    where is_prediction

),

models (attribution_model) as (

    values
    {% for model in attribution_models() %}
    ('{{ model.name }}'){{ ',' if not loop.last }}
    {% endfor %}

),

bases (date_basis) as (

    values
    {% for basis in date_bases() %}
    ('{{ basis }}'){{ ',' if not loop.last }}
    {% endfor %}

),

-- costs, visits and calls have a day of their own, whatever the model and the basis
costs_and_traffic as (

    select
        cost_date as activity_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        impressions,
        clicks,
        cost_amount,
        cost_amount_with_vat,
        0 as visits,
        0 as calls,
        0 as unique_target_calls
    from costs
    union all
    select
        traffic_date as activity_date,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        0 as impressions,
        0 as clicks,
        0 as cost_amount,
        0 as cost_amount_with_vat,
        visits,
        calls,
        unique_target_calls
    from traffic

),

unioned as (

    select
        costs_and_traffic.activity_date,
        bases.date_basis,
        models.attribution_model,
        costs_and_traffic.channel,
        costs_and_traffic.platform,
        costs_and_traffic.account_id,
        costs_and_traffic.campaign_id,
        costs_and_traffic.ad_group_id,
        costs_and_traffic.keyword_key,
        costs_and_traffic.placement,
        costs_and_traffic.impressions,
        costs_and_traffic.clicks,
        costs_and_traffic.cost_amount,
        costs_and_traffic.cost_amount_with_vat,
        costs_and_traffic.visits,
        costs_and_traffic.calls,
        costs_and_traffic.unique_target_calls,
        0 as leads_raw,
        0 as leads,
        0 as leads_spam,
        0 as leads_duplicate,
        0 as qualified_leads,
        0 as deals,
        0 as sales_gross,
        0 as sales,
        0 as new_customers,
        0 as sales_without_margin,
        0 as revenue_gross,
        0 as refunds_amount,
        0 as revenue,
        0 as margin,
        0 as first_revenue
    from costs_and_traffic
    cross join models
    cross join bases
    union all
    select
        result_date as activity_date,
        date_basis,
        attribution_model,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        0 as impressions,
        0 as clicks,
        0 as cost_amount,
        0 as cost_amount_with_vat,
        0 as visits,
        0 as calls,
        0 as unique_target_calls,
        leads_raw,
        leads,
        leads_spam,
        leads_duplicate,
        qualified_leads,
        deals,
        sales_gross,
        sales,
        new_customers,
        sales_without_margin,
        revenue_gross,
        refunds_amount,
        revenue,
        margin,
        first_revenue
    from results

),

summed as (

    select
        activity_date,
        date_basis,
        attribution_model,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(cost_amount) as cost_amount,
        sum(cost_amount_with_vat) as cost_amount_with_vat,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(visits) as visits,
        sum(calls) as calls,
        sum(unique_target_calls) as unique_target_calls,
        sum(leads_raw) as leads_raw,
        sum(leads) as leads,
        sum(leads_spam) as leads_spam,
        sum(leads_duplicate) as leads_duplicate,
        sum(qualified_leads) as qualified_leads,
        sum(deals) as deals,
        sum(sales_gross) as sales_gross,
        sum(sales) as sales,
        sum(new_customers) as new_customers,
        sum(sales_without_margin) as sales_without_margin,
        sum(revenue_gross) as revenue_gross,
        sum(refunds_amount) as refunds_amount,
        sum(revenue) as revenue,
        sum(margin) as margin,
        sum(first_revenue) as first_revenue
    from unioned
    group by
        activity_date,
        date_basis,
        attribution_model,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement

),

named as (

    select
        summed.activity_date as date,
        summed.date_basis,
        summed.attribution_model,
        summed.platform,
        summed.account_id,
        summed.channel,
        summed.campaign_id,
        summed.ad_group_id,
        summed.keyword_key,
        summed.placement,
        cast(summed.cost_amount as numeric(18, 6)) as cost_amount,
        cast(summed.cost_amount_with_vat as numeric(18, 6)) as cost_amount_with_vat,
        cast(
            case when summed.visits = 0 then summed.cost_amount else 0 end
            as numeric(18, 6)
        ) as cost_without_visits_amount,
        cast(summed.impressions as bigint) as impressions,
        cast(summed.clicks as bigint) as clicks,
        cast(summed.visits as bigint) as visits,
        cast(summed.calls as bigint) as calls,
        cast(summed.unique_target_calls as bigint) as unique_target_calls,
        cast(summed.leads_raw as numeric(20, 9)) as leads_raw,
        cast(summed.leads as numeric(20, 9)) as leads,
        cast(summed.leads_spam as numeric(20, 9)) as leads_spam,
        cast(summed.leads_duplicate as numeric(20, 9)) as leads_duplicate,
        cast(summed.qualified_leads as numeric(20, 9)) as qualified_leads,
        cast(summed.deals as numeric(20, 9)) as deals,
        cast(summed.sales_gross as numeric(20, 9)) as sales_gross,
        cast(summed.sales as numeric(20, 9)) as sales,
        cast(summed.new_customers as numeric(20, 9)) as new_customers,
        cast(summed.sales_without_margin as numeric(20, 9)) as sales_without_margin,
        cast(summed.revenue_gross as numeric(28, 11)) as revenue_gross,
        cast(summed.refunds_amount as numeric(28, 11)) as refunds_amount,
        cast(summed.revenue as numeric(28, 11)) as revenue,
        cast(summed.margin as numeric(28, 11)) as margin,
        cast(summed.first_revenue as numeric(28, 11)) as first_revenue,
        coalesce(channels.channel_name, summed.channel) as channel_name,
        coalesce(channels.channel_group, summed.channel) as channel_group,
        coalesce(channels.is_paid, false) as is_paid,
        coalesce(keywords.campaign_name, summed.campaign_id) as campaign_name,
        coalesce(keywords.ad_group_name, summed.ad_group_id) as ad_group_name,
        coalesce(keywords.keyword_id, '(none)') as keyword_id,
        coalesce(keywords.keyword, summed.keyword_key) as keyword
    from summed
    left join channels on summed.channel = channels.channel
    left join keywords
        on
            summed.platform = keywords.platform
            and summed.account_id = keywords.account_id
            and summed.campaign_id = keywords.campaign_id
            and summed.ad_group_id = keywords.ad_group_id
            and summed.keyword_key = keywords.keyword_key

),

with_ratios as (

    select
        *,
        {{ ratio('cast(clicks as numeric)', 'impressions') }} as ctr,
        {{ ratio('cost_amount', 'clicks') }} as cpc,
        {{ ratio('cost_amount * 1000', 'impressions') }} as cpm,
        {{ ratio('nullif(cost_amount, 0)', 'leads') }} as cpl,
        {{ ratio('nullif(cost_amount, 0)', 'qualified_leads') }} as cpql,
        {{ ratio('nullif(cost_amount, 0)', 'deals') }} as cpo,
        {{ ratio('nullif(cost_amount, 0)', 'sales') }} as cps,
        {{ ratio('nullif(cost_amount, 0)', 'new_customers') }} as cac,
        {{ ratio(
            'case when sales_without_margin = 0 then margin - cost_amount end',
            'cost_amount'
        ) }} as romi,
        {{ ratio('revenue', 'cost_amount') }} as roas,
        {{ ratio('cost_amount', 'revenue') }} as drr,
        {{ ratio('revenue', 'sales') }} as aov,
        coalesce(
            date > (
                select build_info.as_of - {{ var('provisional_days') }}
                from build_info
            ),
            false
        ) as is_provisional,
        -- the type holds every digit of the product, so that sums are exact
        cast(
            first_revenue * (1 + (select ltv_curve.repeat_ratio from ltv_curve))
            as numeric(33, 15)
        ) as predicted_ltv
    from named

)

select * from with_ratios
