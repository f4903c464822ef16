with

channel_names as (

    select * from {{ ref('channel_names') }}

),

channels as (

    select
        channel,
        channel_name,
        channel_group,
        is_paid,
        is_direct,
        sort
    from channel_names

)

select * from channels
