with

leads as (

    select * from {{ ref('int_leads') }}

),

deals as (

    select * from {{ ref('int_deals') }}

),

lead_conversions as (

    select
        'lead|' || account_id || '|' || lead_id as conversion_id,
        'lead' as conversion_kind,
        account_id,
        person_id,
        lead_id,
        cast(null as text) as deal_id,
        created_at as attributed_at,
        created_date as attributed_date,
        created_at as converted_at,
        created_date as converted_date,
        created_date as lead_date,
        is_valid,
        is_spam,
        is_duplicate,
        false as is_new_customer,
        false as is_full_refund,
        cast(0 as numeric(18, 2)) as revenue_amount,
        cast(0 as numeric(18, 2)) as margin_amount
    from leads

),

qualified_lead_conversions as (

    select
        'qualified_lead|' || account_id || '|' || lead_id as conversion_id,
        'qualified_lead' as conversion_kind,
        account_id,
        person_id,
        lead_id,
        cast(null as text) as deal_id,
        qualified_at as attributed_at,
        qualified_date as attributed_date,
        qualified_at as converted_at,
        qualified_date as converted_date,
        created_date as lead_date,
        is_valid,
        is_spam,
        is_duplicate,
        false as is_new_customer,
        false as is_full_refund,
        cast(0 as numeric(18, 2)) as revenue_amount,
        cast(0 as numeric(18, 2)) as margin_amount
    from leads
    where is_qualified and is_valid

),

deals_with_lead_date as (

    select
        deals.*,
        coalesce(leads.created_date, deals.created_date) as lead_date
    from deals
    left join leads
        on
            deals.account_id = leads.account_id
            and deals.lead_id = leads.lead_id

),

deal_conversions as (

    select
        'deal|' || account_id || '|' || deal_id as conversion_id,
        'deal' as conversion_kind,
        account_id,
        person_id,
        lead_id,
        deal_id,
        created_at as attributed_at,
        created_date as attributed_date,
        created_at as converted_at,
        created_date as converted_date,
        lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        false as is_new_customer,
        false as is_full_refund,
        cast(0 as numeric(18, 2)) as revenue_amount,
        cast(0 as numeric(18, 2)) as margin_amount
    from deals_with_lead_date

),

-- no payments are loaded yet: a sale is a deal that was won with money in it
sales as (

    select
        *,
        row_number() over (
            partition by coalesce(person_id, 'deal|' || account_id || '|' || deal_id)
            order by closed_at, account_id, deal_id
        ) as sale_number
    from deals_with_lead_date
    where semantic = 'won' and amount > 0

),

sale_conversions as (

    select
        'sale|' || account_id || '|' || deal_id as conversion_id,
        'sale' as conversion_kind,
        account_id,
        person_id,
        lead_id,
        deal_id,
        closed_at as attributed_at,
        closed_date as attributed_date,
        closed_at as converted_at,
        closed_date as converted_date,
        lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        sale_number = 1 as is_new_customer,
        false as is_full_refund,
        cast(amount as numeric(18, 2)) as revenue_amount,
        cast(margin_amount as numeric(18, 2)) as margin_amount
    from sales

),

-- a refund takes back the credits of its sale, so it looks back from the sale's
-- moment; goods come back with it, so the margin is taken back in proportion
refund_conversions as (

    select
        'refund|' || account_id || '|' || deal_id as conversion_id,
        'refund' as conversion_kind,
        account_id,
        person_id,
        lead_id,
        deal_id,
        closed_at as attributed_at,
        closed_date as attributed_date,
        coalesce(
            cast(refund_date as timestamp)
            at time zone '{{ var("reporting_time_zone") }}',
            closed_at
        ) as converted_at,
        coalesce(refund_date, closed_date) as converted_date,
        lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        false as is_new_customer,
        refund_amount >= amount as is_full_refund,
        cast(-refund_amount as numeric(18, 2)) as revenue_amount,
        cast(
            -margin_amount * refund_amount / amount as numeric(18, 2)
        ) as margin_amount
    from sales
    where refund_amount > 0

),

unioned as (

    select * from lead_conversions
    union all
    select * from qualified_lead_conversions
    union all
    select * from deal_conversions
    union all
    select * from sale_conversions
    union all
    select * from refund_conversions

)

select * from unioned
