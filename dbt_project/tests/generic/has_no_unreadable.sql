{#
    Staging turns a cell that it cannot read into NULL and names its column in
    unreadable_columns: with `columns`, only those count.
#}
{% test has_no_unreadable(model, columns=none) %}

select
    account_id,
    record_key,
    unreadable_columns
from {{ model }}
where
    unreadable_columns is not null
    {%- if columns %}
    and string_to_array(unreadable_columns, ', ') && {{ text_array(columns) }}
    {%- endif %}

{% endtest %}
