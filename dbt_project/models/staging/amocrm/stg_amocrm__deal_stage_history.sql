-- What a deal went through, from the lead's first deal stage on.
with

lead_moves as (

    select * from {{ ref('stg_amocrm__lead_moves') }}

),

of_deals as (

    select
        account_id,
        history_id as record_key,
        load_id,
        history_id,
        amo_lead_id as deal_id,
        pipeline_id as category_id,
        stage_id,
        semantic_id,
        entered_at,
        null::text as unreadable_columns,
        case
            when semantic_id <> 'P' then '3'
            when move_number = first_deal_move then '1'
            else '2'
        end as type_id
    from lead_moves
    where move_number >= first_deal_move

)

select * from of_deals
