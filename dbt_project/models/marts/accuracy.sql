with

measured as (

    select * from {{ source('ops', 'accuracy') }}

),

figures as (

    select
        subject,
        metric,
        value,
        details,
        measured_at
    from measured

)

select * from figures
