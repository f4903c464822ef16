{{ contact_tokens('amocrm') }}
