-- What a lead went through until it was lost or became a deal.
with

lead_moves as (

    select * from {{ ref('stg_amocrm__lead_moves') }}

),

of_leads as (

    select
        account_id,
        history_id as record_key,
        load_id,
        history_id,
        amo_lead_id as lead_id,
        stage_id,
        entered_at,
        null::text as unreadable_columns,
        case
            when move_number = first_deal_move or semantic_id = 'F' then '3'
            when move_number = 1 then '1'
            else '2'
        end as type_id,
        case when move_number = first_deal_move then 'S' else semantic_id end
            as semantic_id
    from lead_moves
    where first_deal_move is null or move_number <= first_deal_move

)

select * from of_leads
