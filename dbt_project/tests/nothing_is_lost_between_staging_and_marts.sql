-- Per day, account and metric of the reconciliation; where raw and staging disagree the
-- gate judges.
select
    date,
    account_id,
    metric,
    staged_total,
    mart_total
from {{ ref('reconciliation') }}
where abs(staged_total - mart_total) > tolerance
