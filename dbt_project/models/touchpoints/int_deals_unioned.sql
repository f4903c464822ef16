{{ config(materialized='view') }}

with

stage_map as (

    select * from {{ ref('stage_map') }}
    where entity = 'deal'

),

deals as (

    {{ union_of('deals', var('deal_sources'), [
        'account_id', 'deal_id', 'lead_id', 'contact_id', 'category_id', 'stage_id',
        'semantic_id', 'source_id', 'currency_code', 'amount', 'margin_amount',
        'refund_amount', 'refund_date', 'vat_included', 'is_return_customer',
        'close_date', 'created_at', 'created_date', 'manager_id',
    ]) }}

),

-- where people write the stage in their own words, the seed says what it means
with_stage as (

    select
        deals.account_id,
        deals.source,
        deals.deal_id,
        deals.lead_id,
        deals.contact_id,
        deals.category_id,
        deals.stage_id,
        deals.source_id,
        deals.currency_code,
        deals.amount,
        deals.margin_amount,
        deals.refund_amount,
        deals.refund_date,
        deals.vat_included,
        deals.is_return_customer,
        deals.close_date,
        deals.created_at,
        deals.created_date,
        deals.manager_id,
        stage_map.canonical_stage,
        coalesce(
            deals.semantic_id,
            case stage_map.canonical_stage when 'won' then 'S' when 'lost' then 'F' end
        ) as semantic_id
    from deals
    left join stage_map
        on
            deals.source = stage_map.crm
            and {{ stage_without_funnel('deals.stage_id') }} = stage_map.stage_id

)

select * from with_stage
