{{ staged_by_load('comagic', 'chats') }}

{{ comagic_messages('chats', kind='chat', came_through='chat_channel_type') }}
