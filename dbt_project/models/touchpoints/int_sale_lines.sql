-- Money as it came in and went back, whatever the CRM: where payments of a deal are
-- loaded they are it, else a deal that was won with money in it, and what it gave back.
with

deals as (

    select * from {{ ref('int_deals') }}

),

payments as (

    select * from {{ ref('int_payments') }}

),

offline_sales as (

    select * from {{ ref('int_offline_sales') }}

),

deals_with_payments as (

    select distinct
        account_id,
        deal_id
    from payments
    where deal_id is not null and amount <> 0

),

payment_lines as (

    select
        payments.account_id,
        payments.deal_id,
        cast(null as text) as sale_id,
        payments.payment_id as line_id,
        payments.paid_at as line_at,
        payments.paid_date as line_date,
        payments.amount as line_amount
    from payments
    inner join deals
        on
            payments.account_id = deals.account_id
            and payments.deal_id = deals.deal_id
    where payments.amount <> 0

),

won_deals as (

    select deals.*
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

won_lines as (

    select
        account_id,
        deal_id,
        cast(null as text) as sale_id,
        '' as line_id,
        closed_at as line_at,
        closed_date as line_date,
        amount as line_amount
    from won_deals

),

refund_lines as (

    select
        account_id,
        deal_id,
        cast(null as text) as sale_id,
        'refund' as line_id,
        coalesce(
            cast(refund_date as timestamp)
            at time zone '{{ var("reporting_time_zone") }}',
            closed_at
        ) as line_at,
        coalesce(refund_date, closed_date) as line_date,
        -refund_amount as line_amount
    from won_deals
    where refund_amount > 0

),

counter_lines as (

    select
        account_id,
        cast(null as text) as deal_id,
        sale_id,
        '' as line_id,
        sold_at as line_at,
        sale_date as line_date,
        amount as line_amount
    from offline_sales
    where amount <> 0

),

unioned as (

    select * from payment_lines
    union all
    select * from won_lines
    union all
    select * from refund_lines
    union all
    select * from counter_lines

),

-- the first money in makes the sale
numbered as (

    select
        *,
        row_number() over in_order as line_number,
        first_value(line_at) over in_order as sold_at,
        first_value(line_date) over in_order as sold_date,
        sum(line_amount) filter (where line_amount > 0) over whole_sale as paid_amount,
        sum(line_amount) over so_far as balance_amount
    from unioned
    window
        in_order as (
            partition by account_id, deal_id, sale_id
            order by line_amount <= 0, line_at, line_id
        ),
        whole_sale as (partition by account_id, deal_id, sale_id),
        so_far as (
            partition by account_id, deal_id, sale_id order by line_at, line_id
        )

),

judged as (

    select
        account_id,
        deal_id,
        sale_id,
        line_id,
        line_at,
        line_date,
        sold_at,
        sold_date,
        cast(line_amount as numeric(18, 2)) as line_amount,
        cast(paid_amount as numeric(18, 2)) as paid_amount,
        case
            when line_amount < 0 then 'refund'
            when line_number = 1 then 'sale'
            else 'payment'
        end as line_kind,
        line_amount < 0
        and balance_amount <= 0
        and balance_amount - line_amount > 0 as is_full_refund
    from numbered
    -- money back without any in is no sale
    where paid_amount > 0

)

select * from judged
