-- With its amount and, when it has no path, the reason.
with

deals as (

    select * from {{ ref('int_deals') }}

),

journal as (

    select * from {{ ref('deal_journal') }}

)

select
    deals.account_id,
    deals.deal_id
from deals
left join journal
    on
        deals.account_id = journal.account_id
        and deals.deal_id = journal.deal_id
where
    journal.deal_id is null
    or journal.amount is distinct from deals.amount
    or (journal.touches is null) = (journal.attribution_reason is null)
