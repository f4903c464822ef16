{#
    The grain of a model: its columns together are a key, and none of them is NULL but
    those in `nullable`, where NULL is a value like any other.
#}
{% test is_one_row_per(model, columns, nullable=[]) %}

select {{ columns | join(', ') }}, count(*) as rows_count
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns if column not in nullable %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
