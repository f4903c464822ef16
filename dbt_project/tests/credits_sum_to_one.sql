-- Every conversion is given away whole, by every model: exactly, without a tolerance.
{% set models = attribution_models() %}

with

conversions as (

    select * from {{ ref('int_conversions') }}

),

credits as (

    select * from {{ ref('int_attribution_credits') }}

),

summed as (

    select
        {% for model in models %}
        coalesce(sum(credits.{{ model.name }}), 0) as {{ model.name }},
        {% endfor %}
        conversions.conversion_id
    from conversions
    full outer join credits on conversions.conversion_id = credits.conversion_id
    group by conversions.conversion_id

)

select * from summed
where
    conversion_id is null
    {% for model in models %}
    or {{ model.name }} <> 1
    {% endfor %}
