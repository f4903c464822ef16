with

builds as (

    select * from {{ source('ops', 'builds') }}

),

-- a build that was rolled back is published no more, so the newest one left is shown
shown as (

    select
        build_id,
        as_of,
        published_at
    from builds
    where state = 'published'
    order by build_id desc
    limit 1

)

select * from shown
