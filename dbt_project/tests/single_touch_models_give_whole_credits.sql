-- A model that names one touch gives it all: the funnel counts whole people by one.
select
    conversion_id,
    touchpoint_id
from {{ ref('int_attribution_credits') }}
where
    false
    {% for model in attribution_models() if model.touch is defined %}
    or {{ model.name }} not in (0, 1)
    {% endfor %}
