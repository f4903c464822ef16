-- The funnel counts whole people by last_non_direct, so its credits are 0 or 1.
select
    conversion_id,
    touchpoint_id
from {{ ref('int_attribution_credits') }}
where
    first_touch not in (0, 1)
    or last_touch not in (0, 1)
    or last_non_direct not in (0, 1)
