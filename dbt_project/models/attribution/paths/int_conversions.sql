with

leads as (

    select * from {{ ref('int_leads') }}

),

deals as (

    select * from {{ ref('int_deals') }}

),

payments as (

    select * from {{ ref('int_payments') }}

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

paid_lines as (

    select
        account_id,
        deal_id,
        payment_id as line_id,
        paid_at as line_at,
        paid_date as line_date,
        amount as line_amount
    from payments
    where deal_id is not null and amount <> 0

),

deals_with_payments as (

    select distinct
        account_id,
        deal_id
    from paid_lines

),

-- where no payments are loaded, a sale is a deal that was won with money in it
won_lines as (

    select
        deals.account_id,
        deals.deal_id,
        '' as line_id,
        deals.closed_at as line_at,
        deals.closed_date as line_date,
        deals.amount as line_amount
    from deals
    left join deals_with_payments
        on
            deals.account_id = deals_with_payments.account_id
            and deals.deal_id = deals_with_payments.deal_id
    where
        deals.semantic = 'won'
        and deals.amount > 0
        and deals_with_payments.deal_id is null

),

refund_lines as (

    select
        deals.account_id,
        deals.deal_id,
        'refund' as line_id,
        coalesce(
            cast(deals.refund_date as timestamp)
            at time zone '{{ var("reporting_time_zone") }}',
            deals.closed_at
        ) as line_at,
        coalesce(deals.refund_date, deals.closed_date) as line_date,
        -deals.refund_amount as line_amount
    from deals
    inner join won_lines
        on
            deals.account_id = won_lines.account_id
            and deals.deal_id = won_lines.deal_id
    where deals.refund_amount > 0

),

money_lines as (

    select * from paid_lines
    union all
    select * from won_lines
    union all
    select * from refund_lines

),

-- the first money in makes the sale; later money and money back take its credits
numbered_lines as (

    select
        money_lines.*,
        row_number() over in_order as line_number,
        first_value(line_at) over in_order as sold_at,
        first_value(line_date) over in_order as sold_date,
        sum(line_amount) filter (where line_amount > 0) over whole_deal as paid_amount,
        sum(line_amount) over so_far as balance_amount
    from money_lines
    window
        in_order as (
            partition by account_id, deal_id
            order by line_amount <= 0, line_at, line_id
        ),
        whole_deal as (partition by account_id, deal_id),
        so_far as (partition by account_id, deal_id order by line_at, line_id)

),

first_lines as (

    select
        numbered_lines.account_id,
        numbered_lines.deal_id,
        cast(null as text) as sale_id,
        numbered_lines.sold_at,
        deals.person_id
    from numbered_lines
    inner join deals
        on
            numbered_lines.account_id = deals.account_id
            and numbered_lines.deal_id = deals.deal_id
    where numbered_lines.line_number = 1 and numbered_lines.line_amount > 0

    union all

    select
        account_id,
        cast(null as text) as deal_id,
        sale_id,
        sold_at,
        person_id
    from offline_sales
    where amount > 0

),

sales as (

    select
        account_id,
        deal_id,
        sale_id,
        row_number() over (
            partition by
                coalesce(person_id, concat_ws('|', account_id, deal_id, sale_id))
            order by sold_at, account_id, deal_id, sale_id
        ) as sale_number
    from first_lines

),

money_conversions as (

    select
        case
            when numbered_lines.line_amount < 0
                then concat_ws(
                    '|', 'refund', deals.account_id, deals.deal_id,
                    nullif(numbered_lines.line_id, 'refund')
                )
            when numbered_lines.line_number > 1
                then concat_ws(
                    '|', 'payment', deals.account_id, deals.deal_id,
                    numbered_lines.line_id
                )
            else 'sale|' || deals.account_id || '|' || deals.deal_id
        end as conversion_id,
        case
            when numbered_lines.line_amount < 0 then 'refund'
            when numbered_lines.line_number > 1 then 'payment'
            when sales.sale_number = 1 then 'sale'
            else 'repeat_sale'
        end as conversion_kind,
        case when sales.sale_number = 1 then 'sale' else 'repeat_sale' end
            as credited_as,
        deals.account_id,
        deals.person_id,
        deals.lead_id,
        deals.deal_id,
        deals.converting_touchpoint_id,
        deals.lead_created_at,
        deals.created_at as deal_created_at,
        numbered_lines.sold_at as attributed_at,
        numbered_lines.sold_date as attributed_date,
        numbered_lines.line_at as converted_at,
        numbered_lines.line_date as converted_date,
        deals.lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        numbered_lines.line_number = 1 and sales.sale_number = 1 as is_new_customer,
        numbered_lines.line_amount < 0
        and numbered_lines.balance_amount <= 0 as is_full_refund,
        cast(numbered_lines.line_amount as numeric(18, 2)) as revenue_amount,
        -- goods come back with a refund, so its margin is taken back in proportion
        cast(
            deals.margin_amount * numbered_lines.line_amount
            / case
                when deals.amount > 0 then deals.amount
                else numbered_lines.paid_amount
            end
            as numeric(18, 2)
        ) as margin_amount
    from numbered_lines
    inner join deals_with_lead as deals
        on
            numbered_lines.account_id = deals.account_id
            and numbered_lines.deal_id = deals.deal_id
    inner join sales
        on
            numbered_lines.account_id = sales.account_id
            and numbered_lines.deal_id = sales.deal_id

),

-- sold at the counter, without a deal
offline_conversions as (

    select
        'sale|' || offline_sales.account_id || '|offline|' || offline_sales.sale_id
            as conversion_id,
        case when sales.sale_number = 1 then 'sale' else 'repeat_sale' end
            as conversion_kind,
        case when sales.sale_number = 1 then 'sale' else 'repeat_sale' end
            as credited_as,
        offline_sales.account_id,
        offline_sales.person_id,
        cast(null as text) as lead_id,
        cast(null as text) as deal_id,
        cast(null as text) as converting_touchpoint_id,
        cast(null as timestamptz) as lead_created_at,
        cast(null as timestamptz) as deal_created_at,
        offline_sales.sold_at as attributed_at,
        offline_sales.sale_date as attributed_date,
        offline_sales.sold_at as converted_at,
        offline_sales.sale_date as converted_date,
        offline_sales.sale_date as lead_date,
        true as is_valid,
        false as is_spam,
        false as is_duplicate,
        sales.sale_number = 1 as is_new_customer,
        false as is_full_refund,
        offline_sales.amount as revenue_amount,
        offline_sales.margin_amount
    from offline_sales
    inner join sales
        on
            offline_sales.account_id = sales.account_id
            and offline_sales.sale_id = sales.sale_id

),

unioned as (

    select * from lead_conversions
    union all
    select * from qualified_lead_conversions
    union all
    select * from deal_conversions
    union all
    select * from money_conversions
    union all
    select * from offline_conversions

),

-- sales, first and repeated, are one series; a conversion of the same second is not
-- the previous one of the other
with_previous as (

    select
        *,
        max(attributed_at) over (
            partition by
                coalesce(person_id, conversion_id),
                case credited_as when 'repeat_sale' then 'sale' else credited_as end
            order by attributed_at
            range between unbounded preceding and '1 microsecond' preceding
        ) as previous_at
    from unioned

)

select * from with_previous
