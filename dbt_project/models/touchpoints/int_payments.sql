with

payments as (

    {{ union_of('payments', var('payment_sources'), [
        'account_id', 'payment_id', 'deal_id', 'paid_at', 'paid_date', 'amount',
        'currency_code', 'vat_included',
    ]) }}

),

vat_rates as (

    select * from {{ ref('vat_rates') }}

),

resolved as (

    select
        payments.account_id,
        payments.payment_id,
        payments.deal_id,
        payments.paid_at,
        payments.paid_date,
        round(
            {{ without_vat(
                'payments.amount', 'payments.vat_included', 'vat_rates.rate'
            ) }},
            2
        )::numeric(18, 2) as amount,
        payments.currency_code
    from payments
    left join vat_rates
        on payments.paid_date between vat_rates.valid_from and vat_rates.valid_to

)

select * from resolved
