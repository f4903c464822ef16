-- columns first, so that the marts can be built on them; rows follow
select
    cast(null as text) as person_id,
    cast(null as text) as kind,
    cast(null as text) as identifier,
    cast(null as timestamptz) as first_seen_at,
    cast(null as boolean) as is_shared
where false
