{# Rows of the same `columns` whose days valid_from..valid_to meet. #}
{% test has_no_overlapping_spans(model, columns) %}

with

spans as (

    select
        {{ columns | join(', ') }},
        valid_from,
        valid_to,
        lag(valid_to) over (
            partition by {{ columns | join(', ') }} order by valid_from, valid_to
        ) as previous_valid_to
    from {{ model }}

)

select *
from spans
where valid_from <= previous_valid_to or valid_to < valid_from

{% endtest %}
