{# the figure, the source and stream whose live records are it, and which of them #}
{% set streams = [
    ('visits', 'yandex_metrica', 'visits', 'true'),
    ('visits', 'comagic', 'sessions', 'true'),
    ('calls', 'calltouch', 'calls', 'true'),
    ('calls', 'comagic', 'calls', "record ->> 'direction' = 'in'"),
    ('leads', 'bitrix24', 'leads', 'true'),
    ('leads', 'amocrm', 'leads', 'true'),
    ('leads', 'google_sheets', 'leads', 'true'),
] %}
with

totals as (
    {% for metric, source_name, stream, condition in streams %}
    select
        '{{ metric }}' as metric,
        '{{ source_name }}' as source,
        '{{ stream }}' as stream,
        account_id,
        record_date,
        count(*) as live_rows
    from {{ source(source_name, stream) }}
    where deleted_load_id is null and {{ condition }}
    group by account_id, record_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from totals
