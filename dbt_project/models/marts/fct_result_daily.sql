{% set models = attribution_models() %}

with

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

credited_conversions as (

    select
        credits.touch_date as by_click_date,
        conversions.lead_date as by_lead_date,
        conversions.converted_date as by_payment_date,
        conversions.conversion_kind,
        conversions.is_valid,
        conversions.is_spam,
        conversions.is_duplicate,
        conversions.is_new_customer,
        conversions.is_full_refund,
        conversions.revenue_amount,
        conversions.margin_amount,
        conversions.margin_amount is null as is_margin_unknown,
        conversions.credited_as = 'sale' as is_of_first_sale,
        {% for model in models %}
        credits.{{ model.name }},
        {% endfor %}
        coalesce(touchpoints.channel, '(not attributed)') as channel,
        coalesce(touchpoints.platform, '(none)') as platform,
        coalesce(touchpoints.account_id, '(none)') as account_id,
        coalesce(touchpoints.campaign_id, '(none)') as campaign_id,
        coalesce(touchpoints.ad_group_id, '(none)') as ad_group_id,
        coalesce(touchpoints.keyword_key, '(none)') as keyword_key,
        coalesce(touchpoints.placement, '(none)') as placement
    from credits
    inner join conversions on credits.conversion_id = conversions.conversion_id
    left join touchpoints on credits.touchpoint_id = touchpoints.touchpoint_id

),

on_each_basis as (

    select
        credited_conversions.*,
        bases.date_basis,
        bases.result_date
    from credited_conversions
    cross join lateral (
        values
        {% for basis in date_bases() %}
        (
            '{{ basis }}', credited_conversions.{{ basis }}_date
        ){{ ',' if not loop.last }}
        {% endfor %}
    ) as bases (date_basis, result_date)

),

-- aggregated with a column per model first: turning single credits long would make
-- as many times the rows as there are models
summed_wide as (

    select
        result_date,
        date_basis,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        conversion_kind,
        is_valid,
        is_spam,
        is_duplicate,
        is_new_customer,
        is_full_refund,
        is_of_first_sale,
        {% for model in models %}
        sum({{ model.name }}) as {{ model.name }}_credit,
        sum({{ model.name }} * revenue_amount) as {{ model.name }}_revenue,
        sum({{ model.name }} * margin_amount) as {{ model.name }}_margin,
        {% endfor %}
        is_margin_unknown
    from on_each_basis
    group by
        result_date,
        date_basis,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        conversion_kind,
        is_valid,
        is_spam,
        is_duplicate,
        is_new_customer,
        is_full_refund,
        is_of_first_sale,
        is_margin_unknown

),

turned_long as (

    select
        summed_wide.result_date,
        summed_wide.date_basis,
        models.attribution_model,
        summed_wide.channel,
        summed_wide.platform,
        summed_wide.account_id,
        summed_wide.campaign_id,
        summed_wide.ad_group_id,
        summed_wide.keyword_key,
        summed_wide.placement,
        summed_wide.conversion_kind,
        summed_wide.is_valid,
        summed_wide.is_spam,
        summed_wide.is_duplicate,
        summed_wide.is_new_customer,
        summed_wide.is_full_refund,
        summed_wide.is_of_first_sale,
        summed_wide.is_margin_unknown,
        models.credit,
        models.revenue,
        models.margin
    from summed_wide
    cross join lateral (
        values
        {% for model in models %}
        (
            '{{ model.name }}', summed_wide.{{ model.name }}_credit,
            summed_wide.{{ model.name }}_revenue, summed_wide.{{ model.name }}_margin
        ){{ ',' if not loop.last }}
        {% endfor %}
    ) as models (attribution_model, credit, revenue, margin)

),

results as (

    select
        result_date,
        date_basis,
        attribution_model,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        sum(credit) filter (where conversion_kind = 'lead') as leads_raw,
        sum(credit) filter (where conversion_kind = 'lead' and is_valid) as leads,
        sum(credit) filter (where conversion_kind = 'lead' and is_spam) as leads_spam,
        sum(credit) filter (
            where conversion_kind = 'lead' and is_duplicate
        ) as leads_duplicate,
        sum(credit) filter (
            where conversion_kind = 'qualified_lead'
        ) as qualified_leads,
        sum(credit) filter (where conversion_kind = 'deal') as deals,
        sum(credit) filter (
            where conversion_kind in ('sale', 'repeat_sale')
        ) as sales_gross,
        sum(credit) filter (where is_full_refund) as full_refunds,
        sum(credit) filter (where is_new_customer) as new_customers,
        sum(credit) filter (where is_margin_unknown) as sales_without_margin,
        sum(revenue) filter (
            where conversion_kind in ('sale', 'repeat_sale', 'payment')
        ) as revenue_gross,
        sum(-revenue) filter (where conversion_kind = 'refund') as refunds_amount,
        sum(revenue) as revenue,
        sum(margin) as margin,
        sum(revenue) filter (where is_of_first_sale) as first_revenue
    from turned_long
    where credit > 0
    group by
        result_date,
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

typed as (

    select
        result_date,
        date_basis,
        attribution_model,
        channel,
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        keyword_key,
        placement,
        cast(coalesce(leads_raw, 0) as numeric(20, 9)) as leads_raw,
        cast(coalesce(leads, 0) as numeric(20, 9)) as leads,
        cast(coalesce(leads_spam, 0) as numeric(20, 9)) as leads_spam,
        cast(coalesce(leads_duplicate, 0) as numeric(20, 9)) as leads_duplicate,
        cast(coalesce(qualified_leads, 0) as numeric(20, 9)) as qualified_leads,
        cast(coalesce(deals, 0) as numeric(20, 9)) as deals,
        cast(coalesce(sales_gross, 0) as numeric(20, 9)) as sales_gross,
        cast(
            coalesce(sales_gross, 0) - coalesce(full_refunds, 0) as numeric(20, 9)
        ) as sales,
        cast(coalesce(new_customers, 0) as numeric(20, 9)) as new_customers,
        cast(
            coalesce(sales_without_margin, 0) as numeric(20, 9)
        ) as sales_without_margin,
        cast(coalesce(revenue_gross, 0) as numeric(28, 11)) as revenue_gross,
        cast(coalesce(refunds_amount, 0) as numeric(28, 11)) as refunds_amount,
        cast(coalesce(revenue, 0) as numeric(28, 11)) as revenue,
        cast(coalesce(margin, 0) as numeric(28, 11)) as margin,
        cast(coalesce(first_revenue, 0) as numeric(28, 11)) as first_revenue
    from results

)

select * from typed
