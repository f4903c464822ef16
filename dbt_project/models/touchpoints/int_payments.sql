with

payments as (
    {% for source in var('payment_sources') %}
    select
        account_id,
        payment_id,
        deal_id,
        paid_at,
        paid_date,
        amount,
        currency_code,
        vat_included
    from {{ ref('stg_' ~ source ~ '__payments') }}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as text) as account_id,
        cast(null as text) as payment_id,
        cast(null as text) as deal_id,
        cast(null as timestamptz) as paid_at,
        cast(null as date) as paid_date,
        cast(null as numeric) as amount,
        cast(null as text) as currency_code,
        cast(null as boolean) as vat_included
    where false
    {% endfor %}
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
            {{ without_vat('payments.amount', 'payments.vat_included', 'vat_rates.rate') }},
            2
        )::numeric(18, 2) as amount,
        payments.currency_code
    from payments
    left join vat_rates
        on payments.paid_date between vat_rates.valid_from and vat_rates.valid_to

)

select * from resolved
