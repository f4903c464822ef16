{{ staged_by_load('comagic', 'offline_messages') }}

{{ comagic_messages(
    'offline_messages', kind='offline_message', came_through='form_name'
) }}
