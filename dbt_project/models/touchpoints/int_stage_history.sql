-- columns first, so that the marts can be built on them; rows follow
select
    cast(null as text) as stage_history_id,
    cast(null as text) as account_id,
    cast(null as text) as entity,
    cast(null as text) as entity_id,
    cast(null as text) as category_id,
    cast(null as text) as stage_id,
    cast(null as text) as stage_name,
    cast(null as text) as canonical_stage,
    cast(null as text) as semantic,
    cast(null as timestamptz) as entered_at,
    cast(null as date) as entered_date,
    cast(null as timestamptz) as left_at,
    cast(null as integer) as sort
where false
