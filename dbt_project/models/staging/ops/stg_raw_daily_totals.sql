{% set streams = [
    ('yandex_metrica', 'visits'),
    ('calltouch', 'calls'),
    ('bitrix24', 'leads'),
    ('bitrix24', 'deals'),
] %}
with

totals as (
    {% for source_name, stream in streams %}
    select
        '{{ source_name }}' as source,
        '{{ stream }}' as stream,
        account_id,
        record_date,
        count(*) as live_rows
    from {{ source(source_name, stream) }}
    where deleted_load_id is null
    group by account_id, record_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from totals
