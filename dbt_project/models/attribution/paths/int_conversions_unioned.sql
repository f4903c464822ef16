{{ config(materialized='view') }}

with

leads as (

    select * from {{ ref('int_leads') }}

),

deals as (

    select * from {{ ref('int_deals') }}

),

sale_lines as (

    select * from {{ ref('int_sale_lines') }}

),

offline_sales as (

    select * from {{ ref('int_offline_sales') }}

),

lead_conversions as (

    select
        'lead|' || account_id || '|' || lead_id as conversion_id,
        'lead' as conversion_kind,
        'lead' as credited_as,
        account_id,
        person_id,
        lead_id,
        cast(null as text) as deal_id,
        touchpoint_id as converting_touchpoint_id,
        created_at as lead_created_at,
        cast(null as timestamptz) as deal_created_at,
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
        'qualified_lead' as credited_as,
        account_id,
        person_id,
        lead_id,
        cast(null as text) as deal_id,
        touchpoint_id as converting_touchpoint_id,
        created_at as lead_created_at,
        cast(null as timestamptz) as deal_created_at,
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

deals_with_lead as (

    select
        deals.*,
        leads.created_at as lead_created_at,
        leads.touchpoint_id as converting_touchpoint_id,
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
        'deal' as credited_as,
        account_id,
        person_id,
        lead_id,
        deal_id,
        converting_touchpoint_id,
        lead_created_at,
        created_at as deal_created_at,
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
    from deals_with_lead

),

sellers as (

    select
        account_id || '|' || deal_id as sale_key,
        person_id,
        lead_id,
        converting_touchpoint_id,
        lead_created_at,
        created_at as deal_created_at,
        lead_date,
        margin_amount,
        amount
    from deals_with_lead

    union all

    -- sold at the counter, without a deal
    select
        account_id || '|counter|' || sale_id as sale_key,
        person_id,
        cast(null as text) as lead_id,
        cast(null as text) as converting_touchpoint_id,
        cast(null as timestamptz) as lead_created_at,
        cast(null as timestamptz) as deal_created_at,
        sale_date as lead_date,
        margin_amount,
        amount
    from offline_sales

),

-- of a deal the deal's id, at the counter a word and the sale's
lines_of_sales as (

    select
        *,
        concat_ws(
            '|', account_id, coalesce(deal_id, 'counter|' || sale_id)
        ) as sale_key
    from sale_lines

),

money_lines as (

    select
        lines_of_sales.*,
        sellers.person_id,
        sellers.lead_id,
        sellers.converting_touchpoint_id,
        sellers.lead_created_at,
        sellers.deal_created_at,
        sellers.lead_date,
        sellers.margin_amount,
        sellers.amount
    from lines_of_sales
    inner join sellers on lines_of_sales.sale_key = sellers.sale_key

),

sales as (

    select
        sale_key,
        row_number() over (
            partition by coalesce(person_id, sale_key) order by sold_at, sale_key
        ) as sale_number
    from money_lines
    where line_kind = 'sale'

),

money_conversions as (

    select
        concat_ws(
            '|',
            money_lines.line_kind,
            money_lines.sale_key,
            case
                when money_lines.line_kind <> 'sale'
                    then nullif(money_lines.line_id, 'refund')
            end
        ) as conversion_id,
        case
            when money_lines.line_kind <> 'sale' then money_lines.line_kind
            when sales.sale_number = 1 then 'sale'
            else 'repeat_sale'
        end as conversion_kind,
        case when sales.sale_number = 1 then 'sale' else 'repeat_sale' end
            as credited_as,
        money_lines.account_id,
        money_lines.person_id,
        money_lines.lead_id,
        money_lines.deal_id,
        money_lines.converting_touchpoint_id,
        money_lines.lead_created_at,
        money_lines.deal_created_at,
        money_lines.sold_at as attributed_at,
        money_lines.sold_date as attributed_date,
        money_lines.line_at as converted_at,
        money_lines.line_date as converted_date,
        money_lines.lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        money_lines.line_kind = 'sale' and sales.sale_number = 1 as is_new_customer,
        money_lines.is_full_refund,
        money_lines.line_amount as revenue_amount,
        -- goods come back with a refund, so its margin is taken back in proportion
        cast(
            money_lines.margin_amount * money_lines.line_amount
            / coalesce(nullif(money_lines.amount, 0), money_lines.paid_amount)
            as numeric(18, 2)
        ) as margin_amount
    from money_lines
    inner join sales on money_lines.sale_key = sales.sale_key

),

unioned as (

    select * from lead_conversions
    union all
    select * from qualified_lead_conversions
    union all
    select * from deal_conversions
    union all
    select * from money_conversions

)

select * from unioned
