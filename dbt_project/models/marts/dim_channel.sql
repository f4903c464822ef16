with

channel_names as (

    select
        channel,
        channel_name,
        channel_group,
        is_paid,
        is_direct,
        sort
    from {{ ref('channel_names') }}

)

select * from channel_names
