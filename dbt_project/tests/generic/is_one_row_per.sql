{#  The grain of a model: its columns together are a key, and none of them is NULL.  #}
{% test is_one_row_per(model, columns) %}

select {{ columns | join(', ') }}, count(*) as rows_count
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
