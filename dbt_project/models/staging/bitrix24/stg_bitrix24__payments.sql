-- Paid invoices. An invoice has no date of payment: it is paid when it comes to a stage
-- of success, which none leaves.
with

invoices as (

    select * from {{ ref('stg_bitrix24__invoices') }}

),

statuses as (

    select * from {{ ref('stg_bitrix24__statuses') }}
    where entity_id like 'SMART\_INVOICE\_STAGE\_%' and semantic_id = 'S'

),

payments as (

    select
        ---------- ids
        invoices.account_id,
        invoices.record_key,
        invoices.load_id,
        invoices.invoice_id as payment_id,
        invoices.deal_id,

        ---------- timestamps
        invoices.moved_at as paid_at,
        {{ reporting_date('invoices.moved_at') }} as paid_date,

        ---------- numerics
        invoices.amount,

        ---------- strings
        invoices.currency_code,

        ---------- booleans
        invoices.vat_included
    from invoices
    inner join statuses
        on
            invoices.account_id = statuses.account_id
            and invoices.stage_id = statuses.status_id

)

select * from payments
