{#  Two models have equally many rows: nothing was lost or doubled between them.  #}
{% test rows_equal(model, other) %}

with

counted as (

    select
        (select count(*) from {{ model }}) as here,
        (select count(*) from {{ other }}) as there

)

select * from counted
where here <> there

{% endtest %}
