with

sales as (

    select * from {{ ref('stg_files__offline_sales') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}
    where kind = 'sale'

),

vat_rates as (

    select * from {{ ref('vat_rates') }}

),

resolved as (

    select
        sales.account_id,
        sales.sale_id,
        assigned.person_id,
        sales.sold_at,
        sales.sale_date,
        round(
            {{ without_vat('sales.amount', 'sales.vat_included', 'vat_rates.rate') }}, 2
        )::numeric(18, 2) as amount,
        round(
            {{ without_vat(
                'sales.amount - sales.cost_amount', 'sales.vat_included',
                'vat_rates.rate'
            ) }}, 2
        )::numeric(18, 2) as margin_amount,
        sales.source,
        sales.medium,
        sales.currency_code
    from sales
    left join assigned
        on
            {{ crm_identifier('sales.account_id', 'sales.sale_id', crm='files') }}
            = assigned.identifier
    left join vat_rates
        on sales.sale_date between vat_rates.valid_from and vat_rates.valid_to

)

select * from resolved
