with

visits as (

    select * from {{ ref('stg_yandex_metrica__visits') }}
    where goal_ids is not null

),

goals as (

    select * from {{ ref('stg_yandex_metrica__goals') }}

),

-- the two lists go side by side: the third goal was reached at the third moment
reached as (

    select
        visits.account_id,
        visits.load_id,
        visits.visit_id,
        visits.client_id,
        visits.started_at,
        visits.visit_date,
        goal.goal_id,
        goal.place::integer as place,
        visits.goal_times ->> (goal.place - 1)::integer as reached_at
    from visits
    cross join
        lateral jsonb_array_elements_text(visits.goal_ids)
        with ordinality as goal (goal_id, place)

),

typed as (

    select
        reached.account_id,
        reached.load_id,
        reached.visit_id,
        reached.client_id,
        reached.place,
        reached.goal_id,
        goals.goal_name,
        reached.started_at,
        reached.visit_date,
        -- UTC+3 whatever the counter's zone, also when Moscow had another
        {{ typed('reached.reached_at', 'local') }} at time zone interval '3 hours'
            as reached_at
    from reached
    left join goals
        on
            reached.account_id = goals.account_id
            and reached.goal_id = goals.goal_id

)

select * from typed
