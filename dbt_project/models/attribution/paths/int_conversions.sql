{{ config(post_hook="{{ note_path_changes(
    key=['conversion_id'],
    person='coalesce(person_id, conversion_id)',
    watched=[
        'conversion_kind', 'credited_as', 'person_id', 'converting_touchpoint_id',
        'lead_created_at', 'deal_created_at', 'attributed_at', 'attributed_date',
        'previous_at',
    ]
) }}") }}

with

conversions as (

    select * from {{ ref('int_conversions_unioned') }}

),

-- sales, first and repeated, are one series; a conversion of the same second is not
-- the previous one of the other
with_previous as (

    select
        conversion_id,
        conversion_kind,
        credited_as,
        account_id,
        person_id,
        lead_id,
        deal_id,
        converting_touchpoint_id,
        lead_created_at,
        deal_created_at,
        attributed_at,
        attributed_date,
        converted_at,
        converted_date,
        lead_date,
        is_valid,
        is_spam,
        is_duplicate,
        is_new_customer,
        is_full_refund,
        revenue_amount,
        margin_amount,
        max(attributed_at) over (
            partition by
                coalesce(person_id, conversion_id),
                case credited_as when 'repeat_sale' then 'sale' else credited_as end
            order by attributed_at
            range between unbounded preceding and interval '1 microsecond' preceding
        ) as previous_at
    from conversions

)

select * from with_previous
