{{ contact_tokens('bitrix24') }}
