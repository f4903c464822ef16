-- No touch takes anything away from another.
select
    conversion_id,
    touchpoint_id
from {{ ref('int_attribution_credits') }}
where
    least(
        {% for model in attribution_models() %}
        {{ model.name }}{{ ',' if not loop.last }}
        {% endfor %}
    ) < 0
