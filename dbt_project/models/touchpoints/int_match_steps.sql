-- columns first, so that the marts can be built on them; rows follow
select
    cast(null as date) as touch_date,
    cast(null as text) as platform,
    cast(null as text) as touch_kind,
    cast(null as text) as match_step,
    cast(null as bigint) as touches_count,
    cast(null as bigint) as with_keyword_count,
    cast(null as bigint) as with_cost_count
where false
