-- Of those who entered a stage, each went on, was lost, or is still there.
select
    cohort_date,
    channel,
    funnel_stage,
    entered,
    reached,
    lost
from {{ ref('funnel') }}
where entered <= 0 or reached < 0 or lost < 0 or reached + lost > entered
